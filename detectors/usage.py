"""For usage of fine grain: what a resource has never done before, each incident once.

CPU, requests, bytes and the like are bursty, have several levels and few outliers that a band around a mean would call
right. This detector remembers what it has seen (detectors.usage_model) and asks how new a bucket is, measured against
how new the buckets of this series usually are. It learns every bucket, the abnormal ones too: what has been reported
once is known from then on. An incident it has reported stays abnormal until a bucket lies within the band that was
expected when it began, or until it has become the rule.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import ClassVar

from detectors.detector import StateError
from detectors.extremes import tame, untame
from detectors.guards import finite, judge, score_of, warming_up
from detectors.parameters import Parameter, Value, check
from detectors.state import HEADER, check_header, check_range, fingerprint
from detectors.usage_band import OrdinaryRange
from detectors.usage_model import RULE, STRANGE, Reading, UsageModel
from detectors.verdict import Band, Verdict

_LONGEST_EPISODE = RULE.quiet
_FAR = 2.0**62
_EPISODE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageConfig:
    """Checked parameters; one object is shared by all series of a policy."""

    threshold: float = STRANGE
    fingerprint: float


class Usage:
    """Novelty of value, residual and level, calibrated by the series itself; for usage metrics of minutes.

    >>> from random import Random
    >>> rng, detector = Random(1), Usage(Usage.configure(grain_seconds=300, params={}))
    >>> for number in range(600):  # 40 or 80 percent, and nothing in between
    ...     detector.learn_one(rng.gauss(80.0 if number % 50 < 10 else 40.0, 2.0), number * 300)
    >>> at = 600 * 300
    >>> [detector.score_one(value, at).status.value for value in (41.0, 79.0, 60.0, 120.0)]
    ['normal', 'normal', 'high', 'high']
    >>> [round(detector.anomaly_score(value, at), 2) for value in (41.0, 79.0, 60.0, 120.0)]
    [0.0, 0.0, 0.85, 0.95]
    """

    __slots__ = ("_config", "_episode", "_last_at", "_left", "_memo", "_model", "_range")

    name: ClassVar[str] = "usage"
    state_version: ClassVar[int] = 1
    learns_abnormal: ClassVar[bool] = True
    summary: ClassVar[str] = "what was never seen before, each incident once; for usage metrics of fine grain"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            name="threshold",
            default=STRANGE,
            minimum=0.1,
            maximum=100.0,
            meaning="how strange a bucket must be; higher is quieter",
        ),
    )

    @classmethod
    def configure(cls, *, grain_seconds: int, params: Mapping[str, Value]) -> UsageConfig:
        """Raises ParameterError that names every mistake."""
        checked = check(cls.name, cls.parameters, params)
        return UsageConfig(
            threshold=float(checked.get("threshold", STRANGE)), fingerprint=fingerprint(cls.name, grain_seconds)
        )

    def __init__(self, config: UsageConfig) -> None:
        self._config = config
        self._model = UsageModel()
        self._episode: Band | None = None
        self._left = 0
        self._last_at = 0
        # The latest reading: whoever judges a bucket and then learns it need not pay for it twice.
        self._memo: tuple[float, int, Reading] | None = None
        # The same for the band, which does not depend on the value.
        self._range: tuple[int, OrdinaryRange] | None = None

    def anomaly_score(self, value: float, at: int) -> float:
        """How strange *value* is, for ranking: 0 to 1, and 0.5 at the threshold. Changes nothing.

        0 while warming up, and for what belongs to an incident that has been shown.
        Raises NotFiniteError.
        """
        reading = self._read(tame(finite(value)), at)
        return score_of(self._model.alarms.shown(reading.strength) / self._config.threshold)

    def band_at(self, at: int) -> Band | None:
        """Between the lowest and the highest value that would be ordinary. During an incident: those before it."""
        if not self._model.is_ready:
            return None
        return self._episode or _band(self._range_at(at))

    def score_one(self, value: float, at: int) -> Verdict:
        """Say how unusual *value* is. Changes nothing. Raises NotFiniteError."""
        value = finite(value)
        if not self._model.is_ready:
            return warming_up(value)
        if self._episode is not None:
            return judge(value, self._episode, _ratio(value, self._episode))
        place = tame(value)
        ordinary = self._range_at(at)
        strength, needed = self._read(place, at).strength, self._needed()
        band = _band(ordinary)
        if strength >= needed and band.lower <= value <= band.upper:
            edge = untame(ordinary.towards(place))
            if value > edge >= band.expected:
                band = Band(expected=band.expected, lower=band.lower, upper=edge)
            elif value < edge <= band.expected:
                band = Band(expected=band.expected, lower=edge, upper=band.upper)
        ratio = _ratio(value, band)
        return judge(value, band, ratio if ratio <= 1.0 else max(strength / needed, 1.0))

    def learn_one(self, value: float, at: int) -> None:
        """Learn one finished bucket, an abnormal one too. Raises NotFiniteError."""
        value = finite(value)
        place = tame(value)
        reading = self._read(place, at)
        self._follow_episode(value, at, reading)
        self._model.learn_one(place, at, reading)
        self._last_at = max(self._last_at, at)
        self._memo = self._range = None

    def accept_level(self, recent: Sequence[tuple[float, int]]) -> None:
        """Move all that was learned to the level of *recent*, and learn those of them that are new."""
        buckets = [(finite(value), at) for value, at in recent]
        if not buckets:
            return
        self._episode = self._memo = self._range = None
        if self._model.is_ready:
            expected = self._model.expected(self._model.surroundings(buckets[0][1]))
            difference = median(tame(value) for value, _ in buckets) - expected
            if abs(difference) > self._model.spread:
                self._model.shift(difference)
        for value, at in buckets:
            if at > self._last_at or not self._model.is_ready:
                self.learn_one(value, at)
        self._episode = self._range = None
        self._model.alarms.forget_incident()

    def export(self) -> tuple[float, ...]:
        """Version, fingerprint, time of the last bucket, the incident that lasts, the model: at most 3,400 numbers."""
        episode = self._episode
        band = (episode.lower, episode.expected, episode.upper) if episode is not None else (0.0, 0.0, 0.0)
        lasting = (float(episode is not None), float(self._left), *band)
        header = (float(self.state_version), self._config.fingerprint)
        return (*header, float(self._last_at), *lasting, *self._model.export())

    def restore(self, state: Sequence[float]) -> None:
        """Raises StateError and leaves the detector as it was."""
        check_header(self.name, state, version=self.state_version, config=self._config.fingerprint)
        numbers = [float(number) for number in state[HEADER:]]
        if len(numbers) < 1 + _EPISODE:
            raise StateError(f"{self.name}: expected at least {HEADER + 1 + _EPISODE} numbers, got {len(state)}")
        last_at = check_range(self.name, "the time of the last bucket", numbers[0], -_FAR, _FAR)
        lasts, left, lower, expected, upper = numbers[1 : 1 + _EPISODE]
        check_range(self.name, "the rest of the incident", left, 0, _LONGEST_EPISODE)
        if not lower <= expected <= upper:
            raise StateError(f"{self.name}: expected ordered bounds of the incident, got {lower}, {expected}, {upper}")
        model = UsageModel()
        model.restore(numbers[1 + _EPISODE :])
        self._model, self._last_at, self._left = model, int(last_at), int(left)
        self._memo = self._range = None
        self._episode = Band(expected=expected, lower=lower, upper=upper) if lasts else None

    def _read(self, place: float, at: int) -> Reading:
        memo = self._memo
        if memo is not None and memo[0] == place and memo[1] == at:
            return memo[2]
        reading = self._model.read(place, at)
        self._memo = (place, at, reading)
        return reading

    def _needed(self) -> float:
        """The strength from which the next bucket is abnormal."""
        return self._model.alarms.raw(self._config.threshold)

    def _range_at(self, at: int) -> OrdinaryRange:
        if self._range is not None and self._range[0] == at:
            return self._range[1]
        model = self._model
        surroundings = model.surroundings(at)
        expected = model.expected(surroundings)
        found = OrdinaryRange(
            model.strengths(expected, surroundings),
            expected=expected,
            spread=model.spread,
            needed=self._needed(),
        )
        self._range = (at, found)
        return found

    def _follow_episode(self, value: float, at: int, reading: Reading) -> None:
        episode = self._episode
        if episode is not None:
            self._left -= 1
            if self._left <= 0 or episode.lower <= value <= episode.upper:
                self._episode = None
            return
        if self._model.is_ready and reading.strength >= self._needed():
            band = self.score_one(value, at).band
            # Where nothing would be ordinary, no value ends the incident; it is told of once.
            if band is not None and band.lower < band.upper and not band.lower <= value <= band.upper:
                self._episode, self._left = band, _LONGEST_EPISODE


def _band(ordinary: OrdinaryRange) -> Band:
    expected = untame(ordinary.expected)
    # Near the largest float, rounding may put a bound on the wrong side of what is expected.
    return Band(
        expected=expected, lower=min(untame(ordinary.lower), expected), upper=max(untame(ordinary.upper), expected)
    )


def _ratio(value: float, band: Band) -> float:
    """|value - expected| in units of the distance of the bound; halves, since large values of unlike sign overflow."""
    edge = band.upper if value >= band.expected else band.lower
    reach = edge / 2 - band.expected / 2
    off = value / 2 - band.expected / 2
    if reach:
        return off / reach
    return float("inf") if off else 0.0
