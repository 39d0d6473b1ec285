"""The default: what a weekday or an hour usually costs, learned robustly, judged in factors rather than amounts.

On the scale of `detectors.scale`, a bucket is a level that moves slowly, plus the effects of its calendar slots, plus
noise. They are learned together by a Kalman filter whose parts are kept apart (a diagonal covariance), so each part
knows how sure it is: a weekday seen twice widens the band, one seen for months does not. What lies more than three
spreads off is learned from as if it lay at three. A bucket may also be idle; how often a slot is, is learned apart, so
that weekends at zero, jobs that run every third day and services that never stop each get a band that fits.
"""

import math
from array import array
from collections.abc import Mapping, Sequence
from statistics import median
from typing import ClassVar

from detectors.guards import clamp, finite, judge, warming_up
from detectors.parameters import Parameter, Value
from detectors.scale import squash, unsquash
from detectors.seasonal_config import NAME, PARAMETERS, SeasonalConfig, configure
from detectors.seasonal_fit import CLIP, IDLE_PART, choose_anchor, fit
from detectors.seasonal_idle import ALWAYS, SOMETIMES, forget_rest, idleness, learn_idleness
from detectors.seasonal_state import (
    ACTIVE,
    ANCHOR,
    DORMANT,
    DOUBT,
    FACTORS,
    IDLE_SHARE,
    LAST,
    LEARNED,
    LEVEL,
    MOST_PLACE,
    MOST_TREND,
    NOISE,
    NUMBERS,
    TREND,
    bounded,
    first_buckets,
    limited,
    model,
)
from detectors.state import HEADER, check_header
from detectors.verdict import Band, Verdict

_MOST_STEPS = 64
"""A longer gap leaves the level no less certain than this one."""
_FEW = 5.0
"""The bounds of a spread known from n buckets lie 1 + _FEW / n times as far (as Student's t against the normal)."""
_IDLE_REACH = math.asinh(2 * IDLE_PART)
_WIDE = 2.0
"""Bounds this far off, a seventh and seven times the expected, are so wide that nothing at all lies within them too."""
_REANCHOR_BELOW = math.asinh(5.0)
_REANCHOR_ABOVE = math.asinh(400.0)


