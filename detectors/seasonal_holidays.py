"""Days on which a weekday costs what a weekend does, and days that were learned from one that may have been such.

A holiday is low from one night to the next. So a day that begins to be low may be as low as the quietest weekday, for
24 hours from then on, and nothing is learned of it; on the day after it what is low is a fall. That the clock alone
ends it keeps a small and lasting fall, which is below its bound in some hours and within it in others, from passing for
one holiday after the other. Whether a day of hours began as low is for `detectors.seasonal_days` to say.
"""

from array import array

from detectors.calendar import DAY, HOUR, follows_a_feast
from detectors.seasonal_config import Rates
from detectors.seasonal_days import may_be_quiet
from detectors.seasonal_slots import HARDLY_KNOWN, SEEN_TWICE
from detectors.seasonal_state import DOUBT, FACTORS, HELD, LEARNED, LEVEL, NEVER_RESTED, RESTED, bounded
from detectors.seasonal_weekdays import Week
from detectors.slots import Layout

_AGAIN = 2 * DAY
"""So long after the beginning of a holiday the next may begin."""
_IN_DOUBT = 1.0
"""Variance of a level that an episode has left in doubt, in units of the noise variance."""
_STRAY = 4 * HOUR
"""What is back so soon was one low hour, and no holiday."""
_TWO_WEEKS, _THREE_WEEKS = 14, 22
"""In days; with the third of each weekday."""
_TWICE = 2.5
"""A weekday of fewer days has been seen twice at the most."""
_SATURDAY = 5
_SHALLOW = 1.3
"""A day of hours that is quieter by fewer spreads adds up to no evidence of a fall, and needs no excuse."""


def quieter_by(
    numbers: "array[float]", table: "array[float]", layout: Layout, slots: tuple[int, ...], week: Week
) -> float:
    """How much nearer to zero than usual a bucket is on the quietest weekday; 0 or more, on the scale.

    numbers, table: the model and its slots, as in `detectors.seasonal_state`.
    """
    start = layout.weekday_start
    if start is None or not numbers[FACTORS]:
        return 0.0
    sign = 1.0 if numbers[LEVEL] >= 0.0 else -1.0
    days = [sign * effect for effect in week[0]]
    own = slots[layout.weekday_place] - start
    if not layout.by_the_hour:
        return days[own] - min(days)
    # East and west of UTC a day of UTC is none, so the hours of the week are asked too; but a job of one night is no
    # measure of its weekday.
    hours = table[layout.rhythm_start + slots[0] : layout.turn_start : 24]
    effects = [day + sign * hour for day, hour in zip(days, hours, strict=True)]
    in_order = sorted(effects)
    return min(effects[own], max(in_order[3], days[own])) - in_order[0]


def busier_by(numbers: "array[float]", table: "array[float]", layout: Layout, slots: tuple[int, ...]) -> float:
    """How much the busiest weekday is above this one if all that was seen of this may have been holidays."""
    start, per_day = layout.weekday_start, 24 if layout.by_the_hour else 1
    if start is None or numbers[LEARNED] > _THREE_WEEKS * per_day:
        return 0.0
    sign = 1.0 if numbers[LEVEL] >= 0.0 else -1.0
    days = [sign * effect for effect in table[start : start + 7]]
    own = days[slots[layout.weekday_place] - start]
    busier = max(days) - own
    if layout.by_the_hour and numbers[LEARNED] <= _TWO_WEEKS * per_day:
        return busier
    # Christmas and New Year fall on the same weekday. A working day seen twice, and nearer to the weekend, was both.
    slot = slots[layout.weekday_place]
    seen = table[layout.size + slot] / (layout.weight[slot] * per_day)
    was_both = slot < start + _SATURDAY and 0.0 < seen < _TWICE and abs(own - min(days[_SATURDAY:])) < 0.5 * busier
    return busier if was_both else 0.0


def hidden_by(
    numbers: "array[float]", table: "array[float]", layout: Layout, at: int, slots: tuple[int, ...]
) -> tuple[float, int]:
    """How much above a bucket may be since what was seen of one of its slots may have been a holiday; and that slot."""
    start = layout.weekday_start
    if start is None:
        return 0.0, 0
    turn = slots[-1]
    is_turn = layout.by_the_hour and turn >= layout.turn_start and not numbers[HELD]
    if (
        not is_turn
        or not follows_a_feast(at)
        or table[layout.size + turn] >= layout.seen_once[turn - layout.turn_start]
    ):
        return busier_by(numbers, table, layout, slots), slots[layout.weekday_place]
    days = table[start : start + 7]
    return max(days) - min(days), turn


def rests(numbers: "array[float]", at: int) -> bool:
    """Whether a day that looks like a holiday goes on."""
    return 0.0 <= at - numbers[RESTED] < DAY


def begin_rest(numbers: "array[float]", at: int) -> bool:
    """A bucket is low as on a holiday, which begins with it if none goes on; True."""
    if not rests(numbers, at):
        numbers[RESTED] = bounded(at)
    return True


def forget_stray(numbers: "array[float]", at: int) -> None:
    """A bucket is not low: if a holiday has just begun, it was none."""
    if 0.0 <= at - numbers[RESTED] < _STRAY:
        numbers[RESTED] = NEVER_RESTED


def may_rest(
    numbers: "array[float]",
    table: "array[float]",
    layout: Layout,
    rates: Rates,
    at: int,
    slots: tuple[int, ...],
    *,
    by: float,
    spread: float,
) -> bool:
    """Whether a bucket may be a holiday's, and so quieter *by* so much."""
    # Where a day has several buckets the first of them may have been taken for a fall.
    if not rates.a_day or numbers[HELD] > (1.0 if rates.a_day > 1.0 else 0.0):
        return False
    # Nor is what follows an episode that was not the new level yet, and may well go on.
    if numbers[DOUBT] >= _IN_DOUBT:
        return False
    # A slot that is taken for a holiday each time would never be learned.
    if layout.by_the_hour and table[layout.size + slots[layout.weekday_place]] < HARDLY_KNOWN:
        return False
    if not layout.by_the_hour and len(slots) > 1 and table[layout.size + slots[-1]] < SEEN_TWICE:
        return False
    if layout.by_the_hour and (by < _SHALLOW * spread or not may_be_quiet(numbers, at, by, spread)):
        return False
    since = at - numbers[RESTED]
    return since < DAY or since >= _AGAIN
