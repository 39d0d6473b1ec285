"""Detectors as `spendwatch score` drives them: judged first, learned second, by the rules of the service."""

from collections.abc import Sequence
from typing import Protocol

from connectors.series import Grain, SeriesKey
from detectors.detector import Attentive
from detectors.metrics import MOST_METRICS, Metrics
from detectors.usage import Usage
from detectors.verdict import Status
from service.core.policies import USAGE, PolicyBook
from service.settings import Policy

METRICS = "metrics"
"""Scores several columns together; no detector of a policy, since a series has one number a bucket."""
SCORE = "anomaly_score"


class Scorer(Protocol):
    """Of one input. columns: what it adds to a row."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    def score_and_learn(self, values: Sequence[float], at: int) -> tuple[str, ...]:
        """What stands in its columns, of a row whose values are all there."""


class UsageScorer:
    """The detector for usage, which tells of each incident once."""

    columns = (SCORE,)

    def __init__(self, grain: Grain) -> None:
        self._detector = Usage(Usage.configure(grain_seconds=grain.seconds, params={}))

    def score_and_learn(self, values: Sequence[float], at: int) -> tuple[str, ...]:
        score = self._detector.anomaly_score(values[0], at)
        self._detector.learn_one(values[0], at)
        return (f"{score:.9g}",)


class DetectorScorer:
    """Any detector of a policy. The abnormal is held back, and is the new normal after as many as in the service."""

    columns = (SCORE,)

    def __init__(self, detector: str, grain: Grain) -> None:
        series = SeriesKey(metric="value", unit="1", grain=grain, dimension="total")
        self._judge = PolicyBook((Policy(detector=detector),)).judge_of(series)
        self._detector = self._judge.make()
        self._held: list[tuple[float, int]] = []
        self._side = Status.NORMAL

    def score_and_learn(self, values: Sequence[float], at: int) -> tuple[str, ...]:
        detector, value = self._detector, values[0]
        verdict = detector.score_one(value, at)
        if verdict.status not in (Status.HIGH, Status.LOW):
            self._held.clear()
            detector.learn_one(value, at)
        else:
            if verdict.status is not self._side:
                self._held.clear()
            self._held.append((value, at))
            if isinstance(detector, Attentive):
                detector.hold_one(value, at)
            if len(self._held) >= self._judge.accept_after:
                detector.accept_level(self._held)
                self._held.clear()
        self._side = verdict.status
        return (f"{verdict.score:.9g}",)

    def state_bytes(self) -> int:
        """What has to be kept of the detector, at eight bytes a number."""
        return 8 * len(self._detector.export())


class MetricsScorer:
    """All columns of a row together: the score of the one that goes least with the others, and its name."""

    columns = (SCORE, "stands_out")

    def __init__(self, names: Sequence[str], grain: Grain) -> None:
        self._names = tuple(names)
        self._metrics = Metrics(len(names), grain_seconds=grain.seconds)

    def score_and_learn(self, values: Sequence[float], at: int) -> tuple[str, ...]:
        verdicts = self._metrics.judge_one(values, at)
        self._metrics.learn_one(values, at)
        scores = [verdict.score for verdict in verdicts]
        most = max(scores)
        name = (
            self._names[scores.index(most)] if verdicts[scores.index(most)].status in (Status.HIGH, Status.LOW) else ""
        )
        return (f"{most:.9g}", name)


def scorer_of(detector: str, grain: Grain, columns: Sequence[str]) -> Scorer:
    """Raises ValueError for more columns than fit together, and UnknownDetectorError."""
    if detector == METRICS:
        if len(columns) > MOST_METRICS:
            raise ValueError(f"expected at most {MOST_METRICS} columns of metrics, got {len(columns)}")
        return MetricsScorer(columns, grain)
    return UsageScorer(grain) if detector == USAGE else DetectorScorer(detector, grain)
