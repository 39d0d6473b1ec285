"""Who is measured: the detector that `spendwatch score` runs, and what river offers for the same."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from river import anomaly, compose, preprocessing, stats

from connectors.series import Grain
from detectors.alarm import AlarmControl
from detectors.usage import Usage
from detectors.usage_model import RULE
from service.scorers import DetectorScorer

_LAGS = 8


class Contender(Protocol):
    """Fresh for each series."""

    def score(self, value: float, at: int) -> float:
        """0 to 1, from this row and the ones before it; learns the row."""

    def state_bytes(self) -> int:
        """What has to be kept of a series."""


class Spendwatch:
    """The detector as the service runs it; its exported numbers have eight bytes each."""

    def __init__(self) -> None:
        self._detector = Usage(Usage.configure(grain_seconds=300, params={}))

    def score(self, value: float, at: int) -> float:
        score = self._detector.anomaly_score(value, at)
        self._detector.learn_one(value, at)
        return score

    def state_bytes(self) -> int:
        return 8 * len(self._detector.export())


class Named:
    """Another of our detectors, as `spendwatch score --detector` runs it: the abnormal is held back."""

    def __init__(self, name: str) -> None:
        self._scorer = DetectorScorer(name, Grain.FIVE_MINUTES)

    def score(self, value: float, at: int) -> float:
        return float(self._scorer.score_and_learn([value], at)[0])

    def state_bytes(self) -> int:
        return self._scorer.state_bytes()


@dataclass
class ExponentialZ:
    """Standard score against exponentially weighted mean and variance, as y / (1 + y)."""

    mean: stats.EWMean = field(default_factory=lambda: stats.EWMean(0.01))
    variance: stats.EWVar = field(default_factory=lambda: stats.EWVar(0.01))
    learned: int = 0

    def score(self, value: float, at: int) -> float:
        deviation = max(float(self.variance.get()), 0.0) ** 0.5
        away = abs(value - float(self.mean.get())) / max(deviation, 1e-9) if self.learned > 100 else 0.0
        self.mean.update(value)
        self.variance.update(value)
        self.learned += 1
        return away / (1.0 + away)

    def state_bytes(self) -> int:
        return len(pickle.dumps(self))


@dataclass
class Gaussian:
    """river's GaussianScorer over the last 1,000 rows."""

    scorer: anomaly.GaussianScorer = field(
        default_factory=lambda: anomaly.GaussianScorer(window_size=1000, grace_period=100)
    )

    def score(self, value: float, at: int) -> float:
        score = float(self.scorer.score_one(None, value))
        self.scorer.learn_one(None, value)
        return score

    def state_bytes(self) -> int:
        return len(pickle.dumps(self))


@dataclass
class Trees:
    """river's HalfSpaceTrees over the last rows, scaled by the range seen so far."""

    model: compose.Pipeline = field(
        default_factory=lambda: compose.Pipeline(
            preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=7)
        )
    )
    recent: list[float] = field(default_factory=list)

    def score(self, value: float, at: int) -> float:
        self.recent = [*self.recent[1 - _LAGS :], value]
        features = {f"lag{place}": lagged for place, lagged in enumerate(reversed(self.recent))}
        self.model.learn_one(features)
        return float(self.model.score_one(features))

    def state_bytes(self) -> int:
        return len(pickle.dumps(self))


class Controlled:
    """A peer behind our alarm control: how much of our lead is the control, and how much what it is fed with."""

    def __init__(self, inner: Contender) -> None:
        self._inner = inner
        self._alarms = AlarmControl(RULE)

    def score(self, value: float, at: int) -> float:
        score = self._inner.score(value, at)
        strength = score / (1.0 - score)
        shown = self._alarms.shown(strength)
        self._alarms.learn_one(strength)
        return shown / (1.0 + shown)

    def state_bytes(self) -> int:
        return self._inner.state_bytes() + 8 * len(self._alarms.export())


OURS = "spendwatch"
CONTENDERS: dict[str, Callable[[], Contender]] = {
    OURS: Spendwatch,
    **{name: partial(Named, name) for name in ("seasonal", "shift", "creep", "joint", "ensemble")},
    "river_ew_z_score": ExponentialZ,
    "river_ew_z_score_with_our_alarm_control": lambda: Controlled(ExponentialZ()),
    "river_gaussian_scorer": Gaussian,
    "river_half_space_trees": Trees,
}
