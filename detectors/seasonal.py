"""The default: what a weekday or an hour usually costs, learned robustly, judged in factors rather than amounts.

On the scale of `detectors.scale`, a bucket is a level that moves slowly, plus the effects of its calendar slots, plus
noise. They are learned together by a Kalman filter whose parts are kept apart (a diagonal covariance), so each part
knows how sure it is: a weekday seen twice widens the band, one seen for months does not. What lies more than three
spreads off is learned from as if it lay at three. A bucket may also be idle; how often a slot is, is learned apart, so
that weekends at zero, jobs that run every third day and services that never stop each get a band that fits.
"""

import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from enum import Enum
from statistics import median
from typing import ClassVar

from detectors.detector import StateError
from detectors.guards import clamp, finite, judge, warming_up
from detectors.parameters import Parameter, Value
from detectors.scale import squash, unsquash
from detectors.seasonal_config import NAME, PARAMETERS, SeasonalConfig, configure
from detectors.seasonal_fit import CLIP, IDLE_PART, Anchor, choose_anchor, fit
from detectors.state import HEADER, check_header, check_length, check_range
from detectors.verdict import Band, Verdict

# Places in the array of numbers that a fitted model consists of, beside its slots.
LEARNED, LAST, LEVEL, TREND, DOUBT, NOISE, ANCHOR, FACTORS, IDLE_SHARE, DORMANT = range(10)
"""LAST: start of the latest bucket learned. DOUBT: variance of the level, in units of NOISE, the noise variance.
FACTORS: 1 for a multiplicative anchor. IDLE_SHARE: of buckets whose slot is not idle by rhythm. DORMANT: 1 if the
normal of the series is to be idle."""

_NUMBERS = 10
_MOST_STEPS = 64
"""A longer gap leaves the level no less certain than this one."""
_MOST_AT = 2**53
"""Times beyond this, in seconds, are not exact as a float; they count as this."""
_FEW = 5.0
"""The bounds of a spread known from n buckets lie 1 + _FEW / n times as far (as Student's t against the normal)."""
_IDLE_RARE = 0.08
_IDLE_USUAL = 0.97
"""Where more than the one share of the buckets is idle, one may be; where the other is, one should be."""
_IDLE_ERRATIC = 0.25
"""A series that idles at random as often as this has no hours of rest, only hours that have been quiet so far."""
_IDLE_REACH = math.asinh(2 * IDLE_PART)
_WIDE = 2.0
"""Bounds this far off, a seventh and seven times the expected, are so wide that nothing at all lies within them too."""
_MOST_PLACE = 1500.0
_REANCHOR_BELOW = math.asinh(5.0)
_REANCHOR_ABOVE = math.asinh(400.0)


class _Idleness(Enum):
    """May a bucket be idle?"""

    NEVER = 0
    SOMETIMES = 1
    ALWAYS = 2


# As plain globals: looking up a member of an Enum costs more than the arithmetic around it.
_NEVER, _SOMETIMES, _ALWAYS = _Idleness


