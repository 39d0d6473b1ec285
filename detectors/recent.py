"""A value's surroundings: the last buckets, the level of the last half day, and the hour of the day.

`Recent` remembers, `Surroundings` turns what a bucket might hold into the features that the usage detector looks at.
The windows are counted in buckets; the words are those of buckets of five minutes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from detectors.calendar import DAY
from detectors.day_profile import DayProfile
from detectors.detector import StateError
from detectors.extremes import are_tame

HOUR, HOURS = 12, 36
"""Buckets in the two moving means, the judged one counted in: one hour and three."""
_KEPT = HOURS - 1
_HALF_DAY = 2.0 / 145.0
"""Weight of the newest bucket in a mean that looks back as far as one of 144 buckets."""

VALUE, RESIDUAL, RESIDUAL_HOUR, RESIDUAL_HOURS, MEAN_HOUR, MEAN_HOURS, MEAN_HALF_DAY, SINE, COSINE = range(9)
FEATURES = 9


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known when a bucket begins. The sums are over what the moving means take in before it.

    base: what the hour of the day usually holds. half_day: level of the last half day; its part of the next one is
    1 - half_day_weight. sine, cosine: the time of the day as a place on a circle.
    """

    base: float
    hour_sum: float
    hour_count: int
    hours_sum: float
    hours_count: int
    hour_residuals: float
    hours_residuals: float
    half_day: float
    half_day_weight: float
    sine: float
    cosine: float

    def features(self, value: float) -> list[float]:
        """The features of a bucket that holds *value*, in the order of their names above."""
        residual = value - self.base
        return [
            value,
            residual,
            (self.hour_residuals + residual) / self.hour_count,
            (self.hours_residuals + residual) / self.hours_count,
            (self.hour_sum + value) / self.hour_count,
            (self.hours_sum + value) / self.hours_count,
            self.half_day + self.half_day_weight * (value - self.half_day),
            self.sine,
            self.cosine,
        ]

    def slopes(self) -> list[float]:
        """By how much each feature changes when the value changes by one: all of them are straight lines."""
        hour, hours = 1.0 / self.hour_count, 1.0 / self.hours_count
        return [1.0, 1.0, hour, hours, hour, hours, self.half_day_weight, 0.0, 0.0]


class Recent:
    """The last values with their residuals, and the level of the last half day.

    >>> recent, profile = Recent(), DayProfile()
    >>> for minute in range(0, 60, 5):
    ...     recent.learn_one(40.0, 0.0)
    >>> features = recent.surroundings(profile, 3600).features(52.0)
    >>> features[VALUE], features[MEAN_HOUR], features[RESIDUAL]
    (52.0, 41.0, 52.0)
    """

    __slots__ = ("_half_day", "_residuals", "_values")

    def __init__(self) -> None:
        self._values: list[float] = []
        self._residuals: list[float] = []
        self._half_day = 0.0

    def surroundings(self, profile: DayProfile, at: int) -> Surroundings:
        """Of the bucket that starts at *at*. Changes nothing."""
        values, residuals = self._values, self._residuals
        turn = 2.0 * math.pi * (at % DAY) / DAY
        count = len(values) + 1
        return Surroundings(
            profile.base_at(at),
            sum(values[1 - HOUR :]),
            min(count, HOUR),
            sum(values),
            count,
            sum(residuals[1 - HOUR :]),
            sum(residuals),
            self._half_day,
            _HALF_DAY if values else 1.0,
            math.sin(turn),
            math.cos(turn),
        )

    def learn_one(self, value: float, residual: float) -> None:
        self._half_day = self._half_day + _HALF_DAY * (value - self._half_day) if self._values else value
        for kept, newest in ((self._values, value), (self._residuals, residual)):
            if len(kept) == _KEPT:
                del kept[0]
            kept.append(newest)

    def shift(self, difference: float) -> None:
        """Move what is remembered by the same amount; residuals stay."""
        self._half_day += difference
        self._values = [value + difference for value in self._values]

    def export(self) -> tuple[float, ...]:
        """The level, how many values are kept, then these and their residuals, oldest first."""
        return (self._half_day, float(len(self._values)), *self._values, *self._residuals)

    def restore(self, numbers: Sequence[float]) -> None:
        """numbers: as exported, and finite. Raises StateError; then use this object no more."""
        if len(numbers) < 2 or not 0 <= numbers[1] <= _KEPT or len(numbers) != 2 + 2 * int(numbers[1]):
            raise StateError("expected the last values and their residuals at the end")
        if not are_tame(numbers):
            raise StateError("expected last values within bounds")
        count = int(numbers[1])
        self._half_day = numbers[0]
        self._values = list(numbers[2 : 2 + count])
        self._residuals = list(numbers[2 + count :])
