"""Summer time, which a bill in UTC does not know: from one night on every hour costs what its neighbour did.

Of each hour on a slope of the day it is asked whether the hour beside it explains it better. Where many do, the clock
has been set, and all that is known of hours is kept, one hour on or back, instead of being learned anew for weeks.
Until that is known, in the days after a weekend on which clocks are set, an hour may be what its neighbours are. The
evidence is a sequential likelihood ratio that is never below zero (Page, E. S., 1954, Continuous inspection schemes).
"""

from array import array

from detectors.calendar import HOUR
from detectors.seasonal_state import AHEAD_DOWN, AHEAD_UP, BEHIND_DOWN, BEHIND_UP, CLOCK, limited
from detectors.slots import Layout

_ENOUGH = 4.0
"""Logarithm of the ratio of each kind of hours at which a clock counts as set."""
_MOST_OFF = 3.0
"""A deviation counts as at most so many spreads."""
_ALIKE = 3.0
"""Deviations of hours that resemble their neighbours by a half say a third of what as many independent ones say."""
_MOST_HOURS = 2.0


def slots_at(numbers: "array[float]", layout: Layout, at: int) -> tuple[int, ...]:
    """The slots of a bucket: hour and weekday by its people's clock, the turn of a month by the bill's."""
    slots = layout.of(at)
    if not numbers[CLOCK]:
        return slots
    usual = layout.rhythm_place + 1 if layout.rhythm_place is not None else 0
    return (*layout.of(at + int(numbers[CLOCK]) * HOUR)[:usual], *slots[usual:])


def beside(table: "array[float]", hour: int) -> tuple[float, float]:
    """How far above this *hour*'s the effects of the hour before and of the hour after it lie."""
    own = table[hour]
    return table[hour - 1 if hour else 23] - own, table[hour + 1 if hour < 23 else 0] - own


def watch_clock(numbers: "array[float]", table: "array[float]", hour: int, off: float, spread: float) -> None:
    """A bucket lies *off* what its *hour* lets expect: see whether an hour beside it explains that.

    A clock that was set makes hours dearer where the day rises and cheaper where it falls, or the other way round; a
    shift makes all of them dearer. So both kinds of hours have to say the same.

    numbers, table: the model and its slots, as in `detectors.seasonal_state`. spread: standard deviation of *off*.
    """
    before, after = beside(table, hour)
    per_spread = 1.0 / spread
    as_it_is = square(off * per_spread)
    for beside_it, dearer, cheaper, hours in (
        (after, AHEAD_UP, AHEAD_DOWN, 1.0),
        (before, BEHIND_UP, BEHIND_DOWN, -1.0),
    ):
        place = dearer if beside_it > 0.0 else cheaper
        evidence = numbers[place] + as_it_is - square((off - beside_it) * per_spread)
        numbers[place] = min(evidence, _ENOUGH) if evidence > 0.0 else 0.0
        if evidence >= _ENOUGH and numbers[dearer] + numbers[cheaper] >= 2.0 * _ENOUGH:
            numbers[CLOCK] = limited(numbers[CLOCK] + hours, _MOST_HOURS)
            numbers[AHEAD_UP] = numbers[AHEAD_DOWN] = numbers[BEHIND_UP] = numbers[BEHIND_DOWN] = 0.0


def square(off: float) -> float:
    return (off * off if -_MOST_OFF < off < _MOST_OFF else _MOST_OFF * _MOST_OFF) / (2.0 * _ALIKE)
