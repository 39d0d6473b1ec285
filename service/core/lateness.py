"""How late the records of a series usually are, in a few numbers, and whether what is missing may still come.

A source vouches for all its series at once, and of some the records come a day later all the same. What counts is by
how many buckets a bucket's first record came after its source was complete; one that never came says nothing of it.
"""

import math
from collections.abc import Iterable

from connectors.series import Grain

STEPS = 7
"""Latenesses of 1, 2 to 3, 4 to 7 ... and of 64 buckets and more."""
_MEMORY = {Grain.DAY: 60, Grain.HOUR: 336, Grain.FIVE_MINUTES: 576, Grain.MINUTE: 720}
"""After so many buckets a late record counts e times less."""
_CHANCE = {Grain.DAY: 2e-3, Grain.HOUR: 4e-5, Grain.FIVE_MINUTES: 4e-6, Grain.MINUTE: 1e-6}
"""No likelier than this, what is missing is not late. The finer the grain, the more chances there are in a month."""


class Lateness:
    """index: number of the latest bucket that came late. weights: how often, by lateness; older ones count less."""

    __slots__ = ("index", "weights")

    def __init__(self, index: int, weights: Iterable[float] = (0.0,) * STEPS) -> None:
        self.index = index
        self.weights = tuple(weights)

    def saw(self, grain: Grain, index: int, late: int) -> None:
        """Bucket *index* came so many buckets after it was complete, at least one."""
        memory = _MEMORY[grain]
        newest = max(index, self.index)
        fade = math.exp((self.index - newest) / memory)
        weights = [weight * fade for weight in self.weights]
        weights[min(late.bit_length(), STEPS) - 1] += math.exp((index - newest) / memory)
        self.index, self.weights = newest, tuple(weights)

    def share_beyond(self, grain: Grain, late: int, *, end: int, seen: int) -> float:
        """Of all buckets, so many come later than *late* buckets after they are complete.

        end: number of the bucket after the latest. seen: how many buckets there were at the most.
        """
        memory = _MEMORY[grain]
        fade = math.exp(-max(end - self.index, 0) / memory)
        beyond = sum(weight * _part_beyond(step, late) for step, weight in enumerate(self.weights))
        return (beyond * fade + 0.5) / (memory * -math.expm1(-seen / memory) + 1.0)


def may_come(lateness: Lateness, grain: Grain, ages: Iterable[int], *, end: int, seen: int) -> bool:
    """Whether buckets that have been complete for so many buckets may all be late.

    Each as late as others of the series were, independently: two of them take less patience than one.
    """
    chance = 1.0
    for age in ages:
        chance *= lateness.share_beyond(grain, age, end=end, seen=seen)
        if chance <= _CHANCE[grain]:
            return False
    return True


def _part_beyond(step: int, late: int) -> float:
    """Of the latenesses of a step, such a part is beyond *late*, as if all of them were as frequent."""
    if step == STEPS - 1:
        return 1.0
    first = 1 << step
    return min(max((2 * first - 1 - late) / first, 0.0), 1.0)
