"""Level shifts: buckets that lie on one side of what is usual, each of them perhaps unremarkable, until they add up.

Two-sided CUSUM (Page, E. S., 1954) of deviations from a baseline that knows the phase of the week. river's own
drift detectors look at raw values: PageHinkley takes every weekend for a shift, and ADWIN tells of one after it has
learned it. Here evidence is asked before the bucket is learned, so there is a band that a person can read.

One bucket counts as at most CLIP spreads: a spike alone is no shift, unless it is so far off that two of them would not
have been told apart from one.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from detectors.baseline import pace_of
from detectors.calendar import DAY, HOUR
from detectors.lasting import Lasting, LastingConfig
from detectors.parameters import ABSOLUTE_FLOOR, RELATIVE_FLOOR, Parameter, Value, check
from detectors.state import fingerprint
from detectors.tail import Prior

CLIP: Final = 4.0
_GOES_ON: Final = 1.5
"""Where the evidence is complete, a bucket belongs to the shift from so many spreads on."""


class Shift(Lasting):
    """A level that has moved; quiet on spikes.

    >>> detector = Shift(Shift.configure(grain_seconds=86400, params={}))
    >>> for day in range(60):
    ...     detector.learn_one(100.0 + (-3.0, 4.0, -1.0, 1.0, -1.0)[day % 5], day * 86400)
    >>> found = []
    >>> for day in range(60, 65):  # a sixth more from now on
    ...     verdict = detector.score_one(117.0, day * 86400)
    ...     found.append((verdict.status.value, round(verdict.band.upper)))
    ...     detector.learn_one(117.0, day * 86400)
    >>> found
    [('normal', 136), ('normal', 137), ('high', 111), ('high', 106), ('high', 107)]
    """

    __slots__ = ()

    name: ClassVar[str] = "shift"
    state_version: ClassVar[int] = 1
    prior: ClassVar[Prior] = Prior(0.29, 0.125, 0.04)  # a sum of this kind is exponential (Siegmund, D., 1985)
    run: ClassVar[float] = 4.0
    _evidence_size: ClassVar[int] = 2
    summary: ClassVar[str] = "a level that has moved, by deviations that add up (CUSUM); for any grain"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            name="evidence",
            default=9.0,
            default_note="daily and longer 9, hourly 12, finer 16",
            minimum=1.0,
            maximum=1000.0,
            meaning="how many spreads must add up, less the allowance a bucket; higher is quieter",
        ),
        Parameter(
            name="allowance",
            default=0.5,
            minimum=0.0,
            maximum=10.0,
            meaning="what a bucket has to deviate, in spreads, before it counts; twice this is found fastest",
        ),
        RELATIVE_FLOOR,
        ABSOLUTE_FLOOR,
    )

    @classmethod
    def configure(cls, *, grain_seconds: int, params: Mapping[str, Value]) -> LastingConfig:
        """Raises ParameterError that names every mistake."""
        checked = check(cls.name, cls.parameters, params)
        usual = 9.0 if grain_seconds >= DAY else 12.0 if grain_seconds >= HOUR else 16.0
        return LastingConfig(
            pace=pace_of(grain_seconds),
            limit=float(checked.get("evidence", usual)),
            allowance=float(checked.get("allowance", 0.5)),
            relative_floor=float(checked.get("relative_floor", RELATIVE_FLOOR.default)),
            absolute_floor=float(checked.get("absolute_floor", ABSOLUTE_FLOOR.default)),
            # Only what gives the numbers their meaning: a new limit or floor judges on with what has been learned.
            fingerprint=fingerprint(cls.name, grain_seconds),
        )

    def distances(self, value: float, at: int) -> tuple[float, float]:
        off = self._off(value, at)
        risen, fallen = self._evidence
        return self._distance(fallen, -off), self._distance(risen, off)

    def _distance(self, evidence: float, off: float) -> float:
        config = self._config
        return (max(evidence + min(off, CLIP), off) - config.allowance) / config.limit

    def _reach(self, at: int, limits: tuple[float, float]) -> tuple[float, float]:
        spread = self._baseline.spread(at) * self._baseline.alike
        risen, fallen = self._evidence
        return spread * self._left(fallen, limits[0]), spread * self._left(risen, limits[1])

    def _left(self, evidence: float, limit: float) -> float:
        """Spreads until this evidence is enough. What one bucket cannot bring takes one that is enough by itself."""
        alone = limit * self._config.limit + self._config.allowance
        left = alone - evidence
        return max(left, _GOES_ON) if left <= CLIP else alone

    def _off(self, value: float, at: int) -> float:
        return self._baseline.deviation(value, at) / (self._baseline.spread(at) * self._baseline.alike)

    def _added(self, value: float, at: int) -> tuple[float, ...]:
        off = self._off(value, at)
        risen, fallen = self._evidence
        return self._sum(risen, off), self._sum(fallen, -off)

    def _sum(self, evidence: float, off: float) -> float:
        config = self._config
        return min(max(evidence + min(off, CLIP) - config.allowance, 0.0), config.limit)

    def _following(self, at: int, evidence: tuple[float, ...]) -> float:
        return 1.0 - 0.9 * max(evidence) / self._config.limit
