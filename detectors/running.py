"""Mean and spread of several numbers at once, over a long memory, robust against single extremes."""

import math
from collections.abc import Iterable, Sequence

from detectors.detector import StateError
from detectors.extremes import are_tame

_FREE = 30
"""So many first values are taken as they come: before, there is no spread worth clipping at."""
_RELATIVE_FLOOR = 0.001
_ABSOLUTE_FLOOR = 1e-12


class RunningSpread:
    """Every value counts the same until *memory* of them have been seen, then the older ones fade.

    clip: how many spreads away a value is taken to lie at most when it is learned; None takes it as it is.

    >>> running = RunningSpread(1, memory=1000, clip=6.0)
    >>> for number in range(100):
    ...     running.learn_one([10.0 + number % 2])
    >>> running.means, round(running.spreads()[0], 6)
    ([10.5], 0.5)
    """

    __slots__ = ("_clip", "_memory", "_spreads", "learned", "means", "variances")

    def __init__(self, size: int, *, memory: float, clip: float | None = None) -> None:
        self._memory = memory
        self._clip = clip
        self.learned = 0
        self.means = [0.0] * size
        self.variances = [0.0] * size
        self._spreads = self._measure()

    def spreads(self) -> list[float]:
        """Standard deviations with a floor: a thousandth of the mean, so that rounding is no event on a flat series."""
        return self._spreads

    def learn_one(self, values: Sequence[float]) -> None:
        clip = self._clip if self.learned > _FREE else None
        limits = [clip * spread for spread in self._spreads] if clip is not None else None
        self.learned += 1
        weight = 1.0 / min(self.learned, self._memory)
        for place, value in enumerate(values):
            off = value - self.means[place]
            if limits is not None:
                limit = limits[place]
                off = limit if off > limit else -limit if off < -limit else off
            self.means[place] += weight * off
            self.variances[place] = (1.0 - weight) * (self.variances[place] + weight * off * off)
        self._spreads = self._measure()

    def shift(self, places: Iterable[int], difference: float) -> None:
        """Move some of the means by the same amount."""
        for place in places:
            self.means[place] += difference
        self._spreads = self._measure()

    def export(self) -> tuple[float, ...]:
        return (float(self.learned), *self.means, *self.variances)

    def restore(self, numbers: Sequence[float]) -> None:
        """numbers: as exported, finite and of the right count. Raises StateError; then use this object no more."""
        size = len(self.means)
        if numbers[0] < 0 or min(numbers[1 + size :]) < 0:
            raise StateError("expected a count and variances of at least 0")
        if not are_tame(numbers[: 1 + size]) or not are_tame(map(math.sqrt, numbers[1 + size :])):
            raise StateError("expected means and variances within bounds")
        self.learned = int(numbers[0])
        self.means = list(numbers[1 : 1 + size])
        self.variances = list(numbers[1 + size :])
        self._spreads = self._measure()

    def _measure(self) -> list[float]:
        return [
            max(math.sqrt(variance), _RELATIVE_FLOOR * abs(mean), _ABSOLUTE_FLOOR)
            for mean, variance in zip(self.means, self.variances, strict=True)
        ]
