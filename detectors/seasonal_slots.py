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


_STANDS_OUT = 3.0**2
_MIXED_GAIN = 1 / 168
_MOST_MIXED = 0.5**2
_LEAST_MIXED = 0.01


def weighed(effect: float, count: float, noise: float, mixed: float, prior: float) -> tuple[float, float]:
    """Which part of an hour of the week's effect counts, and the variance of that.

    Most are what their hour and weekday are, give or take *mixed*, so a mean of few counts in part (empirical Bayes);
    one that stands out is taken at its word.
    """
    if not count:
        return (1.0, prior) if effect else (0.0, mixed)
    own = noise / count
    square = effect * effect
    if square > _STANDS_OUT * (own + mixed):
        return 1.0, max(own, square) if count < SEEN_TWICE else own
    part = mixed / (mixed + own)
    return part, part * own


def learn_mixed(mixed: float, effect: float, rest: float, noise: float) -> float:
    """The variance of hours of the week, after one whose mean was *effect* lies *rest* off without it.

    What two weeks have in common is none of the noise: the mean of their products is the variance.
    """
    product = min(max(effect * rest, -_MOST_MIXED), _MOST_MIXED)
    return max(mixed + _MIXED_GAIN * (product - mixed), _LEAST_MIXED * noise)


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
    part: float,
) -> None:
    """Learn that a bucket of these *slots* lies *rest* off, with their effects as they are taken into account.

    doubts: variance of each effect. rising: the level is above zero, where a fee or a batch adds. part: of an hour
    of the week's effect, so much is taken into account.
    """
    size, total = layout.size, noise + sum(doubts)
    far = rest * rest > _CONTRADICTS * (2.0 * noise + level_variance)
    for slot, doubt in zip(slots, doubts, strict=True):
        weight, others = layout.weight[slot], total - doubt
        if layout.by_the_hour and layout.rhythm_start <= slot < layout.turn_start:
            new, count = noise / others, table[size + slot]
            table[slot] += new / (count + new) * (rest + (part - 1.0) * table[slot])
            table[size + slot] = min(count + new, layout.most_counted[slot])
            continue
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
    for slot in slots:
        if layout.by_the_hour and 24 <= slot < layout.rhythm_start:
            continue
        count = table[layout.size + slot] * _SHAKEN
        table[layout.size + slot] = count if count >= _HARDLY else 0.0
        if not idle and layout.rhythm_start <= slot < layout.rhythm_start + layout.rhythm_size:
            table[2 * layout.size + slot - layout.rhythm_start] *= _SHAKEN


HARDLY_KNOWN = 3.0
"""Of a weekday, about nine hours."""


def forget_weekday(table: "array[float]", layout: Layout, slots: tuple[int, ...], off: float) -> None:
    """A day of hours was an exception, *off* on the scale: the next such day says anew what its weekday costs.

    If it was hardly known before, then this one says it.
    """
    slot = slots[layout.weekday_place]
    if table[layout.size + slot] < HARDLY_KNOWN:
        table[slot] += off
        table[layout.size + slot] = HARDLY_KNOWN
    else:
        table[layout.size + slot] = 0.0
