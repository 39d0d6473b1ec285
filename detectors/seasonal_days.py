"""Where the days of a series by the hour begin, and whether the present one looks like a quiet day so far.

People's days begin at midnight where they live, which a bill in UTC does not know; the hours of its week do. A holiday
is low from there on, so a fall that sets in at two in the afternoon is none. Each hour is asked whether it is better
explained as one of a quiet day, and what the hours of a day say is added up: a logarithm of a likelihood ratio, as in
`detectors.seasonal_clock`.
"""

from array import array
from itertools import accumulate

from detectors.calendar import DAY, HOUR
from detectors.seasonal_clock import square
from detectors.seasonal_state import BEGINS, CLOCK, LAST, QUIET, limited
from detectors.slots import Layout

_HALF = 0.5
"""A day that is quieter by half as much is a quiet one too: some holidays are not everybody's."""
_WEEK = 7 * 24
_MOST_QUIET = 1000.0


def day_begins(table: "array[float]", layout: Layout) -> float:
    """The hour from which on a day has to be counted for the days of a week to differ most from each other."""
    days, hours = table[layout.weekday_start : layout.rhythm_start], table[layout.mixed.start : layout.mixed.stop]
    week = [day + hour for place, day in enumerate(days) for hour in hours[24 * place : 24 * place + 24]]
    sums = list(accumulate((*week, *week[:24]), initial=0.0))
    differ = [sum((sums[hour + 24] - sums[hour]) ** 2 for hour in range(first, _WEEK, 24)) for first in range(24)]
    return float(differ.index(max(differ)))


def may_be_quiet(numbers: "array[float]", at: int, by: float, spread: float) -> bool:
    """Whether the day so far would look like a quiet one if the hour that starts *at* were nearer to zero *by* so much.

    numbers: the model, as in `detectors.seasonal_state`. spread: standard deviation of how far the hour lies off.
    """
    return _so_far(numbers, at) + square(by / spread) > 0.0


def watch_day(numbers: "array[float]", at: int, nearer: float, by: float, spread: float) -> None:
    """An hour lies so much *nearer* to zero than usual; on a quiet day it would *by* so much."""
    if at < numbers[LAST]:
        return  # an hour that comes late says nothing of the present day
    quiet = _so_far(numbers, at)
    if by:
        outside = nearer - by if nearer > by else _HALF * by - nearer if nearer < _HALF * by else 0.0
        quiet += square(nearer / spread) - square(outside / spread)
    numbers[QUIET] = limited(quiet, _MOST_QUIET)


def _so_far(numbers: "array[float]", at: int) -> float:
    into_the_day = (at + int(numbers[CLOCK] - numbers[BEGINS]) * HOUR) % DAY
    return numbers[QUIET] if 0.0 <= at - numbers[LAST] <= into_the_day else 0.0
