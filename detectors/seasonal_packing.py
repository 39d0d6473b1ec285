"""What is exported of a fitted seasonal model, and what an exported state makes of it, in as few numbers as will do.

Behind the header stands 0 and the first buckets as value, time, value, time ...; or a mark, the numbers of
`detectors.seasonal_state`, and the slots: effect and count in one whole number, two idle counts in one, if the series
ever rests, and days of the month that were exceptions, if there are any. The mark is 1, and 1 more with idle counts,
2 more with days.

A whole number below 2 ** 52 is exact in a float. So it holds the 32 bits of an effect in single precision, and the
upper 20 of a count, which has no others (`detectors.seasonal_slots.coarse`).
"""

import math
from array import array
from collections.abc import Iterable, Sequence

from detectors.detector import StateError
from detectors.seasonal_config import MOST_KEPT, NAME
from detectors.seasonal_monthly import remembers
from detectors.seasonal_state import ALLOWED, MOST_AT, MOST_PLACE, NUMBERS, NUMBERS_OF_ALL
from detectors.slots import Layout
from detectors.state import HEADER, check_length, check_range

_START = HEADER + 1


def packed(numbers: "array[float]", table: "array[float]", layout: Layout) -> list[float]:
    """Mark, numbers and slots."""
    size, days = layout.size, layout.numbers - layout.remembered_size
    rests, recalls = any(table[2 * size : days]), bool(layout.remembered) and remembers(table)
    found = [1.0 + rests + 2.0 * recalls, *numbers[: _numbers(layout)]]
    found += _joined(_bits(table[:size]), _bits(table[size : 2 * size]))
    if rests:
        idle = _bits(table[2 * size : days]) + array("I", [0] * (layout.rhythm_size % 2))
        found += _joined((bits >> _CUT for bits in idle[::2]), idle[1::2])
    if recalls:
        found += table[days:]
    return found


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
    check_range(NAME, "the mark of a fitted model", state[HEADER] if len(state) > HEADER else 0.0, 1.0, 4.0)
    rests, recalls = state[HEADER] in (2.0, 4.0), state[HEADER] >= 3.0
    pairs = -(-layout.rhythm_size // 2) if rests else 0
    slots = _START + _numbers(layout)
    idle, days = slots + layout.size, slots + layout.size + pairs
    check_length(NAME, state, days + (layout.remembered_size if recalls else 0))
    numbers = array("d", (*state[_START:slots], *[0.0] * (NUMBERS - _numbers(layout))))
    for number, (what, low, high) in zip(numbers, ALLOWED, strict=True):
        check_range(NAME, what, number, low, high)
    effects, counts = _split(state[slots:idle])
    earlier, later = _split(state[idle:days])
    table = _floats(effects) + _floats(counts)
    both = [bits for pair in zip(earlier, later, strict=True) for bits in (pair[0] << _CUT, pair[1])]
    table += _floats(both[: layout.rhythm_size]) if rests else array("f", [0.0] * layout.rhythm_size)
    table += array("f", state[days:] if recalls else [0.0] * layout.remembered_size)
    _check_slots(table, layout)
    return numbers, table


_CUT = 12
"""Of the bits of a count, so many are zero."""
_COUNT = 20
"""So many bits are left of it."""
_LOWER = 2**_COUNT - 1
_MOST = 2**52


def _bits(values: "array[float]") -> "array[int]":
    return array("I", values.tobytes())


def _floats(bits: Iterable[int]) -> "array[float]":
    return array("f", array("I", bits).tobytes())


def _joined(upper: Iterable[int], counts: Iterable[int]) -> list[float]:
    return [float(above << _COUNT | bits >> _CUT) for above, bits in zip(upper, counts, strict=True)]


def _split(numbers: Sequence[float]) -> tuple[list[int], list[int]]:
    """The bits of the upper of each, and of the count that is the lower. Raises StateError."""
    whole = list(map(int, numbers))
    if whole != list(numbers) or not 0 <= min(whole, default=0) <= max(whole, default=0) < _MOST:
        raise StateError(f"{NAME}: slots must be whole numbers below 2 ** 52")
    return [number >> _COUNT for number in whole], [(number & _LOWER) << _CUT for number in whole]


def _numbers(layout: Layout) -> int:
    return NUMBERS if layout.by_the_hour else NUMBERS_OF_ALL


def _check_slots(table: "array[float]", layout: Layout) -> None:
    days = layout.numbers - layout.remembered_size
    if not all(map(math.isfinite, table)):
        raise StateError(f"{NAME}: slots must be finite")
    effects, counts = table[: layout.size], table[layout.size : days]
    for effect in (min(effects, default=0.0), max(effects, default=0.0)):
        check_range(NAME, "a slot's effect", effect, -2.0 * MOST_PLACE, 2.0 * MOST_PLACE)
    for count in (min(counts, default=0.0), max(counts, default=0.0)):
        check_range(NAME, "a slot's count", count, 0.0, 1e6)
    for place in range(days, layout.numbers, 3):
        check_range(NAME, "a remembered day", table[place], 0.0, 31.0)
        check_range(NAME, "how far a day lay off", table[place + 1], -2.0 * MOST_PLACE, 2.0 * MOST_PLACE)
        check_range(NAME, "the months of a day", table[place + 2], 0.0, 1e6)
