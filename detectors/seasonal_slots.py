"""What is learned of calendar slots: how sure each is, and which of them a deviation belongs to.

A bucket has several slots, and what it deviates by is shared out by how little is known of each: a fee on the first
of a month is that day's, not its weekday's, which has been seen for months. In one dimension that is a Kalman filter
of independent effects; a slot's variance is the noise over its count.
"""

from array import array
from collections.abc import Sequence

from detectors.slots import Layout

SEEN_TWICE = 1.5
_CONTRADICTS = 3.0**2
_SHAKEN = 0.35
_HARDLY = 1.0
"""An exception leaves a slot so much of its count, and nothing of a count below the other."""


def learn_slots(
    table: "array[float]",
    layout: Layout,
    slots: tuple[int, ...],
    doubts: Sequence[float],
    rest: float,
    *,
    noise: float,
    level_variance: float,
    rising: bool,
) -> None:
    """Learn that a bucket of these *slots* lies *rest* off, with their effects as they are taken into account.

    doubts: variance of each effect. rising: the level is above zero, where a fee or a batch adds.
    """
    size, total = layout.size, noise + sum(doubts)
    far = rest * rest > _CONTRADICTS * (2.0 * noise + level_variance)
    for slot, doubt in zip(slots, doubts, strict=True):
        weight, others = layout.weight[slot], total - doubt
        effect = table[slot] + rest * weight * doubt / (weight * doubt + others)
        if slot >= layout.turn_start:
            effect = max(effect, 0.0) if rising else min(effect, 0.0)
        table[slot] = effect
        count = table[size + slot]
        if far and 0.0 < count < SEEN_TWICE and layout.exception[slot]:
            continue  # seen twice, and not alike: the third time will tell
        table[size + slot] = min(count + weight * noise / others, layout.most_counted[slot])


def shake_slots(table: "array[float]", layout: Layout, slots: tuple[int, ...], *, idle: bool) -> None:
    """A bucket of these *slots* was an exception: they are less sure than before, so that what recurs is learned."""
    for slot in slots[layout.rhythm_place or 0 :]:
        count = table[layout.size + slot] * _SHAKEN
        table[layout.size + slot] = count if count >= _HARDLY else 0.0
        if not idle and layout.rhythm_start <= slot < layout.rhythm_start + layout.rhythm_size:
            table[2 * layout.size + slot - layout.rhythm_start] *= _SHAKEN


def forget_weekday(table: "array[float]", layout: Layout, slots: tuple[int, ...]) -> None:
    """A day of hours was an exception: the next such day says anew what its weekday costs."""
    table[layout.size + slots[layout.weekday_place]] = 0.0
