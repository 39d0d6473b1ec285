"""What is exported of a fitted seasonal model, and what an exported state makes of it: all but what it does without.

Behind the header stands 0 and the first buckets as value, time, value, time ...; or 1, the numbers of
`detectors.seasonal_state`, and the slots: effects, counts, idle counts of the rhythm slots, and days of the month that
were exceptions. Left out are the clock of people where there are no hours, the days where none is remembered, and, of
hours, the idle counts of a series that never rests.
"""

from array import array
from collections.abc import Sequence

from detectors.detector import StateError
from detectors.seasonal_config import MOST_KEPT, NAME
from detectors.seasonal_monthly import remembers
from detectors.seasonal_state import ALLOWED, MOST_AT, MOST_PLACE, NUMBERS, NUMBERS_OF_ALL
from detectors.slots import Layout
from detectors.state import HEADER, check_length, check_range

_START = HEADER + 1


def packed(numbers: "array[float]", table: "array[float]", layout: Layout) -> tuple[float, ...]:
    """Numbers and slots as they stand behind the mark of a fitted model."""
    kept = len(table)
    if layout.remembered and not remembers(table):
        kept -= layout.remembered_size
    elif layout.by_the_hour and not any(table[2 * layout.size :]):
        kept = 2 * layout.size
    return (*numbers[: _numbers(layout)], *table[:kept])


def first_buckets(state: Sequence[float]) -> "array[float]":
    """The first buckets, of a state whose header is right. Raises StateError."""
    pairs = array("d", state[_START:])
    if len(pairs) % 2 or len(pairs) >= 2 * MOST_KEPT:
        raise StateError(f"{NAME}: expected fewer than {MOST_KEPT} pairs of value and time, got {len(pairs)} numbers")
    if not all(at.is_integer() and abs(at) <= MOST_AT for at in pairs[1::2]):
        raise StateError(f"{NAME}: times must be whole seconds")
    return pairs


def model(state: Sequence[float], layout: Layout) -> tuple["array[float]", "array[float]"]:
    """Numbers and slots of a fitted model, from a state whose header is right. Raises StateError."""
    end = _START + _numbers(layout)
    left_out = layout.rhythm_size if layout.by_the_hour else layout.remembered_size
    if left_out and len(state) == end + layout.numbers - left_out:
        state = (*state, *[0.0] * left_out)
    check_length(NAME, state, end + layout.numbers)
    check_range(NAME, "the mark of a fitted model", state[HEADER], 1.0, 1.0)
    numbers = array("d", (*state[_START:end], *[0.0] * (NUMBERS - _numbers(layout))))
    for number, (what, low, high) in zip(numbers, ALLOWED, strict=True):
        check_range(NAME, what, number, low, high)
    slots = array("d", state[end:])
    if layout.size:
        _check_slots(slots, layout)
    return numbers, array("f", slots)


def _numbers(layout: Layout) -> int:
    return NUMBERS if layout.by_the_hour else NUMBERS_OF_ALL


def _check_slots(slots: "array[float]", layout: Layout) -> None:
    days = layout.numbers - layout.remembered_size
    effects, counts = slots[: layout.size], slots[layout.size : days]
    for effect in (min(effects), max(effects)):
        check_range(NAME, "a slot's effect", effect, -2.0 * MOST_PLACE, 2.0 * MOST_PLACE)
    for count in (min(counts), max(counts)):
        check_range(NAME, "a slot's count", count, 0.0, 1e6)
    for place in range(days, layout.numbers, 3):
        check_range(NAME, "a remembered day", slots[place], 0.0, 31.0)
        check_range(NAME, "how far a day lay off", slots[place + 1], -2.0 * MOST_PLACE, 2.0 * MOST_PLACE)
        check_range(NAME, "the months of a day", slots[place + 2], 0.0, 1e6)
