"""The frame of detectors that look for what lasts: a baseline, and evidence that may move one bound or the other.

A subclass says how far a bucket may lie off before its evidence is enough (`_reach`), and what a bucket adds to it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from detectors.baseline import Baseline, Pace
from detectors.detector import StateError
from detectors.guards import finite, judge, warming_up
from detectors.state import HEADER, check_header, check_range
from detectors.tail import Prior
from detectors.verdict import Band, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class LastingConfig:
    """Checked parameters; one object is shared by all series of a policy.

    limit: how much evidence is enough. allowance: what a deviation has to be, in the detector's own sense, to count.
    """

    pace: Pace
    limit: float
    allowance: float
    relative_floor: float
    absolute_floor: float
    fingerprint: float


class Lasting(ABC):
    """Keeps the protocol of detectors.detector. `_evidence`: a few numbers of the subclass, zero at the start."""

    __slots__ = ("_baseline", "_config", "_evidence")

    name: ClassVar[str]
    state_version: ClassVar[int]
    prior: ClassVar[Prior]
    """What theory says of `distances` while nothing happens."""
    run: ClassVar[float]
    """So many buckets long distances stay large once they are: alarms of one false alarm."""
    _evidence_size: ClassVar[int]

    def __init__(self, config: LastingConfig) -> None:
        self._config = config
        self._baseline = self._cold()
        self._evidence = (0.0,) * self._evidence_size

    def band_at(self, at: int) -> Band | None:
        """What may come without being enough evidence; narrows while evidence adds up. None while warming up."""
        if not self._baseline.is_ready:
            return None
        return self.band_for(at, (1.0, 1.0))

    def score_one(self, value: float, at: int) -> Verdict:
        """Say how unusual *value* is. Changes nothing. Raises NotFiniteError."""
        value = finite(value)
        if not self._baseline.is_ready:
            return warming_up(value)
        down, up = self._reach(at, (1.0, 1.0))
        off = self._baseline.deviation(value, at)
        return judge(value, self._baseline.band(at, down, up), off / up if off >= 0 else -off / down)

    @abstractmethod
    def distances(self, value: float, at: int) -> tuple[float, float]:
        """How much evidence there is of a fall and of a rise with this bucket; 1 is enough. Only when warmed up."""

    def band_for(self, at: int, limits: tuple[float, float]) -> Band:
        """The band if so much evidence of a fall and of a rise were enough. Only when warmed up."""
        return self._baseline.band(at, *self._reach(at, limits))

    def learn_one(self, value: float, at: int) -> None:
        """Learn one finished bucket. Raises NotFiniteError. An earlier or repeated *at* is one more observation."""
        value = finite(value)
        if self._baseline.is_fitted:
            evidence = self._added(value, at)
            self._baseline.learn_one(value, at, following=self._following(at, evidence))
            self._evidence = evidence if self._baseline.is_ready else (0.0,) * self._evidence_size
        else:
            self._baseline.learn_one(value, at)

    def hold_one(self, value: float, at: int) -> None:
        """A bucket held back is evidence as well, but moves no baseline. Raises NotFiniteError."""
        value = finite(value)
        if self._baseline.is_ready:
            self._evidence = self._added(value, at)
            self._baseline.hold_one(value, at)

    def accept_level(self, recent: Sequence[tuple[float, int]]) -> None:
        """Take the median of *recent*, phases left out of it, for the level; evidence begins anew."""
        buckets = [(finite(value), at) for value, at in recent]
        if buckets:
            self._baseline.accept_level(buckets)
            self._evidence = (0.0,) * self._evidence_size

    def export(self) -> tuple[float, ...]:
        """Version, fingerprint, evidence, baseline: at most 2 + 2 + 100 numbers."""
        return (float(self.state_version), self._config.fingerprint, *self._evidence, *self._baseline.export())

    def restore(self, state: Sequence[float]) -> None:
        """Raises StateError and leaves the detector as it was."""
        check_header(self.name, state, version=self.state_version, config=self._config.fingerprint)
        rest = HEADER + self._evidence_size
        if len(state) <= rest:
            raise StateError(f"{self.name}: expected more than {rest} numbers, got {len(state)}")
        evidence = tuple(check_range(self.name, "evidence", number, -1e9, 1e9) for number in state[HEADER:rest])
        baseline = self._cold()
        try:
            baseline.restore(state[rest:])
        except StateError as error:
            raise StateError(f"{self.name}: {error}") from None
        self._evidence, self._baseline = evidence, baseline

    def _cold(self) -> Baseline:
        config = self._config
        return Baseline(config.pace, relative_floor=config.relative_floor, absolute_floor=config.absolute_floor)

    @abstractmethod
    def _reach(self, at: int, limits: tuple[float, float]) -> tuple[float, float]:
        """How far below and above what is expected the bucket may lie, on the scale of the baseline; both above 0.

        limits: how much evidence of a fall and of a rise is enough, in parts of the usual.
        """

    @abstractmethod
    def _added(self, value: float, at: int) -> tuple[float, ...]:
        """The evidence after this bucket."""

    @abstractmethod
    def _following(self, at: int, evidence: tuple[float, ...]) -> float:
        """How much of its usual gain the level takes, from 0 to 1."""