class Seasonal:
    """Seasonal and robust; for daily and hourly cost, and for usage metrics of any grain.

    >>> detector = Seasonal(configure(grain_seconds=86400, params={}))
    >>> week = [100, 40, 41, 103, 98, 101, 99]  # from a Thursday on: 1970-01-01 was one
    >>> for day in range(21):
    ...     detector.learn_one(week[day % 7] * (1.01 if day % 2 else 0.99), day * 86400)
    >>> band = detector.band_at(21 * 86400)
    >>> round(band.lower), round(band.expected), round(band.upper)
    (87, 100, 114)
    >>> detector.score_one(100.0, 21 * 86400).status, detector.score_one(100.0, 22 * 86400).status
    (<Status.NORMAL: 'normal'>, <Status.HIGH: 'high'>)
    """

    __slots__ = ("_config", "_first", "_numbers", "_slots")

    name: ClassVar[str] = NAME
    state_version: ClassVar[int] = 1
    summary: ClassVar[str] = "weekday, hour and month-turn effects on a moving level, robust, in factors (the default)"
    parameters: ClassVar[tuple[Parameter, ...]] = PARAMETERS

    @classmethod
    def configure(cls, *, grain_seconds: int, params: Mapping[str, Value]) -> SeasonalConfig:
        """Raises ParameterError that names every mistake."""
        return configure(grain_seconds=grain_seconds, params=params)

    def __init__(self, config: SeasonalConfig) -> None:
        self._config = config
        # The first buckets as value, at, value, at ...; None once the model is fitted.
        self._first: array[float] | None = array("d")
        self._numbers = array("d")
        # Effects, counts, idle counts; single precision is enough for logarithms, and halves them.
        self._slots = array("f")

    def band_at(self, at: int) -> Band | None:
        """What is expected of the bucket that starts at *at*, past or future; None while warming up."""
        places = self._places_at(at)
        return None if places is None else self._band(*places)

    def score_one(self, value: float, at: int) -> Verdict:
        """Say how unusual *value* is. Changes nothing. Raises NotFiniteError."""
        value = finite(value)
        places = self._places_at(at)
        if places is None:
            return warming_up(value)
        lower, expected, upper = places
        distance = squash(value, self._numbers[ANCHOR]) - expected
        return judge(value, self._band(*places), distance / (upper - expected if distance >= 0 else lower - expected))

    def learn_one(self, value: float, at: int) -> None:
        """Learn one finished bucket. Raises NotFiniteError. An earlier or repeated *at* is one more observation."""
        value = finite(value)
        if self._first is None:
            self._learn(value, at)
            return
        self._first.extend((value, _bounded(at)))
        if len(self._first) >= 2 * self._config.kept:
            self._begin(self._first[0::2], [int(kept) for kept in self._first[1::2]])

    def accept_level(self, recent: Sequence[tuple[float, int]]) -> None:
        """Move the level to the median of *recent*, calendar effects left out of it; these and the spread stay."""
        for value, _ in recent:
            finite(value)
        if self._first is not None:
            for value, at in recent:
                self.learn_one(value, at)
            return
        if not recent:
            return
        numbers = self._numbers
        anchor = choose_anchor([value for value, _ in recent], absolute_floor=self._config.absolute_floor)
        active = [
            (value, at) for value, at in recent if not anchor.multiplicative or abs(value) > self._idle_below(anchor)
        ]
        numbers[LAST] = max(numbers[LAST], *(_bounded(at) for _, at in recent))
        numbers[LEARNED] += len(recent)
        numbers[TREND] = 0.0
        numbers[DORMANT] = float(2 * len(active) <= len(recent))
        if numbers[DORMANT]:
            return
        numbers[IDLE_SHARE] = min(numbers[IDLE_SHARE], 1.0 - len(active) / len(recent))
        numbers[ANCHOR], numbers[FACTORS] = anchor.at, float(anchor.multiplicative)
        numbers[LEVEL] = median([squash(value, anchor.at) - self._effect(at) for value, at in active])
        numbers[DOUBT] = 1.0 / len(active)

    def export(self) -> tuple[float, ...]:
        """Version, fingerprint, then either the first buckets or the model.

        At most 41 numbers for days, 566 for hours, 84 for finer grains; while warming up two for each bucket kept.
        """
        header = (float(self.state_version), self._config.fingerprint)
        if self._first is not None:
            return (*header, 0.0, *self._first)
        return (*header, 1.0, *self._numbers, *self._slots)

    def restore(self, state: Sequence[float]) -> None:
        """Raises StateError and leaves the detector as it was."""
        check_header(self.name, state, version=self.state_version, config=self._config.fingerprint)
        fitted, body = state[HEADER : HEADER + 1], state[HEADER + 1 :]
        if list(fitted) == [0.0]:
            if len(body) % 2 or len(body) >= 2 * self._config.kept:
                raise StateError(
                    f"{self.name}: expected pairs of value and time, fewer than {self._config.kept},"
                    f" got {len(body)} numbers"
                )
            if not all(number.is_integer() and abs(number) <= _MOST_AT for number in map(float, body[1::2])):
                raise StateError(f"{self.name}: times must be whole seconds")
            self._first, self._numbers, self._slots = array("d", body), array("d"), array("f")
            return
        if list(fitted) != [1.0]:
            raise StateError(f"{self.name}: expected 0 or 1 for whether a model is fitted, got {list(fitted)}")
        layout = self._config.layout
        check_length(self.name, body, _NUMBERS + 2 * layout.size + layout.rhythm_size)
        numbers, slots = array("d", body[:_NUMBERS]), body[_NUMBERS:]
        for place, (what, low, high) in _ALLOWED.items():
            check_range(self.name, what, numbers[place], low, high)
        for number in slots[: layout.size]:
            check_range(self.name, "a slot's effect", number, -2 * _MOST_PLACE, 2 * _MOST_PLACE)
        for number in slots[layout.size :]:
            check_range(self.name, "a slot's count", number, 0.0, 1e6)
        self._first, self._numbers, self._slots = None, numbers, array("f", slots)

    # What follows works on a fitted model only.

    def _places_at(self, at: int) -> tuple[float, float, float] | None:
        """Lower bound, expectation and upper bound on the scale; None while warming up."""
        config, numbers = self._config, self._numbers
        if self._first is not None or numbers[LEARNED] < config.min_learned:
            return None
        slots = config.layout.of(at)
        idle = self._idleness(slots)
        if idle is _ALWAYS:
            lower, expected, upper = -_IDLE_REACH, 0.0, _IDLE_REACH
        else:
            expected, _, _, variance = self._predict(at, slots)
            reach = config.sigma * (1.0 + _FEW / numbers[LEARNED]) * math.sqrt(variance)
            lower, upper = expected - reach, expected + reach
            if idle is _SOMETIMES or (numbers[FACTORS] and reach > _WIDE):
                lower, upper = min(lower, -_IDLE_REACH), max(upper, _IDLE_REACH)
        anchor = numbers[ANCHOR]
        amount = unsquash(expected, anchor)
        reach = config.sigma * config.absolute_floor
        return (
            min(lower, squash(clamp(amount - reach), anchor)),
            expected,
            max(upper, squash(clamp(amount + reach), anchor)),
        )

    def _band(self, lower: float, expected: float, upper: float) -> Band:
        anchor = self._numbers[ANCHOR]
        return Band(expected=unsquash(expected, anchor), lower=unsquash(lower, anchor), upper=unsquash(upper, anchor))

    def _predict(self, at: int, slots: tuple[int, ...]) -> tuple[float, float, float, float]:
        """Of an active bucket: expectation, noise variance, variance of the level, and all of the variance."""
        config, numbers, effects = self._config, self._numbers, self._slots
        rates, layout = config.rates, config.layout
        steps = min(max((at - int(numbers[LAST])) // config.grain_seconds, 0), _MOST_STEPS)
        noise = max(numbers[NOISE], config.relative_floor**2)
        level_variance = noise * (numbers[DOUBT] + rates.level_drift * steps)
        place = numbers[LEVEL]
        if steps == 1:
            place += numbers[TREND]
        elif steps and rates.trend_gain:
            place += numbers[TREND] * (1.0 - rates.trend_damping**steps) / (1.0 - rates.trend_damping)
        variance = noise + level_variance
        for slot in slots:
            place += effects[slot]
            variance += noise / (effects[layout.size + slot] + noise / layout.prior_variance[slot])
        if numbers[FACTORS]:
            # A factor never changes the sign.
            place = max(place, 0.0) if numbers[LEVEL] >= 0.0 else min(place, 0.0)
        return place, noise, level_variance, variance

    def _effect(self, at: int) -> float:
        return math.fsum(self._slots[slot] for slot in self._config.layout.of(at))

    def _idle_below(self, anchor: Anchor) -> float:
        return IDLE_PART * anchor.at

    def _idleness(self, slots: tuple[int, ...]) -> _Idleness:
        """Whether a bucket of these slots may be idle, by what was seen of its slot and at random."""
        numbers, layout = self._numbers, self._config.layout
        if not numbers[FACTORS]:
            return _NEVER
        if numbers[DORMANT]:
            return _ALWAYS
        at_random = _SOMETIMES if numbers[IDLE_SHARE] > _IDLE_RARE else _NEVER
        if layout.rhythm_place is None:
            return at_random
        slot = slots[layout.rhythm_place]
        idle = self._slots[2 * layout.size + slot - layout.rhythm_start]
        if idle < 1.0:
            return at_random
        seen = self._slots[layout.size + slot] + idle
        if idle >= 2.0 and idle >= _IDLE_USUAL * seen and numbers[IDLE_SHARE] < _IDLE_ERRATIC:
            return _ALWAYS
        return _SOMETIMES if idle > _IDLE_RARE * seen else at_random

    def _begin(self, values: Sequence[float], ats: list[int]) -> None:
        """Fit the first model to the first buckets."""
        config = self._config
        first = fit(
            values,
            ats,
            config.layout,
            absolute_floor=config.absolute_floor,
            relative_floor=config.relative_floor,
        )
        numbers = array("d", bytes(8 * _NUMBERS))
        numbers[LEARNED] = len(values)
        numbers[LAST] = max(ats)
        numbers[LEVEL] = first.level
        numbers[DOUBT] = 1.0 / len(values) + config.rates.level_drift
        numbers[NOISE] = first.noise_variance
        numbers[ANCHOR], numbers[FACTORS] = first.anchor.at, float(first.anchor.multiplicative)
        numbers[IDLE_SHARE] = first.idle_share
        numbers[DORMANT] = float(first.dormant)
        self._numbers = numbers
        self._slots = array("f", (*first.effects, *first.counts, *first.idle_counts))
        self._first = None

    def _learn(self, value: float, at: int) -> None:
        config, numbers, effects = self._config, self._numbers, self._slots
        rates, layout = config.rates, config.layout
        slots = layout.of(at)
        idle = numbers[FACTORS] and abs(value) <= IDLE_PART * numbers[ANCHOR]
        if numbers[FACTORS]:
            self._learn_idleness(slots, bool(idle))
        numbers[LEARNED] += 1.0
        if idle:
            return  # says nothing of how much is spent when it is not idle; the level's time stands still
        place, noise, level_variance, variance = self._predict(at, slots)
        off = squash(value, numbers[ANCHOR]) - place
        spread = math.sqrt(variance)
        clipped = min(max(off, -CLIP * spread), CLIP * spread)

        steps = min(max((at - int(numbers[LAST])) // config.grain_seconds, 0), _MOST_STEPS)
        gain = level_variance / variance
        numbers[LEVEL] += numbers[TREND] * steps + gain * clipped
        numbers[TREND] = rates.trend_damping**steps * numbers[TREND] + rates.trend_gain * gain * clipped
        numbers[DOUBT] = level_variance / noise * (1.0 - gain)
        numbers[LAST] = max(numbers[LAST], _bounded(at))
        for slot in slots:
            count = effects[layout.size + slot]
            effects[slot] += clipped / (count + noise / layout.prior_variance[slot]) * noise / variance
            effects[layout.size + slot] = min(count + 1.0, layout.most_counted[slot])
        # A bucket whose effects are still unknown says little about the noise, in proportion.
        weight = max(rates.noise_gain, 1.0 / numbers[LEARNED]) * noise / variance
        numbers[NOISE] = max(noise * (1.0 + weight * (clipped * clipped / variance - 1.0)), config.relative_floor**2)
        self._follow_anchor()

    def _learn_idleness(self, slots: tuple[int, ...], idle: bool) -> None:
        config, numbers, effects = self._config, self._numbers, self._slots
        rates, layout = config.rates, config.layout
        if numbers[DORMANT] or self._idleness(slots) is not _ALWAYS:
            numbers[IDLE_SHARE] += rates.idle_gain * (float(idle) - numbers[IDLE_SHARE])
            if numbers[DORMANT] and numbers[IDLE_SHARE] < 0.5:
                numbers[DORMANT] = 0.0
        if layout.rhythm_place is None:
            return
        slot = slots[layout.rhythm_place]
        seen, rest = layout.size + slot, 2 * layout.size + slot - layout.rhythm_start
        if idle:
            effects[rest] += 1.0
        if effects[rest] and effects[seen] + effects[rest] > layout.most_counted[slot]:
            fade = layout.most_counted[slot] / (effects[seen] + effects[rest])
            effects[seen] *= fade
            effects[rest] *= fade

    def _follow_anchor(self) -> None:
        """Move the anchor along when the level has left the range in which it makes the scale logarithmic."""
        numbers = self._numbers
        size = abs(numbers[LEVEL])
        if not numbers[FACTORS] or _REANCHOR_BELOW <= size <= _REANCHOR_ABOVE:
            return
        level = unsquash(numbers[LEVEL], numbers[ANCHOR])
        anchor = choose_anchor([level], absolute_floor=self._config.absolute_floor).at
        numbers[ANCHOR], numbers[LEVEL] = anchor, squash(level, anchor)


def _bounded(at: int) -> float:
    return float(min(max(at, -_MOST_AT), _MOST_AT))


_ALLOWED = {
    LEARNED: ("how many buckets were learned", 1.0, 2.0**53),
    LAST: ("the latest time", -float(_MOST_AT), float(_MOST_AT)),
    LEVEL: ("the level", -_MOST_PLACE, _MOST_PLACE),
    TREND: ("the trend", -_MOST_PLACE, _MOST_PLACE),
    DOUBT: ("the level's variance", 0.0, 1e6),
    NOISE: ("the noise variance", 1e-12, _MOST_PLACE**2),
    ANCHOR: ("the anchor", 1e-12, sys.float_info.max),
    FACTORS: ("whether effects are factors", 0.0, 1.0),
    IDLE_SHARE: ("the share of idle buckets", 0.0, 1.0),
    DORMANT: ("whether it is dormant", 0.0, 1.0),
}
