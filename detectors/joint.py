"""One series in several views at once: a bucket, the one before it and the last hour go together in a usual way.

For usage metrics. A value that is ordinary by itself may not be after those before it: a fall to an idle level within
one bucket, where the series glides. The views are deviations from a baseline (detectors.baseline); what the earlier
ones let expect comes from their covariance (detectors.joint_model). Several metrics together: detectors.metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from detectors.baseline import Baseline, Pace, pace_of
from detectors.calendar import DAY, HOUR
from detectors.detector import StateError
from detectors.guards import finite, judge, warming_up
from detectors.joint_model import JointModel
from detectors.parameters import ABSOLUTE_FLOOR, RELATIVE_FLOOR, SIGMA_MEANING, Parameter, Value, check
from detectors.state import HEADER, check_header, check_range, fingerprint
from detectors.verdict import Band, Verdict

_VIEWS = 3
_HOUR = 1 / 12
"""Weight of the newest bucket in the view of the last ones."""
_MOST = 50.0
_FEW = 3.0
"""The earlier views are believed up to so many spreads: after a spike, the spike is not what is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JointConfig:
    """Checked parameters; one object is shared by all series of a policy."""

    pace: Pace
    memory: int
    sigma: float
    relative_floor: float
    absolute_floor: float
    fingerprint: float


class Joint:
    """What goes with the buckets before it.

    >>> from random import Random
    >>> rng, detector, load = Random(1), Joint(Joint.configure(grain_seconds=300, params={})), 0.0
    >>> for number in range(1000):  # glides between 60 and 160
    ...     load = 0.98 * load + rng.gauss(0.0, 0.05)
    ...     detector.learn_one(100.0 * 2.718 ** load, number * 300)
    >>> band = detector.band_at(1000 * 300)
    >>> round(100.0 * 2.718 ** load), round(band.lower), round(band.expected), round(band.upper)
    (86, 41, 84, 172)
    """

    __slots__ = ("_baseline", "_before", "_config", "_hour", "_model")

    name: ClassVar[str] = "joint"
    state_version: ClassVar[int] = 1
    summary: ClassVar[str] = "a bucket given those before it, by their covariance; for usage metrics of fine grain"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            name="sigma",
            default=4.0,
            default_note="daily and longer 4, hourly 5, finer 6",
            minimum=0.5,
            maximum=50.0,
            meaning=SIGMA_MEANING,
        ),
        RELATIVE_FLOOR,
        ABSOLUTE_FLOOR,
    )

    @classmethod
    def configure(cls, *, grain_seconds: int, params: Mapping[str, Value]) -> JointConfig:
        """Raises ParameterError that names every mistake."""
        checked = check(cls.name, cls.parameters, params)
        usual = 4.0 if grain_seconds >= DAY else 5.0 if grain_seconds >= HOUR else 6.0
        return JointConfig(
            pace=pace_of(grain_seconds),
            memory=max(14 * DAY // grain_seconds, 60),
            sigma=float(checked.get("sigma", usual)),
            relative_floor=float(checked.get("relative_floor", RELATIVE_FLOOR.default)),
            absolute_floor=float(checked.get("absolute_floor", ABSOLUTE_FLOOR.default)),
            # Only what gives the numbers their meaning: a new sigma or floor judges on with what has been learned.
            fingerprint=fingerprint(cls.name, grain_seconds),
        )

    def __init__(self, config: JointConfig) -> None:
        self._config = config
        self._baseline = self._cold()
        self._model = JointModel(_VIEWS, memory=config.memory)
        self._before = self._hour = 0.0

    def band_at(self, at: int) -> Band | None:
        """What the buckets before let expect; None while warming up."""
        if not self._baseline.is_ready:
            return None
        return self._baseline.band_around(at, *self._expected(at))

    def score_one(self, value: float, at: int) -> Verdict:
        """Say how unusual *value* is. Changes nothing. Raises NotFiniteError."""
        value = finite(value)
        if not self._baseline.is_ready:
            return warming_up(value)
        place, reach = self._expected(at)
        off = (self._baseline.deviation(value, at) - place) / reach
        return judge(value, self._baseline.band_around(at, place, reach), abs(off))

    def learn_one(self, value: float, at: int) -> None:
        """Learn one finished bucket. Raises NotFiniteError."""
        value = finite(value)
        if self._baseline.is_fitted:
            self._see(value, at, learn=True)
        self._baseline.learn_one(value, at)

    def hold_one(self, value: float, at: int) -> None:
        """What was held back is still what the next one follows. Raises NotFiniteError."""
        value = finite(value)
        if self._baseline.is_ready:
            self._see(value, at, learn=False)
            self._baseline.hold_one(value, at)

    def accept_level(self, recent: Sequence[tuple[float, int]]) -> None:
        """Take the median of *recent*, phases left out of it, for the level; how buckets go together stays."""
        buckets = [(finite(value), at) for value, at in recent]
        if buckets:
            self._baseline.accept_level(buckets)
            self._before = self._hour = 0.0

    def export(self) -> tuple[float, ...]:
        """Version, fingerprint, the two earlier views, covariance, baseline: at most 111 numbers."""
        header = (float(self.state_version), self._config.fingerprint)
        return (*header, self._before, self._hour, *self._model.export(), *self._baseline.export())

    def restore(self, state: Sequence[float]) -> None:
        """Raises StateError and leaves the detector as it was."""
        check_header(self.name, state, version=self.state_version, config=self._config.fingerprint)
        model, baseline = JointModel(_VIEWS, memory=self._config.memory), self._cold()
        rest = HEADER + 2 + model.numbers
        if len(state) <= rest:
            raise StateError(f"{self.name}: expected more than {rest} numbers, got {len(state)}")
        before, hour = (check_range(self.name, "an earlier view", view, -_MOST, _MOST) for view in state[2:4])
        try:
            model.restore(state[4:rest])
            baseline.restore(state[rest:])
        except StateError as error:
            raise StateError(f"{self.name}: {error}") from None
        self._before, self._hour, self._model, self._baseline = before, hour, model, baseline

    def _expected(self, at: int) -> tuple[float, float]:
        """Where the bucket should be and how far off it may be, on the scale of the baseline."""
        spread = self._baseline.spread(at)
        before, hour = (min(max(view, -_FEW), _FEW) for view in (self._before, self._hour))
        given = self._model.expected([0.0, before, hour])[0]
        return given.place * spread, self._config.sigma * max(given.spread * spread, self._baseline.floor(at))

    def _see(self, value: float, at: int, *, learn: bool) -> None:
        now = min(max(self._baseline.deviation(value, at) / self._baseline.spread(at), -_MOST), _MOST)
        if learn:
            self._model.learn_one([now, self._before, self._hour])
        self._before = now
        self._hour += _HOUR * (now - self._hour)

    def _cold(self) -> Baseline:
        config = self._config
        return Baseline(config.pace, relative_floor=config.relative_floor, absolute_floor=config.absolute_floor)
