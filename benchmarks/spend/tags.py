"""What a tag costs while nothing is wrong: level, noise, weekends, hours, growth and the habits of its month.

Seeded. The design is that of the billing months the detection goals are stated for: levels from 5 to 5,000 a day,
noise of 2 to 20 % that resembles its neighbour (AR(1), 0.5), and a tenth of tags that are idle most of the time.
"""

import math
import random
from dataclasses import dataclass, field
from datetime import date, timedelta

from benchmarks.spend.calendars import DAY, HOUR, Moment, moments

NOISES = (0.02, 0.05, 0.10, 0.20)
PERIODS = {DAY: 400, HOUR: 120 * 24}
SPARSE_SHARE = 0.1
_PERSISTENCE = 0.5
_YEAR = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """noise: standard deviation of the logarithm. idle: share of periods at zero; 0 for a tag that never rests.

    fee, batch: what the first day of a month and its last two days add, as a part of a day. fee_in_first_hour: hourly
    tags are charged it at once. credit: what is taken off on `credit_day` of each month, in days' worth.
    """

    level: float
    noise: float
    weekend: float
    growth: float
    swing: float
    peak: int
    fee: float
    fee_in_first_hour: bool
    batch: float
    credit: float
    credit_day: int
    commitment: tuple[int, float] | None
    idle: float


@dataclass(slots=True, kw_only=True)
class Tag:
    """values: what each period cost in the end; None where no record will ever come. normal: without incidents."""

    name: str
    metric: str
    grain_seconds: int
    habit: Habit
    calendar: list[Moment]
    normal: list[float]
    values: list[float | None] = field(default_factory=list)

    @property
    def per_day(self) -> int:
        return DAY // self.grain_seconds


def make_tag(name: str, grain_seconds: int, rng: random.Random, *, metric: str = "effective_cost") -> Tag:
    periods = PERIODS[grain_seconds]
    start = date(2024, 1, 1) + timedelta(days=rng.randrange(_YEAR))
    calendar = moments(start, periods, grain_seconds, summer_time=rng.random() < 0.5)
    habit = _habit(rng, periods)
    normal = _costs(habit, calendar, grain_seconds, rng)
    return Tag(
        name=name,
        metric=metric,
        grain_seconds=grain_seconds,
        habit=habit,
        calendar=calendar,
        normal=normal,
        values=list(normal),
    )


def _habit(rng: random.Random, periods: int) -> Habit:
    sparse = rng.random() < SPARSE_SHARE
    top = 50.0 if sparse else 5000.0
    return Habit(
        level=math.exp(rng.uniform(math.log(5.0), math.log(top))),
        noise=rng.choice(NOISES),
        weekend=rng.uniform(0.4, 1.0),
        growth=rng.uniform(-0.02, 0.08),
        swing=rng.uniform(0.0, 0.5),
        peak=rng.randrange(24),
        fee=rng.uniform(0.1, 1.5) if rng.random() < 0.4 else 0.0,
        fee_in_first_hour=rng.random() < 0.5,
        batch=rng.uniform(0.1, 0.6) if rng.random() < 0.3 else 0.0,
        credit=rng.uniform(0.2, 1.2) if rng.random() < 0.2 else 0.0,
        credit_day=rng.randint(2, 27),
        commitment=(rng.randrange(periods // 8, periods), rng.uniform(0.6, 0.9)) if rng.random() < 0.1 else None,
        idle=rng.uniform(0.3, 0.9) if sparse else 0.0,
    )


def _costs(habit: Habit, calendar: list[Moment], grain_seconds: int, rng: random.Random) -> list[float]:
    per_day = DAY // grain_seconds
    level = habit.level / per_day
    deviation, found = 0.0, []
    for number, moment in enumerate(calendar):
        deviation = _PERSISTENCE * deviation + math.sqrt(1.0 - _PERSISTENCE**2) * rng.gauss(0.0, habit.noise)
        value = level * (1.0 + habit.growth) ** (number / per_day / 30) * math.exp(deviation)
        value *= habit.weekend if moment.weekend or moment.holiday else 1.0
        if per_day > 1:
            value *= 1.0 + habit.swing * math.sin(2.0 * math.pi * (moment.hour - habit.peak) / 24)
        if habit.commitment is not None and number >= habit.commitment[0]:
            value *= habit.commitment[1]
        value *= 1.0 + _turn(habit, moment, per_day)
        if habit.idle and rng.random() < habit.idle:
            value = 0.0
        first_hour = moment.at % DAY == 0
        if first_hour and moment.day == 1 and per_day > 1 and habit.fee_in_first_hour:
            value += habit.fee * habit.level
        if habit.credit and moment.day == habit.credit_day and first_hour:
            value -= habit.credit * habit.level
        found.append(value)
    return found


def _turn(habit: Habit, moment: Moment, per_day: int) -> float:
    if moment.day == 1:
        return 0.0 if per_day > 1 and habit.fee_in_first_hour else habit.fee
    return habit.batch if moment.left < 2 else 0.0
