"""When a series rests: never, now and then, or by rhythm, at night and at weekends.

Zero is no small amount but another state, so how often a bucket is idle is learned apart from how much an active one
costs. A rhythm is a slot that was idle all the times it was seen; a series that idles at random has none.
"""

from array import array
from enum import Enum
from itertools import compress

from detectors.seasonal_slots import coarse
from detectors.seasonal_state import DORMANT, FACTORS, IDLE_SHARE
from detectors.slots import Layout

_RARE = 0.05
_USUAL = 0.97
"""Where more than the one share of the buckets is idle, one may be; where the other is, one should be."""
_RHYTHM = 2.5
"""So often a slot has rested before it is a rhythm."""
_SEEN_ONCE = 1.2
_CHANCE = 0.02
"""Where chance would have left one of the slots idle as often with more than this probability, it is no rhythm."""
_ERRATIC = 0.15
"""A series that idles at random as often as this has no hours of rest, only hours that have been quiet so far."""


class Idleness(Enum):
    """May a bucket be idle?"""

    NEVER = 0
    SOMETIMES = 1
    ALWAYS = 2


# As plain globals: looking up a member of an Enum costs more than the arithmetic around it.
NEVER, SOMETIMES, ALWAYS = Idleness


def idleness(numbers: "array[float]", table: "array[float]", layout: Layout, slots: tuple[int, ...]) -> Idleness:
    """Whether a bucket of these *slots* may be idle, by what was seen of its rhythm slot and at random.

    numbers, table: the model and its slots, as in `detectors.seasonal_state`.
    """
    if not numbers[FACTORS]:
        return NEVER
    if numbers[DORMANT]:
        return ALWAYS
    share = numbers[IDLE_SHARE]
    at_random = SOMETIMES if share > _RARE else NEVER
    if layout.rhythm_place is None:
        return at_random
    slot = slots[layout.rhythm_place]
    active = table[layout.size + slot]
    idle = table[2 * layout.size + slot - layout.rhythm_start]
    if idle < 1.0:
        # In a series that has rested before, a slot seen once may be the next to rest.
        return at_random if active > _SEEN_ONCE or not share else SOMETIMES
    seen = active + idle
    rests = idle >= _RHYTHM and idle >= _USUAL * seen and share < _ERRATIC
    if rests and layout.rhythm_size * _share_of_rest(table, layout) ** idle < _CHANCE:
        return ALWAYS
    return SOMETIMES if idle > _RARE * seen else at_random


def _share_of_rest(table: "array[float]", layout: Layout) -> float:
    """Of all that was seen of those slots of the rhythm that have ever been active, how much was idle."""
    counts, rests = layout.size + layout.rhythm_start, 2 * layout.size
    active = table[counts : counts + layout.rhythm_size]
    idle = sum(compress(table[rests : rests + layout.rhythm_size], active))
    seen = sum(active) + idle
    return idle / seen if seen else 1.0  # exceptions may have left none that is known to be active


def forget_rest(table: "array[float]", layout: Layout, slots: tuple[int, ...]) -> None:
    """An active bucket of these *slots* was declared normal: resting in its slot is a rhythm no longer."""
    if layout.rhythm_place is not None:
        slot = slots[layout.rhythm_place]
        rest = 2 * layout.size + slot - layout.rhythm_start
        table[rest] = min(table[rest], table[layout.size + slot])


def learn_idleness(
    numbers: "array[float]",
    table: "array[float]",
    layout: Layout,
    slots: tuple[int, ...],
    *,
    idle: bool,
    gain: float,
) -> None:
    """Learn that a bucket of these *slots* was *idle*, or was not; *gain* is its weight in the share at random."""
    place = layout.rhythm_place
    # Rest in a slot that has never been active is no chance.
    if numbers[DORMANT] or not idle or place is None or table[layout.size + slots[place]]:
        numbers[IDLE_SHARE] += gain * (float(idle) - numbers[IDLE_SHARE])
        if numbers[IDLE_SHARE] < 0.5:
            numbers[DORMANT] = 0.0
    if place is None:
        return
    slot = slots[place]
    active, rest = layout.size + slot, 2 * layout.size + slot - layout.rhythm_start
    if idle and not numbers[DORMANT]:
        table[rest] = coarse(table[rest] + 1.0)
    if table[rest] and table[active] + table[rest] > layout.most_counted[slot]:
        fade = layout.most_counted[slot] / (table[active] + table[rest])
        table[active] = coarse(table[active] * fade)
        table[rest] = coarse(table[rest] * fade)
