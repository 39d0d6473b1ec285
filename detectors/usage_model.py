"""All that the usage detector has learned of a series, and how strange a bucket would be to it.

Three memories each say how far a bucket is from everything they have seen, measured against what they usually meet; the
moving means say how far the series has left its usual range. The parts are joined by a power mean: one that is sure
counts for more than several that wonder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.alarm import NUMBERS as ALARM_NUMBERS
from detectors.alarm import AlarmControl, AlarmRule
from detectors.day_profile import NUMBERS as PROFILE_NUMBERS
from detectors.day_profile import DayProfile
from detectors.detector import StateError
from detectors.prototypes import Prototypes, View
from detectors.recent import (
    COSINE,
    FEATURES,
    MEAN_HALF_DAY,
    MEAN_HOUR,
    MEAN_HOURS,
    RESIDUAL,
    RESIDUAL_HOUR,
    RESIDUAL_HOURS,
    SINE,
    VALUE,
    Recent,
    Surroundings,
)
from detectors.running import RunningSpread
from detectors.surprise import NUMBERS as SURPRISE_NUMBERS
from detectors.surprise import Surprise

Floats = NDArray[np.float64]

VIEWS = (
    View(features=(VALUE,), vigilance=0.35),
    View(features=(RESIDUAL, RESIDUAL_HOUR, RESIDUAL_HOURS), vigilance=0.7),
    View(features=(MEAN_HOUR, SINE, COSINE), vigilance=0.7),
)
"""A value never seen, a departure from the hour's habit never seen, a level never seen at this time of the day."""
PROTOTYPES = 256
STRANGE = 1.8
"""A strength from which a bucket is an anomaly: the threshold that is shipped, one for every series."""
RULE = AlarmRule(
    quiet=100,
    strange=STRANGE,
    escalation=1.5,
    counts_from=2.5,
    step=0.25,
    least=-0.5,
    most=3.0,
    recovery=5000,
    trust=100,
)
MEASURED_FROM = 100
"""Buckets before distances are believed and their usual size is learned."""
JUDGED_FROM = 250
"""Buckets before any is judged: nearly a day of five minutes."""
_POWER = 3
_LEVEL_WEIGHT = 3.0
_WEIGHT = _LEVEL_WEIGHT + len(VIEWS)
_LEVEL_USUAL = 0.5
_LEVEL_MOST = 20.0
_LEVELS = (MEAN_HOURS, MEAN_HALF_DAY)
_MEMORY = 20_000
"""Buckets after which older ones begin to fade from means and spreads: ten weeks of five minutes."""
_CLIP = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one value would mean. strength: 0 is ordinary; before alarm control. nearest: as of `Prototypes`."""

    features: list[float]
    nearest: tuple[list[float], list[int]]
    spreads: list[float]
    strength: float


class UsageModel:
    """Learns numbers that have been tamed (detectors.extremes)."""

    __slots__ = ("_levels", "_memories", "_profile", "_recent", "_spreads", "_surprises", "alarms")

    def __init__(self) -> None:
        self._recent = Recent()
        self._profile = DayProfile()
        self._spreads = RunningSpread(FEATURES, memory=_MEMORY, clip=_CLIP)
        # The same means once more, unclipped: they say how far the level is, and have to know how far it has been.
        self._levels = RunningSpread(len(_LEVELS), memory=_MEMORY)
        self._memories = Prototypes(VIEWS, PROTOTYPES)
        self._surprises = [Surprise() for _ in VIEWS]
        self.alarms = AlarmControl(RULE)

    @property
    def learned(self) -> int:
        return self._spreads.learned

    @property
    def is_ready(self) -> bool:
        return self.learned >= JUDGED_FROM

    def surroundings(self, at: int) -> Surroundings:
        return self._recent.surroundings(self._profile, at)

    def expected(self, surroundings: Surroundings) -> float:
        """The level of the last hour, with the difference that the hour of the day makes."""
        before = surroundings.hour_count - 1
        return surroundings.base + (surroundings.hour_residuals / before if before else 0.0)

    @property
    def spread(self) -> float:
        """Of the values."""
        return self._spreads.spreads()[VALUE]

    def read(self, value: float, at: int) -> Reading:
        """Changes nothing."""
        features = self.surroundings(at).features(value)
        spreads = self._spreads.spreads()
        nearest = self._memories.nearest(features, spreads)
        strength = 0.0
        if self.is_ready:
            total = _LEVEL_WEIGHT * self._level_part(features) ** _POWER
            for surprise, distance in zip(self._surprises, nearest[0], strict=True):
                total += surprise.of(distance) ** _POWER
            strength = (total / _WEIGHT) ** (1.0 / _POWER)
        return Reading(features=features, nearest=nearest, spreads=spreads, strength=strength)

    def strengths(self, expected: float, surroundings: Surroundings) -> Callable[[Floats], Floats]:
        """How strange the values are that lie so many steps from *expected*; only of a model that is ready."""
        features, slopes = surroundings.features(expected), surroundings.slopes()
        lines = self._memories.along(features, slopes, self._spreads.spreads())
        levels = [
            ((features[feature] - mean) / spread, slopes[feature] / spread)
            for feature, mean, spread in zip(_LEVELS, self._levels.means, self._levels.spreads(), strict=True)
        ]

        def strengths(steps: Floats) -> Floats:
            off = sum(np.minimum(np.abs(start + slope * steps), _LEVEL_MOST) for start, slope in levels)
            parts = [np.maximum(off / len(levels) - _LEVEL_USUAL, 0.0)]
            for surprise, line in zip(self._surprises, lines, strict=True):
                parts.append(surprise.of_logarithms(np.log1p(line.distances(steps))))
            # Multiplied out: a power of an array takes fifty times as long.
            cubes = np.stack([part * part * part for part in parts])
            joined: Floats = np.cbrt((_LEVEL_WEIGHT * cubes[0] + cubes[1:].sum(axis=0)) / _WEIGHT)
            return joined

        return strengths

    def learn_one(self, value: float, at: int, reading: Reading) -> None:
        """reading: what `read` says of this value now."""
        features = reading.features
        self.alarms.learn_one(reading.strength)
        if self.learned >= MEASURED_FROM:
            for surprise, distance in zip(self._surprises, reading.nearest[0], strict=True):
                surprise.learn_one(distance)
        self._memories.learn_one(features, reading.nearest)
        self._spreads.learn_one(features)
        self._levels.learn_one([features[feature] for feature in _LEVELS])
        self._profile.learn_one(value, at)
        self._recent.learn_one(value, features[RESIDUAL])

    def shift(self, difference: float) -> None:
        """Take everything for so much higher, or lower, than it was: what was usual then is usual there."""
        for feature in (VALUE, MEAN_HOUR):
            self._memories.move(feature, lambda places: places + difference)
        self._spreads.shift((VALUE, MEAN_HOUR, MEAN_HOURS, MEAN_HALF_DAY), difference)
        self._levels.shift(range(len(_LEVELS)), difference)
        self._profile.shift(difference)
        self._recent.shift(difference)
        self.alarms.forget_incident()

    def export(self) -> tuple[float, ...]:
        """Parts of fixed length, then the memories, then the last hours."""
        return (
            *self.alarms.export(),
            *self._profile.export(),
            *self._spreads.export(),
            *self._levels.export(),
            *(number for surprise in self._surprises for number in surprise.export()),
            *self._memories.export(),
            *self._recent.export(),
        )

    def restore(self, numbers: Sequence[float]) -> None:
        """numbers: finite. Raises StateError; then use this object no more."""
        fixed = _Cutter(numbers)
        self.alarms.restore(fixed.take(ALARM_NUMBERS))
        self._profile.restore(fixed.take(PROFILE_NUMBERS))
        self._spreads.restore(fixed.take(1 + 2 * FEATURES))
        self._levels.restore(fixed.take(1 + 2 * len(_LEVELS)))
        for surprise in self._surprises:
            surprise.restore(fixed.take(SURPRISE_NUMBERS))
        fixed.at += self._memories.restore(numbers[fixed.at :])
        self._recent.restore(numbers[fixed.at :])

    def _level_part(self, features: Sequence[float]) -> float:
        means, spreads = self._levels.means, self._levels.spreads()
        total = 0.0
        for place, feature in enumerate(_LEVELS):
            total += min(abs(features[feature] - means[place]) / spreads[place], _LEVEL_MOST)
        return max(total / len(_LEVELS) - _LEVEL_USUAL, 0.0)


class _Cutter:
    """Takes piece after piece."""

    def __init__(self, numbers: Sequence[float]) -> None:
        self._numbers = numbers
        self.at = 0

    def take(self, count: int) -> Sequence[float]:
        piece = self._numbers[self.at : self.at + count]
        if len(piece) != count:
            raise StateError(f"expected at least {self.at + count} numbers after the header, got {len(self._numbers)}")
        self.at += count
        return piece
