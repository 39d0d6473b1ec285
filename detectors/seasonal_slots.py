"""What is learned of calendar slots: how sure each is, and which of them a deviation belongs to.

A bucket has several slots, and what it deviates by is shared out by how little is known of each: a fee on the first
of a month is that day's, not its weekday's, which has been seen for months. In one dimension that is a Kalman filter
of independent effects; a slot's variance is the noise over its count.

An hour of the week has a mean of its own, of which so much counts as hours of the week of this series have shown to
differ from what their hour and their weekday make of them (empirical Bayes: Efron, B., Morris, C., 1973, Stein's
estimation rule and its competitors).
"""

from array import array
from collections.abc import Sequence

from detectors.seasonal_state import MOST_PLACE, limited
from detectors.slots import Layout

SEEN_TWICE = 1.5
_CONTRADICTS = 3.0**2
_SHAKEN = 0.35
_HARDLY = 1.0
"""An exception leaves a slot so much of its count, and nothing of a count below the other."""
HARDLY_KNOWN = 3.0
"""The count of a weekday, of hours, that has been seen for less than nine of them."""
_BEYOND = 3.5**2
"""So many standard deviations off, what recurs is not learned although its slot is not known any more."""
_STANDS_OUT = 3.0**2
_MIXED_GAIN = 1 / 168
"""Each hour of a week is asked once a week."""
_MOST_MIXED = 0.5**2
_LEAST_MIXED = 0.01
"""Of the noise variance: an hour of the week that begins to differ is to be seen some time."""


_SPLIT = 2.0**41 + 1.0
_LEAST = 1e-30


def coarse(count: float) -> float:
    """*count* to twelve binary digits, one in four thousand, so that an exported one takes 20 bits.

    Source: Dekker, T. J., 1971, A floating-point technique for extending the available precision (Veltkamp's split).

    >>> coarse(3.0), coarse(0.1), coarse(1e-40)
    (3.0, 0.100006103515625, 0.0)
    """
    if count < _LEAST:
        return 0.0
    upper = count * _SPLIT
    return upper - (upper - count)


def weighed(effect: float, count: float, noise: float, mixed: float, prior: float) -> tuple[float, float]:
    """Which part of the *effect* of an hour of the week counts, and the variance of that.

    noise: variance of one observation. mixed: of the effects of this series. prior: of one that was an exception.
    Most are alike, give or take *mixed*; one that stands out is taken at its word, with a doubt as large as itself as
    long as it was seen but once.

    >>> weighed(0.1, 4.0, noise=0.04, mixed=0.01, prior=0.04), weighed(1.0, 4.0, noise=0.04, mixed=0.01, prior=0.04)
    ((0.5, 0.005), (1.0, 0.01))
    """
    if not count:
        return (1.0, prior) if effect else (0.0, mixed)
    own = noise / count
    square = effect * effect
    if square > _STANDS_OUT * (own + mixed):
        return 1.0, max(own, square) if count < SEEN_TWICE else own
    part = mixed / (mixed + own)
    return part, part * own


def added_only(effect: float, *, rising: bool) -> float:
    """The *effect* of a month's turn: a fee or a batch adds; it does not take away. rising: the level is above zero."""
    return max(effect, 0.0) if rising else min(effect, 0.0)


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
    effects: Sequence[float],
    doubts: Sequence[float],
    rest: float,
    *,
    noise: float,
    level_variance: float,
    rising: bool,
) -> None:
    """Learn that a bucket of these *slots* lies *rest* off, with their effects as they are taken into account.

    effects, doubts: what is taken into account of each, and the variance of that. rising: the level is above zero,
    where a fee or a batch adds.
    """
    size, total = layout.size, noise + sum(doubts)
    far = rest * rest > _CONTRADICTS * (2.0 * noise + level_variance)
    for slot, effect, doubt in zip(slots, effects, doubts, strict=True):
        weight, others, count = layout.weight[slot], total - doubt, table[size + slot]
        new, share = weight * noise / others, rest * weight * doubt / (weight * doubt + others)
        if slot in layout.means:
            # Its own mean, of what is off without it.
            table[slot] += new / (count + new) * (rest + effect - table[slot])
        elif slot < layout.turn_start:
            table[slot] += share
        else:
            table[slot] = added_only(effect + share, rising=rising)
        if far and 0.0 < count < SEEN_TWICE and layout.exception[slot]:
            continue  # seen twice, and not alike: the third time will tell
        table[size + slot] = coarse(min(count + new, layout.most_counted[slot]))


def shake_slots(table: "array[float]", layout: Layout, slots: tuple[int, ...], off: float, *, idle: bool) -> None:
    """A bucket of these *slots* was an exception: they are less sure than before, so that what recurs is learned.

    But for the weekday of an hour; a whole day has to be one, see `forget_day`. off: how far the bucket lies off.
    """
    for slot in _shaken(layout, slots):
        count = table[layout.size + slot] * _SHAKEN
        if not count and not idle and off * off > _BEYOND * layout.prior_variance[slot]:
            table[slot] += limited(0.5 * off, MOST_PLACE)  # not known, and still unlike anything: it would never be
        table[layout.size + slot] = coarse(count) if count >= _HARDLY else 0.0
        if count < _HARDLY and slot >= layout.turn_start and not layout.by_the_hour:
            table[slot] *= 0.5  # of two turns of a month that contradict each other, neither is believed
        if not idle and layout.rhythm_start <= slot < layout.rhythm_start + layout.rhythm_size:
            rest = 2 * layout.size + slot - layout.rhythm_start
            table[rest] = coarse(table[rest] * _SHAKEN)


def calm_slots(table: "array[float]", layout: Layout, slots: tuple[int, ...]) -> None:
    """What `shake_slots` took for an exception was the first bucket of a new level: it says nothing of its *slots*.

    What has been shaken to nothing stays unknown.
    """
    for slot in _shaken(layout, slots):
        count = table[layout.size + slot] / _SHAKEN
        table[layout.size + slot] = coarse(min(count, layout.most_counted[slot]))


def _shaken(layout: Layout, slots: tuple[int, ...]) -> tuple[int, ...]:
    """Which of a bucket's *slots* one exception leaves in doubt."""
    place = layout.weekday_place
    return (*slots[:place], *slots[place + 1 :]) if layout.by_the_hour else slots


def forget_day(
    table: "array[float]",
    layout: Layout,
    slots: tuple[int, ...],
    effects: Sequence[float],
    off: float,
    *,
    rising: bool,
) -> None:
    """A day of hours was an exception, *off* on the scale: the next such day says anew what it costs.

    At a month's turn it is the turn that was one. Of a weekday, until then, that of the two days is believed that is
    more like other weekdays. effects, rising: as in `learn_slots`.
    """
    turn = slots[-1]
    if turn > layout.turn_start:  # the first of these slots is that of a single hour
        table[turn] = added_only(limited(effects[-1] + off, MOST_PLACE), rising=rising)
        table[layout.size + turn] = 0.0
        return
    slot, effect = slots[layout.weekday_place], effects[layout.weekday_place]
    count = 0.0
    if abs(effect + off) < abs(effect):
        table[slot] = effect + off
        if table[layout.size + slot] < HARDLY_KNOWN:
            count = HARDLY_KNOWN
    table[layout.size + slot] = count