class Seasonal:
    """Seasonal and robust; for daily and hourly cost, and for usage metrics of any grain.

    >>> detector = Seasonal(configure(grain_seconds=86400, params={}))
    >>> week = [100, 40, 41, 103, 98, 101, 99]  # from a Thursday on: 1970-01-01 was one
    >>> for day in range(21):
    ...     detector.learn_one(week[day % 7] * (1.01 if day % 2 else 0.99), day * 86400)
    >>> band = detector.band_at(21 * 86400)
    >>> round(band.lower), round(band.expected), round(band.upper)
    (89, 100, 112)
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
        self._first.extend((value, bounded(at)))
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
            (value, at) for value, at in recent if not anchor.multiplicative or abs(value) > IDLE_PART * anchor.at
        ]
        numbers[LAST] = max(numbers[LAST], *(bounded(at) for _, at in recent))
        numbers[LEARNED] += len(recent)
        numbers[ACTIVE] += len(active)
        numbers[TREND] = 0.0
        numbers[DORMANT] = float(2 * len(active) <= len(recent))
        if numbers[DORMANT]:
            numbers[IDLE_SHARE] = 1.0
            return
        numbers[IDLE_SHARE] = min(numbers[IDLE_SHARE], 1.0 - len(active) / len(recent))
        for _, at in active:
            forget_rest(self._slots, self._config.layout, self._config.layout.of(at))
        if bool(numbers[FACTORS]) is not anchor.multiplicative:
            # What was learned as factors means nothing as sums: begin from these buckets alone, with a wide band.
            learned = numbers[LEARNED]
            self._begin([value for value, _ in recent], [at for _, at in recent])
            self._numbers[LEARNED] = learned
            return
        numbers[ANCHOR] = anchor.at
        numbers[LEVEL] = median([squash(value, anchor.at) - self._effect(at) for value, at in active])
        numbers[DOUBT] = 1.0 / len(active)

    def export(self) -> tuple[float, ...]:
        """Version, fingerprint, then either the first buckets or the model.

        At most 39 numbers for days, 568 for hours, 86 for finer grains; while warming up two for each bucket kept.
        """
        header = (float(self.state_version), self._config.fingerprint)
        if self._first is not None:
            return (*header, 0.0, *self._first)
        return (*header, 1.0, *self._numbers, *self._slots)

    def restore(self, state: Sequence[float]) -> None:
        """Raises StateError and leaves the detector as it was."""
        config = self._config
        check_header(self.name, state, version=self.state_version, config=config.fingerprint)
        if len(state) > HEADER and state[HEADER] == 0.0:
            self._first, self._numbers, self._slots = first_buckets(state), array("d"), array("f")
        else:
            self._numbers, self._slots = model(state, config.layout)
            self._first = None

    # What follows works on a fitted model only.

    def _places_at(self, at: int) -> tuple[float, float, float] | None:
        """Lower bound, expectation and upper bound on the scale; None while warming up."""
        config, numbers = self._config, self._numbers
        if self._first is not None or numbers[LEARNED] < config.min_learned:
            return None
        slots = config.layout.of(at)
        idle = idleness(numbers, self._slots, config.layout, slots)
        if idle is ALWAYS:
            lower, expected, upper = -_IDLE_REACH, 0.0, _IDLE_REACH
        else:
            expected, _, _, variance = self._predict(at, slots)
            reach = config.sigma * (1.0 + _FEW / (numbers[ACTIVE] + 1.0)) * math.sqrt(variance)
            lower, upper = expected - reach, expected + reach
            if idle is SOMETIMES or (numbers[FACTORS] and reach > _WIDE):
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
        amount = unsquash(expected, anchor)
        # Near the largest float, rounding may put a bound on the wrong side of what is expected.
        return Band(
            expected=amount,
            lower=min(unsquash(lower, anchor), amount),
            upper=max(unsquash(upper, anchor), amount),
        )

    def _predict(self, at: int, slots: tuple[int, ...]) -> tuple[float, float, float, float]:
        """Of an active bucket: expectation, noise variance, variance of the level, and all of the variance."""
        config, numbers, table = self._config, self._numbers, self._slots
        rates, layout = config.rates, config.layout
        steps = self._steps_to(at)
        noise = max(numbers[NOISE], config.relative_floor**2)
        level_variance = noise * (numbers[DOUBT] + rates.level_drift * steps)
        place = numbers[LEVEL] + self._trend_over(steps)
        variance = noise + level_variance
        for slot in slots:
            place += table[slot]
            variance += noise / (table[layout.size + slot] + noise / layout.prior_variance[slot])
        if numbers[FACTORS]:
            # A factor never changes the sign.
            place = max(place, 0.0) if numbers[LEVEL] >= 0.0 else min(place, 0.0)
        return place, noise, level_variance, variance

    def _steps_to(self, at: int) -> int:
        """Buckets since the latest one learned; a repeated or earlier one counts as the next."""
        return min(max((at - int(self._numbers[LAST])) // self._config.grain_seconds, 1), _MOST_STEPS)

    def _trend_over(self, steps: int) -> float:
        trend, damping = self._numbers[TREND], self._config.rates.trend_damping
        return trend if steps == 1 else trend * (1.0 - damping**steps) / (1.0 - damping)

    def _effect(self, at: int) -> float:
        return math.fsum(self._slots[slot] for slot in self._config.layout.of(at))

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
        numbers = array("d", bytes(8 * NUMBERS))
        numbers[LEARNED] = len(values)
        numbers[ACTIVE] = first.active
        numbers[LAST] = bounded(max(ats))
        numbers[LEVEL] = first.level
        numbers[DOUBT] = 1.0 / len(values) + config.rates.level_drift
        numbers[NOISE] = first.noise_variance
        numbers[ANCHOR], numbers[FACTORS] = first.anchor.at, float(first.anchor.multiplicative)
        numbers[IDLE_SHARE] = first.idle_share
        numbers[DORMANT] = float(not first.active)
        self._numbers = numbers
        self._slots = array("f", (*first.effects, *first.counts, *first.idle_counts))
        self._first = None

    def _learn(self, value: float, at: int) -> None:
        config, numbers, table = self._config, self._numbers, self._slots
        rates, layout = config.rates, config.layout
        slots = layout.of(at)
        idle = numbers[FACTORS] and abs(value) <= IDLE_PART * numbers[ANCHOR]
        if numbers[FACTORS]:
            learn_idleness(numbers, table, layout, slots, idle=bool(idle), gain=rates.idle_gain)
        numbers[LEARNED] += 1.0
        if idle:
            numbers[LAST] = max(numbers[LAST], bounded(at))
            return  # says nothing of how much is spent when it is not idle; the level's time stands still
        if not numbers[ACTIVE]:
            self._begin_level(value, at)
        numbers[ACTIVE] += 1.0
        place, noise, level_variance, variance = self._predict(at, slots)
        off = squash(value, numbers[ANCHOR]) - place
        spread = math.sqrt(variance)
        clipped = limited(off, CLIP * spread)

        steps = self._steps_to(at)
        gain = level_variance / variance
        numbers[LEVEL] = limited(numbers[LEVEL] + self._trend_over(steps) + gain * clipped, MOST_PLACE)
        numbers[TREND] = limited(
            rates.trend_damping**steps * numbers[TREND] + rates.trend_gain * gain * clipped, MOST_TREND
        )
        numbers[DOUBT] = level_variance / noise * (1.0 - gain)
        numbers[LAST] = max(numbers[LAST], bounded(at))
        for slot in slots:
            count = table[layout.size + slot]
            table[slot] += clipped / (count + noise / layout.prior_variance[slot]) * noise / variance
            table[layout.size + slot] = min(count + 1.0, layout.most_counted[slot])
        # A bucket whose effects are still unknown says little about the noise, in proportion.
        weight = max(rates.noise_gain, 1.0 / numbers[ACTIVE]) * noise / variance
        numbers[NOISE] = max(noise * (1.0 + weight * (clipped * clipped / variance - 1.0)), config.relative_floor**2)
        self._follow_anchor()

    def _begin_level(self, value: float, at: int) -> None:
        """The first active bucket ever is the level."""
        numbers = self._numbers
        numbers[ANCHOR] = choose_anchor([value], absolute_floor=self._config.absolute_floor).at
        numbers[LEVEL] = squash(value, numbers[ANCHOR]) - self._effect(at)

    def _follow_anchor(self) -> None:
        """Move the anchor along when the level has left the range in which it makes the scale logarithmic."""
        numbers = self._numbers
        size = abs(numbers[LEVEL])
        if not numbers[FACTORS] or _REANCHOR_BELOW <= size <= _REANCHOR_ABOVE:
            return
        level = unsquash(numbers[LEVEL], numbers[ANCHOR])
        anchor = choose_anchor([level], absolute_floor=self._config.absolute_floor).at
        numbers[ANCHOR], numbers[LEVEL] = anchor, squash(level, anchor)
