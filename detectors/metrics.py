"""Several metrics of one resource together: each is judged given all the others of the same bucket.

CPU low, network and cost high: each may be ordinary by itself, and together they are not. A metric's deviation from its
own baseline, phase of the day left out, goes into detectors.joint_model; the verdict on each has a band that says what
it should be as the others are.
"""

from collections.abc import Sequence

from detectors.baseline import Baseline, pace_of
from detectors.calendar import DAY
from detectors.detector import StateError
from detectors.guards import finite, judge, warming_up
from detectors.joint_model import JointModel
from detectors.state import HEADER, check_header, fingerprint
from detectors.verdict import Verdict

MOST_METRICS = 16
_VERSION = 1.0
_SIGMA = 5.0
_MEMORY_DAYS = 14
_NAME = "metrics"


class Metrics:
    """Judges and learns one bucket of all metrics at a time. Not a `Detector`: that sees one number a bucket.

    >>> from random import Random
    >>> rng, metrics = Random(1), Metrics(2, grain_seconds=300)
    >>> for number in range(2000):
    ...     load = rng.lognormvariate(0.0, 0.5)
    ...     metrics.learn_one([50.0 * load, 8.0 * load * rng.lognormvariate(0.0, 0.05)], number * 300)
    >>> cpu, cost = metrics.judge_one([90.0, 5.0], 2000 * 300)  # both usual; but not together
    >>> cost.status.value, round(cost.band.lower), round(cost.band.expected), round(cost.band.upper)
    ('low', 8, 14, 25)
    """

    def __init__(self, count: int, *, grain_seconds: int, sigma: float = _SIGMA) -> None:
        if not 1 <= count <= MOST_METRICS:
            raise ValueError(f"expected 1 to {MOST_METRICS} metrics, got {count}")
        self._sigma = sigma
        self._pace = pace_of(grain_seconds)
        self._fingerprint = fingerprint(_NAME, grain_seconds, count)
        self._memory = max(_MEMORY_DAYS * DAY // grain_seconds, 60)
        self._baselines = [self._cold() for _ in range(count)]
        self._model = JointModel(count, memory=self._memory)

    def judge_one(self, values: Sequence[float], at: int) -> list[Verdict]:
        """The verdict on each, given the others. Changes nothing. Raises NotFiniteError."""
        numbers = [finite(value) for value in values]
        if not self._baselines[0].is_ready:
            return [warming_up(value) for value in numbers]
        verdicts = []
        expected = self._model.expected(self._standardised(numbers, at))
        for value, baseline, given in zip(numbers, self._baselines, expected, strict=True):
            spread = baseline.spread(at)
            place, reach = given.place * spread, self._sigma * given.spread * spread
            off = (baseline.deviation(value, at) - place) / reach
            verdicts.append(judge(value, baseline.band_around(at, place, reach), abs(off)))
        return verdicts

    def learn_one(self, values: Sequence[float], at: int) -> None:
        """Learn one bucket, an abnormal one too: no single one of them moves much. Raises NotFiniteError."""
        numbers = [finite(value) for value in values]
        if self._baselines[0].is_fitted and len(numbers) == len(self._baselines):
            self._model.learn_one(self._standardised(numbers, at))
        for value, baseline in zip(numbers, self._baselines, strict=True):
            baseline.learn_one(value, at)

    def _standardised(self, numbers: Sequence[float], at: int) -> list[float]:
        return [
            baseline.deviation(value, at) / baseline.spread(at) if baseline.is_fitted else 0.0
            for value, baseline in zip(numbers, self._baselines, strict=True)
        ]

    def export(self) -> tuple[float, ...]:
        """Version, fingerprint, covariance, then each baseline with its length in front."""
        parts = [number for one in self._baselines for state in (one.export(),) for number in (len(state), *state)]
        return (_VERSION, self._fingerprint, *self._model.export(), *map(float, parts))

    def restore(self, state: Sequence[float]) -> None:
        """Raises StateError and leaves everything as it was."""
        check_header(_NAME, state, version=int(_VERSION), config=self._fingerprint)
        model, baselines = JointModel(self._model.size, memory=self._memory), []
        place = HEADER + model.numbers
        if len(state) < place:
            raise StateError(f"{_NAME}: expected at least {place} numbers, got {len(state)}")
        model.restore(state[HEADER:place])
        for _ in self._baselines:
            length = state[place] if place < len(state) else -1.0
            if not 0 < length < len(state) - place:
                raise StateError(f"{_NAME}: expected a baseline of each metric, got {len(state)} numbers")
            baseline = self._cold()
            baseline.restore(state[place + 1 : place + 1 + int(length)])
            baselines.append(baseline)
            place += 1 + int(length)
        if place != len(state):
            raise StateError(f"{_NAME}: expected {place} numbers, got {len(state)}")
        self._model, self._baselines = model, baselines

    def _cold(self) -> Baseline:
        return Baseline(self._pace, relative_floor=0.02, absolute_floor=1e-6)
