"""How surprising a distance is to a memory that has measured many: each memory knows what it usually meets.

A memory of a steady series meets nothing new for weeks, that of a bursty one every hour. Distances are compared as
logarithms, in standard deviations of what this series gave before; that is what makes one threshold fit many series.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.detector import StateError

NUMBERS = 3
_MEMORY = 16_000.0
"""Older distances fade beyond so many, two months of five-minute buckets."""
_PRIOR = 0.1
_PRIOR_COUNT = 100.0
"""What is assumed of mean and deviation before anything was measured, and how many measurements that is worth."""
_CLIP = 6.0
_LEAST_DEVIATION = 0.01
"""On a series that never changes the deviation would fade to nothing, and the first rounding would be an event."""
_USUAL = 1.0
"""Deviations above the mean that are no surprise at all."""


class Surprise:
    """A standard score of the logarithm, 0 up to one deviation above the mean.

    >>> surprise = Surprise()
    >>> for number in range(1000):
    ...     surprise.learn_one(0.3 if number % 5 else 0.5)
    >>> [round(surprise.of(distance), 1) for distance in (0.3, 0.5, 0.7, 10.0)]
    [0.0, 0.6, 2.1, 24.6]
    """

    __slots__ = ("_count", "_mean", "_variance")

    def __init__(self) -> None:
        self._count = _PRIOR_COUNT
        self._mean = _PRIOR
        self._variance = _PRIOR * _PRIOR

    def of(self, distance: float) -> float:
        return max((math.log1p(distance) - self._mean) / self._deviation - _USUAL, 0.0)

    def of_logarithms(self, logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same for many distances; theirs are log(1 + distance)."""
        return np.maximum((logarithms - self._mean) / self._deviation - _USUAL, 0.0)

    def learn_one(self, distance: float) -> None:
        self._count += 1.0
        weight = 1.0 / min(self._count, _MEMORY)
        off = min(math.log1p(distance) - self._mean, _CLIP * self._deviation)
        self._mean += weight * off
        self._variance = (1.0 - weight) * (self._variance + weight * off * off)

    @property
    def _deviation(self) -> float:
        return max(math.sqrt(self._variance), _LEAST_DEVIATION)

    def export(self) -> tuple[float, ...]:
        return (self._count, self._mean, self._variance)

    def restore(self, numbers: Sequence[float]) -> None:
        """numbers: NUMBERS as exported, and finite. Raises StateError; then use this object no more."""
        self._count, self._mean, self._variance = numbers
        if self._count < 0 or self._variance < 0:
            raise StateError("expected a count and a variance of at least 0")
