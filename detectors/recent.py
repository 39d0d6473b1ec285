"""The last three hours of a series of five-minute buckets, and the hour of the day: a value's surroundings.

`Recent` remembers, `Surroundings` turns what a bucket might hold into the features that the usage detector looks at:
one value, or many at once when a band is looked for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.calendar import DAY
from detectors.day_profile import DayProfile

Floats = NDArray[np.float64]

SHORT, LONG = 12, 36
"""Buckets in the two moving means, the judged one counted in."""
_KEPT = LONG - 1
_SMALLEST = 1e-15
_LINEAR_PART = 0.1
"""The logarithm becomes linear below this part of the mean size, as series at zero have none."""

VALUE, LOGARITHM, RESIDUAL, RESIDUAL_SHORT, RESIDUAL_LONG, MEAN_SHORT, MEAN_LONG, SINE, COSINE = range(9)
FEATURES = 9


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known when a bucket begins. The sums are over what the moving means take in before it.

    size: mean of |value| so far; weight: that of the next value in it.
    """

    base: float
    size: float
    weight: float
    short_sum: float
    short_count: int
    long_sum: float
    long_count: int
    short_residuals: float
    long_residuals: float
    sine: float
    cosine: float

    def features(self, value: float) -> list[float]:
        """The features of a bucket that holds *value*, in the order of their names above."""
        residual = value - self.base
        return [
            value,
            math.asinh(value / max(self.size + (abs(value) - self.size) * self.weight, _SMALLEST) / _LINEAR_PART),
            residual,
            (self.short_residuals + residual) / self.short_count,
            (self.long_residuals + residual) / self.long_count,
            (self.short_sum + value) / self.short_count,
            (self.long_sum + value) / self.long_count,
            self.sine,
            self.cosine,
        ]

    def features_of(self, values: Floats) -> Floats:
        """The same for many values: one row a feature."""
        residuals = values - self.base
        sizes = self.size + (np.abs(values) - self.size) * self.weight
        return np.stack(
            [
                values,
                np.arcsinh(values / np.maximum(sizes, _SMALLEST) / _LINEAR_PART),
                residuals,
                (self.short_residuals + residuals) / self.short_count,
                (self.long_residuals + residuals) / self.long_count,
                (self.short_sum + values) / self.short_count,
                (self.long_sum + values) / self.long_count,
                np.full_like(values, self.sine),
                np.full_like(values, self.cosine),
            ]
        )


class Recent:
    """The last values and their residuals, and the mean size of all values.

    >>> recent, profile = Recent(), DayProfile()
    >>> for minute in range(0, 60, 5):
    ...     recent.learn_one(40.0, 0.0)
    >>> features = recent.surroundings(profile, 3600).features(52.0)
    >>> features[VALUE], features[MEAN_SHORT], features[RESIDUAL]
    (52.0, 41.0, 52.0)
    """

    __slots__ = ("_learned", "_residuals", "_size", "_values")

    def __init__(self) -> None:
        self._values: list[float] = []
        self._residuals: list[float] = []
        self._learned = 0
        self._size = 0.0

    @property
    def scale(self) -> float:
        """Where the logarithm of a value becomes linear."""
        return max(_LINEAR_PART * self._size, _LINEAR_PART * _SMALLEST)

    @property
    def mean(self) -> float:
        """Of the short stretch; 0 before anything was learned."""
        values = self._values[-SHORT:]
        return sum(values) / len(values) if values else 0.0

    def surroundings(self, profile: DayProfile, at: int) -> Surroundings:
        """Of the bucket that starts at *at*. Changes nothing."""
        values, residuals = self._values, self._residuals
        turn = 2.0 * math.pi * (at % DAY) / DAY
        count = len(values) + 1
        return Surroundings(
            profile.base_at(at),
            self._size,
            1.0 / (self._learned + 1),
            sum(values[1 - SHORT :]),
            min(count, SHORT),
            sum(values),
            count,
            sum(residuals[1 - SHORT :]),
            sum(residuals),
            math.sin(turn),
            math.cos(turn),
        )

    def learn_one(self, value: float, residual: float) -> None:
        for kept, newest in ((self._values, value), (self._residuals, residual)):
            if len(kept) == _KEPT:
                del kept[0]
            kept.append(newest)
        self._learned += 1
        self._size += (abs(value) - self._size) / self._learned

    def shift(self, difference: float) -> None:
        """Move what is remembered by the same amount; residuals stay."""
        self._values = [value + difference for value in self._values]

    def export(self) -> tuple[float, ...]:
        """How many were learned, mean size, how many are kept, then these values and residuals, oldest first."""
        return (float(self._learned), self._size, float(len(self._values)), *self._values, *self._residuals)

    def restore(self, numbers: Sequence[float]) -> None:
        """numbers: as exported, checked."""
        self._learned, self._size = int(numbers[0]), numbers[1]
        count = int(numbers[2])
        self._values = list(numbers[3 : 3 + count])
        self._residuals = list(numbers[3 + count :])
