"""What the seasonal detector is set to: its parameters, and the rates that go with a grain."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from detectors.calendar import DAY, HOUR
from detectors.evidence import CLIP
from detectors.parameters import ABSOLUTE_FLOOR, RELATIVE_FLOOR, SIGMA_MEANING, Parameter, Value, check
from detectors.slots import NO_SLOTS, Layout, layout_of
from detectors.state import fingerprint

NAME = "seasonal"
MOST_KEPT = 168
"""So many first buckets are kept as they are, to begin from all of them at once; a week of hours."""

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        name="sigma",
        default=3.7,
        default_note="daily and longer 3.7, hourly 4, finer 5",
        minimum=0.5,
        maximum=50.0,
        meaning=SIGMA_MEANING,
    ),
    Parameter(
        name="evidence",
        default=4.8,
        default_note="daily and longer 4.8, hourly 8, finer 1000, which is never",
        minimum=1.0,
        maximum=1000.0,
        meaning="how many spreads must add up, less 0.75 a bucket, for a shift or a creep that no bucket shows alone",
    ),
    Parameter(
        name="min_learned",
        default=14,
        default_note="daily 14, hourly 168, finer a day's worth up to 288, else 8",
        minimum=4,
        maximum=10_000,
        meaning="buckets to learn before any is judged",
    ),
    Parameter(
        name="season",
        default="auto",
        choices=("auto", "none"),
        meaning="auto: weekdays and month turns for days, hours of day and week for hours, hours of day for finer ones",
    ),
    RELATIVE_FLOOR,
    ABSOLUTE_FLOOR,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How fast things are learned, per bucket.

    level_drift: variance of the level's own movement, in units of the noise variance; small, so that what creeps is
        seen before it is learned. trend_drift: variance of the trend's own movement, in squared logarithms.
    usual_trend: as large, per bucket, as a trend may well be. noise_gain, idle_gain: weight of the newest bucket in
        the spread, and in the share of idle buckets. a_day: buckets in which a rest day is over. allowance: what the
        evidence of a shift loses with each bucket, in spreads. settled: so many buckets held back, with gaps between
        them, are the new level; settled_by_rest: so many, where an idle one ends them. goes_on: from so many spreads on
        a bucket goes on with the episode before it. most: so many of its spreads are evidence of a shift at the most.
    """

    level_drift: float
    trend_drift: float
    usual_trend: float
    noise_gain: float
    idle_gain: float
    a_day: float
    allowance: float
    settled: float
    settled_by_rest: float = 7.0
    goes_on: float = math.inf
    most: float = CLIP
    persistence: float = 0.5
    """Assumed correlation of a deviation with the one before it (AR(1))."""

    @property
    def onset(self) -> float:
        """How many times as far as those after it the first bucket of a shift lies from what is expected."""
        return 1.0 / (1.0 - self.persistence)


_DAILY = Rates(
    level_drift=0.0007,
    trend_drift=1e-9,
    usual_trend=0.003,
    noise_gain=1 / 60,
    idle_gain=1 / 60,
    a_day=1.0,
    allowance=0.75,
    settled=10.0,
)
_HOURLY = Rates(
    level_drift=4e-5,
    trend_drift=3e-13,
    usual_trend=0.0002,
    noise_gain=1 / 500,
    idle_gain=1 / 300,
    a_day=24.0,
    allowance=0.75,
    settled=96.0,
    settled_by_rest=67.0,
    goes_on=3.0,
    most=3.0,
)
_FINER = Rates(
    level_drift=0.005,
    trend_drift=0.0,
    usual_trend=0.0,
    noise_gain=1 / 1000,
    idle_gain=1 / 1000,
    a_day=0.0,
    allowance=0.75,
    settled=1000.0,
    persistence=0.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeasonalConfig:
    """Checked parameters; one object is shared by all series of a policy.

    evidence: limit of what adds up, in spreads. kept: how many first buckets are kept raw, to fit the first model.
    """

    grain_seconds: int
    sigma: float
    evidence: float
    min_learned: int
    kept: int
    relative_floor: float
    absolute_floor: float
    layout: Layout
    rates: Rates
    fingerprint: float


def configure(*, grain_seconds: int, params: Mapping[str, Value]) -> SeasonalConfig:
    """Raises ParameterError that names every mistake."""
    checked = check(NAME, PARAMETERS, params)
    seasons = checked.get("season", "auto") == "auto"
    min_learned = int(checked.get("min_learned", _default_min_learned(grain_seconds)))
    kept = min(min_learned, MOST_KEPT)
    return SeasonalConfig(
        grain_seconds=grain_seconds,
        sigma=float(checked.get("sigma", _default_sigma(grain_seconds))),
        evidence=float(checked.get("evidence", _default_evidence(grain_seconds))),
        min_learned=min_learned,
        kept=kept,
        relative_floor=float(checked.get("relative_floor", RELATIVE_FLOOR.default)),
        absolute_floor=float(checked.get("absolute_floor", ABSOLUTE_FLOOR.default)),
        layout=layout_of(grain_seconds) if seasons else NO_SLOTS,
        rates=_DAILY if grain_seconds >= DAY else _HOURLY if grain_seconds >= HOUR else _FINER,
        # Only what gives the numbers their meaning: a new sigma or floor judges on with what has been learned.
        fingerprint=fingerprint(NAME, grain_seconds, seasons),
    )


def _default_sigma(grain_seconds: int) -> float:
    """More buckets a month need wider bounds for the same number of false alarms."""
    return 3.7 if grain_seconds >= DAY else 4.0 if grain_seconds >= HOUR else 5.0


def _default_evidence(grain_seconds: int) -> float:
    return 4.8 if grain_seconds >= DAY else 8.0 if grain_seconds >= HOUR else 1000.0


def _default_min_learned(grain_seconds: int) -> int:
    if grain_seconds == DAY:
        return 14
    if grain_seconds == HOUR:
        return 168
    if grain_seconds < HOUR:
        return min(288, DAY // grain_seconds)
    return 8
