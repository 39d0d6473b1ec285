"""Creep: a level that rises or falls a little with every bucket, so that none of them stands out from the one before.

Two levels of the same series, one that follows within days and one that takes months and no faster trend than
ordinary growth; the test is on their ratio. The fast one is an average that forgets, of deviations from the slow one
(the EWMA chart of Roberts, S. W., 1959), so calendar phases are gone from both.
"""

import math
from collections.abc import Mapping
from typing import ClassVar, Final

from detectors.baseline import CLIP, pace_of
from detectors.calendar import DAY
from detectors.lasting import Lasting, LastingConfig
from detectors.parameters import ABSOLUTE_FLOOR, RELATIVE_FLOOR, Parameter, Value, check
from detectors.state import fingerprint
from detectors.tail import Prior, normal_prior

_FAST_DAYS: Final = 5.0
"""Mean age of what the fast level remembers, for days; hours remember a third of it, finer grains a tenth."""
_ALONE: Final = 8.0
_TIMES: Final = 5.0
"""What no single bucket can bring takes one so many spreads off, and so many times as far as the fast level must be."""
_LEAST: Final = 0.5
"""While the fast level is far off, a bucket belongs to the creep from this part of the distance on."""


class Creep(Lasting):
    """A slow rise or fall; `rise` is the least that is told, so a person can say what matters.

    >>> detector = Creep(Creep.configure(grain_seconds=86400, params={}))
    >>> for day in range(60):
    ...     detector.learn_one(100.0 + (-3.0, 4.0, -1.0, 1.0, -1.0)[day % 5], day * 86400)
    >>> cost, day = 100.0, 60
    >>> while detector.score_one(cost, day * 86400).status.value == "normal":  # 3 % more with every day
    ...     detector.learn_one(cost, day * 86400)
    ...     cost, day = cost * 1.03, day + 1
    >>> day - 60, round(cost), round(detector.band_at(day * 86400).expected)
    (9, 130, 103)
    """

    __slots__ = ()

    name: ClassVar[str] = "creep"
    state_version: ClassVar[int] = 1
    prior: ClassVar[Prior] = normal_prior(4.0)
    run: ClassVar[float] = 2.0
    _evidence_size: ClassVar[int] = 1
    summary: ClassVar[str] = "a slow rise or fall, by the ratio of a fast and a slow level; for any grain"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            name="sigma",
            default=4.0,
            minimum=0.5,
            maximum=50.0,
            meaning="how many of its own spreads the fast level has to leave the slow one; higher is quieter",
        ),
        Parameter(
            name="rise",
            default=0.1,
            minimum=0.001,
            maximum=100.0,
            meaning="the least part of the slow level by which the fast one has to leave it",
        ),
        RELATIVE_FLOOR,
        ABSOLUTE_FLOOR,
    )

    @classmethod
    def configure(cls, *, grain_seconds: int, params: Mapping[str, Value]) -> LastingConfig:
        """Raises ParameterError that names every mistake."""
        checked = check(cls.name, cls.parameters, params)
        return LastingConfig(
            pace=pace_of(grain_seconds),
            limit=float(checked.get("sigma", 4.0)),
            allowance=math.log1p(float(checked.get("rise", 0.1))),
            relative_floor=float(checked.get("relative_floor", RELATIVE_FLOOR.default)),
            absolute_floor=float(checked.get("absolute_floor", ABSOLUTE_FLOOR.default)),
            # Only what gives the numbers their meaning: a new limit or floor judges on with what has been learned.
            fingerprint=fingerprint(cls.name, grain_seconds),
        )

    @property
    def _gain(self) -> float:
        grain_seconds = self._config.pace.grain_seconds
        if grain_seconds >= DAY:
            return 1.0 / (1.0 + _FAST_DAYS)
        return 1.0 / (1.0 + max(_FAST_DAYS * DAY / grain_seconds / (3 if grain_seconds >= 3600 else 10), 5.0))

    def _enough(self, at: int) -> float:
        """How far the fast level has to leave the slow one, on the scale."""
        gain = self._gain
        chance = self._baseline.spread(at) * self._baseline.alike * math.sqrt(gain / (2.0 - gain))
        return max(self._config.limit * chance, self._config.allowance)

    def distances(self, value: float, at: int) -> tuple[float, float]:
        off, spread, enough = self._baseline.deviation(value, at), self._baseline.spread(at), self._enough(at)
        (fast,) = self._evidence
        return self._distance(-fast, -off, spread, enough), self._distance(fast, off, spread, enough)

    def _distance(self, fast: float, off: float, spread: float, enough: float) -> float:
        moved = fast + self._gain * (min(off, CLIP * spread) - fast)
        return max(moved / enough, off / self._alone(spread, enough))

    def _reach(self, at: int, limits: tuple[float, float]) -> tuple[float, float]:
        spread, enough = self._baseline.spread(at), self._enough(at)
        (fast,) = self._evidence
        return self._left(-fast, spread, enough, limits[0]), self._left(fast, spread, enough, limits[1])

    def _left(self, fast: float, spread: float, enough: float, limit: float) -> float:
        left = fast + (limit * enough - fast) / self._gain
        return max(left, _LEAST * enough) if left <= CLIP * spread else limit * self._alone(spread, enough)

    def _alone(self, spread: float, enough: float) -> float:
        return max(_ALONE * spread * self._baseline.alike, _TIMES * enough)

    def _added(self, value: float, at: int) -> tuple[float, ...]:
        (fast,) = self._evidence
        most = CLIP * self._baseline.spread(at)
        off = min(max(self._baseline.deviation(value, at), -most), most)
        return (fast + self._gain * (off - fast),)

    def _following(self, at: int, evidence: tuple[float, ...]) -> float:
        return max(1.0 - abs(evidence[0]) / self._enough(at), 0.1)
