"""The classic rule: a bucket is unusual when it lies k standard deviations from the mean of the last n.

The judged bucket is left out of its own baseline. Inside it, no value of seven can be more than 2.27 deviations away,
however large it is, and it then widens the band that should catch the next one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from detectors.detector import StateError
from detectors.ewstats import RollingMeanVar
from detectors.guards import clamp, finite, judge, spread_floor, warming_up
from detectors.parameters import ABSOLUTE_FLOOR, RELATIVE_FLOOR, SIGMA_MEANING, Parameter, ParameterError, Value, check
from detectors.state import HEADER, check_header, fingerprint
from detectors.verdict import Band, Verdict

_MOST_WINDOW = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingConfig:
    """Checked parameters; one object is shared by all series of a policy."""

    window: int = 28
    sigma: float = 3.0
    min_learned: int = 7
    relative_floor: float = 0.02
    absolute_floor: float = 1e-6
    fingerprint: float


class Rolling:
    """Mean and standard deviation of the last finished buckets; knows neither seasons nor trends.

    >>> detector = Rolling(Rolling.configure(grain_seconds=86400, params={"window": 7}))
    >>> for day, cost in enumerate([100, 104, 96, 102, 98, 101, 99]):
    ...     detector.learn_one(cost, day * 86400)
    >>> band = detector.band_at(7 * 86400)
    >>> round(band.lower, 2), band.expected, round(band.upper, 2)
    (92.06, 100.0, 107.94)
    >>> verdict = detector.score_one(120.0, 7 * 86400)
    >>> verdict.status, round(verdict.score, 2)
    (<Status.HIGH: 'high'>, 0.86)
    """

    __slots__ = ("_config", "_recent")

    name: ClassVar[str] = "rolling"
    state_version: ClassVar[int] = 1
    summary: ClassVar[str] = "mean and standard deviation of the last n buckets, the judged one left out"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            name="window",
            default=28,
            minimum=2,
            maximum=_MOST_WINDOW,
            meaning="how many buckets the mean is taken over",
        ),
        Parameter(name="sigma", default=3.0, minimum=0.5, maximum=50.0, meaning=SIGMA_MEANING),
        Parameter(
            name="min_learned",
            default=7,
            minimum=2,
            maximum=_MOST_WINDOW,
            meaning="buckets to learn before any is judged; at most the window",
        ),
        RELATIVE_FLOOR,
        ABSOLUTE_FLOOR,
    )

    @classmethod
    def configure(cls, *, grain_seconds: int, params: Mapping[str, Value]) -> RollingConfig:
        """Raises ParameterError that names every mistake."""
        checked = check(cls.name, cls.parameters, params)
        window = int(checked.get("window", 28))
        min_learned = int(checked.get("min_learned", min(7, window)))
        if min_learned > window:
            raise ParameterError(cls.name, [f"min_learned must be at most the window of {window}, got {min_learned}"])
        return RollingConfig(
            window=window,
            sigma=float(checked.get("sigma", 3.0)),
            min_learned=min_learned,
            relative_floor=float(checked.get("relative_floor", RELATIVE_FLOOR.default)),
            absolute_floor=float(checked.get("absolute_floor", ABSOLUTE_FLOOR.default)),
            # Only what gives the numbers their meaning: a new window or sigma judges on with what has been learned.
            fingerprint=fingerprint(cls.name, grain_seconds),
        )

    def __init__(self, config: RollingConfig) -> None:
        self._config = config
        self._recent = RollingMeanVar(config.window)

    def band_at(self, at: int) -> Band | None:
        """The same at all times: this rule knows no calendar. None while warming up."""
        config, recent = self._config, self._recent
        if len(recent.window) < config.min_learned:
            return None
        reach = config.sigma * spread_floor(
            recent.sd, recent.mean, relative=config.relative_floor, absolute=config.absolute_floor
        )
        return Band(expected=recent.mean, lower=clamp(recent.mean - reach), upper=clamp(recent.mean + reach))

    def score_one(self, value: float, at: int) -> Verdict:
        """Say how unusual *value* is. Changes nothing. Raises NotFiniteError."""
        value = finite(value)
        band = self.band_at(at)
        if band is None:
            return warming_up(value)
        # Each side is divided by its own reach, since one of them may have been cut at the largest float; halves,
        # because the difference of two large values of unlike sign overflows.
        edge = band.upper if value >= band.expected else band.lower
        reach = edge / 2 - band.expected / 2
        return judge(value, band, (value / 2 - band.expected / 2) / reach if reach else 0.0)

    def learn_one(self, value: float, at: int) -> None:
        """Learn one finished bucket. Raises NotFiniteError."""
        self._recent.update(value)

    def accept_level(self, recent: Sequence[tuple[float, int]]) -> None:
        """Move what is remembered to the level of *recent*, then append it: the new normal keeps the old scatter.

        A level that only changes its size scales the scatter along; one that crosses or leaves zero shifts it.
        """
        values = [finite(value) for value, _ in recent]
        if not values:
            return
        baseline = RollingMeanVar(len(values))
        baseline.refill(values)
        old, new = self._recent.mean, baseline.mean
        if old * new > 0:
            moved = [clamp(value / old * new) for value in self._recent.window]
        else:
            moved = [clamp(value - old + new) for value in self._recent.window]
        self._recent.refill(moved + values)

    def export(self) -> tuple[float, ...]:
        """Version, fingerprint, then the window, oldest first: at most 2 + window numbers."""
        return (float(self.state_version), self._config.fingerprint, *self._recent.window)

    def restore(self, state: Sequence[float]) -> None:
        """Raises StateError and leaves the detector as it was."""
        check_header(self.name, state, version=self.state_version, config=self._config.fingerprint)
        if len(state) > HEADER + _MOST_WINDOW:
            raise StateError(f"{self.name}: expected at most {HEADER + _MOST_WINDOW} numbers, got {len(state)}")
        self._recent.refill([float(number) for number in state[HEADER:]])
