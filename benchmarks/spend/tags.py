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
PERSISTENCE = 0.5
"""Of the noise: how much of a deviation is left in the next period."""
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
    """values: what each period cost in the end; None where no record will ever come. normal: without incidents.

    expected, added: of which normal is the first times the noise, or zero where the tag rests, plus the second.
    """

    name: str
    metric: str
    grain_seconds: int
    habit: Habit
    calendar: list[Moment]
    expected: list[float]
    added: list[float]
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
    per_day = DAY // grain_seconds
    expected = [_expected(habit, number, moment, per_day) for number, moment in enumerate(calendar)]
    added = [_added(habit, moment, per_day) for moment in calendar]
    normal = [cost + extra for cost, extra in zip(_noisy(habit, expected, rng), added, strict=True)]
    return Tag(
        name=name,
        metric=metric,
        grain_seconds=grain_seconds,
        habit=habit,
        calendar=calendar,
        expected=expected,
        added=added,
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


def _noisy(habit: Habit, expected: list[float], rng: random.Random) -> list[float]:
    deviation, found = 0.0, []
    for value in expected:
        deviation = PERSISTENCE * deviation + math.sqrt(1.0 - PERSISTENCE**2) * rng.gauss(0.0, habit.noise)
        rests = habit.idle and rng.random() < habit.idle
        found.append(0.0 if rests else value * math.exp(deviation))
    return found


def _expected(habit: Habit, number: int, moment: Moment, per_day: int) -> float:
    value = habit.level / per_day * math.pow(1.0 + habit.growth, number / per_day / 30)
    value *= habit.weekend if moment.weekend or moment.holiday else 1.0
    if per_day > 1:
        value *= 1.0 + habit.swing * math.sin(2.0 * math.pi * (moment.hour - habit.peak) / 24)
    if habit.commitment is not None and number >= habit.commitment[0]:
        value *= habit.commitment[1]
    return value * (1.0 + _turn(habit, moment, per_day))


def _added(habit: Habit, moment: Moment, per_day: int) -> float:
    """What a month's first hour is charged, and the credit."""
    if moment.at % DAY:
        return 0.0
    fee = habit.fee if moment.day == 1 and per_day > 1 and habit.fee_in_first_hour else 0.0
    credit = habit.credit if moment.day == habit.credit_day else 0.0
    return (fee - credit) * habit.level


def _turn(habit: Habit, moment: Moment, per_day: int) -> float:
    if moment.day == 1:
        return 0.0 if per_day > 1 and habit.fee_in_first_hour else habit.fee
    return habit.batch if moment.left < 2 else 0.0
