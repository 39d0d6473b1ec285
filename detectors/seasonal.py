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
from typing import ClassVar, NamedTuple

from detectors.evidence import STANDING, added, reach_left
from detectors.guards import clamp, finite, judge, warming_up
from detectors.parameters import Parameter, Value
from detectors.scale import squash, unsquash
from detectors.seasonal_config import NAME, PARAMETERS, SeasonalConfig, configure
from detectors.seasonal_fit import CLIP, IDLE_PART, choose_anchor, fit
from detectors.seasonal_idle import ALWAYS, NEVER, SOMETIMES, forget_rest, idleness, learn_idleness
from detectors.seasonal_state import (
    ACTIVE,
    ANCHOR,
    DORMANT,
    DOUBT,
    FACTORS,
    FALLEN,
    HELD,
    IDLE_SHARE,
    LAST,
    LEARNED,
    LEVEL,
    MOST_PLACE,
    MOST_TREND,
    NOISE,
    NUMBERS,
    REST,
    RISEN,
    SWAY,
    TREND,
    TREND_DOUBT,
    bounded,
    first_buckets,
    limited,
    model,
)
from detectors.state import HEADER, check_header
from detectors.verdict import Band, Verdict

_MOST_STEPS = 64
"""A longer gap leaves the level no less certain than this one."""
_FEW = 9.0
"""The bounds of a spread known from n buckets lie 1 + _FEW / n times as far (as Student's t against the normal)."""
_MOST_REST = 2.0
_UNSURE = 2.0
_MOST_DOUBT = 1e6
_SHAKEN = 0.35
_HARDLY = 1.0
_SEEN_TWICE = 1.5
_EXCEPTION = 0.25**2
"""What a weekday cost the only time it was seen may have been an exception."""
_ENOUGH_HELD = 7.0
_TOLD = 2.0
_HESITANT = 0.9
_LEAN = 1.0
_LULLED = 0.03
_ROUSED = 0.15
_ALIKE_SPREAD = 1.1
_IDLE_REACH = math.asinh(2 * IDLE_PART)
_WIDE = 2.0
"""Bounds this far off, a seventh and seven times the expected, are so wide that nothing at all lies within them too."""
_REANCHOR_BELOW = math.asinh(5.0)
_REANCHOR_ABOVE = math.asinh(400.0)


class Ahead(NamedTuple):
    """Of an active bucket that is to come, on the scale.

    place: expected. base: the same without what the latest deviation lets expect. noise: variance of what is new in
    a bucket. level_variance: of the level. spread: of everything together, a standard deviation.
    """

    place: float
    base: float
    noise: float
    level_variance: float
    spread: float


class Seasonal:
    """Seasonal and robust; for daily and hourly cost, and for usage metrics of any grain.

    >>> detector = Seasonal(configure(grain_seconds=86400, params={}))
    >>> week = [100, 40, 41, 103, 98, 101, 99]  # from a Thursday on: 1970-01-01 was one
    >>> for day in range(21):
    ...     detector.learn_one(week[day % 7] * (1.01 if day % 2 else 0.99), day * 86400)
    >>> band = detector.band_at(21 * 86400)
    >>> round(band.lower), round(band.expected), round(band.upper)  # low like a weekend: it may be a holiday
    (34, 100, 116)
    >>> detector.score_one(100.0, 21 * 86400).status, detector.score_one(100.0, 22 * 86400).status
    (<Status.NORMAL: 'normal'>, <Status.HIGH: 'high'>)
    """

    __slots__ = ("_config", "_first", "_numbers", "_slots")

    name: ClassVar[str] = NAME
    state_version: ClassVar[int] = 2
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
        numbers[REST] = numbers[RISEN] = numbers[FALLEN] = numbers[HELD] = 0.0
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
        numbers[DOUBT], numbers[SWAY] = self._alike / len(active), 0.0

    def hold_one(self, value: float, at: int) -> None:
        """Remember that a bucket was held back: what is learned of its slots is less sure than it seemed."""
        value = finite(value)
        if self._first is not None:
            return
        numbers, table, layout = self._numbers, self._slots, self._config.layout
        is_first = numbers[HELD] <= 0.0
        numbers[HELD] = 2.0 if numbers[HELD] < 0.0 else numbers[HELD] + 1.0
        idle = abs(value) <= IDLE_PART * numbers[ANCHOR]
        if numbers[DORMANT]:
            numbers[IDLE_SHARE] -= _ROUSED * numbers[IDLE_SHARE]
            if numbers[IDLE_SHARE] < 0.75:
                numbers[DORMANT] = 0.0
                if not numbers[ACTIVE]:
                    self._begin_level(value, at)
                    numbers[ACTIVE] = 1.0
        elif idle and numbers[FACTORS] and is_first:
            numbers[IDLE_SHARE] += _LULLED * (1.0 - numbers[IDLE_SHARE])
        if not idle and numbers[ACTIVE]:
            off = squash(value, numbers[ANCHOR]) - self._predict(at, layout.of(at)).base
            before = off if is_first else numbers[REST]
            numbers[REST] = limited(before + (off - before) / numbers[HELD], MOST_PLACE)
        if is_first:
            for slot in layout.of(at)[layout.rhythm_place or 0 :]:
                count = table[layout.size + slot] * _SHAKEN
                table[layout.size + slot] = count if count >= _HARDLY else 0.0
                rest = 2 * layout.size + slot - layout.rhythm_start
                if not idle and layout.rhythm_start <= slot < layout.rhythm_start + layout.rhythm_size:
                    table[rest] *= _SHAKEN

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
            ahead = self._predict(at, slots)
            down, up, reach = self._reaches(at, ahead)
            expected = ahead.place
            below, above = self._neighbours(slots)
            lower, upper = expected - down - below, expected + up + above
            if self._may_rest(at):
                rest = self._rest_day(slots)
                if numbers[LEVEL] >= 0.0:
                    lower = min(lower, expected - reach - rest)
                else:
                    upper = max(upper, expected + reach + rest)
            if idle is NEVER and numbers[FACTORS]:
                # What never rests does not cost nothing, however little is known of it.
                lower = max(lower, min(_IDLE_REACH, expected)) if numbers[LEVEL] >= 0.0 else lower
                upper = min(upper, max(-_IDLE_REACH, expected)) if numbers[LEVEL] < 0.0 else upper
            if idle is SOMETIMES or (numbers[FACTORS] and config.sigma * ahead.spread > _WIDE):
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

    def _predict(self, at: int, slots: tuple[int, ...]) -> "Ahead":
        config, numbers, table = self._config, self._numbers, self._slots
        rates, layout = config.rates, config.layout
        steps = self._steps_to(at)
        noise = max(numbers[NOISE], config.relative_floor**2)
        level_variance = noise * (
            numbers[DOUBT] + steps * (2.0 * numbers[SWAY] + steps * numbers[TREND_DOUBT] + rates.level_drift)
        )
        base = numbers[LEVEL] + numbers[TREND] * steps
        faded = 0.0 if numbers[HELD] else rates.persistence**steps
        variance = level_variance + noise * (1.0 - faded * faded) / (1.0 - rates.persistence**2)
        for slot in slots:
            base += table[slot]
            count = table[layout.size + slot]
            doubt = noise / (count + noise / layout.prior_variance[slot])
            if count < _SEEN_TWICE and layout.is_weekday_alone(slot):
                doubt = max(doubt, _EXCEPTION)
            variance += doubt
        place = base + faded * limited(numbers[REST], _MOST_REST * math.sqrt(noise))
        if numbers[FACTORS]:
            # A factor never changes the sign.
            place = max(place, 0.0) if numbers[LEVEL] >= 0.0 else min(place, 0.0)
        return Ahead(place, base, noise, level_variance, math.sqrt(variance))

    def _reaches(self, at: int, ahead: "Ahead") -> tuple[float, float, float]:
        """How far below and above what is expected the bounds lie, and how far that of a single bucket does."""
        config, numbers = self._config, self._numbers
        spread = ahead.spread * (1.0 + _FEW / (numbers[ACTIVE] + 1.0))
        reach = config.sigma * spread
        if ahead.spread > _UNSURE * math.sqrt(ahead.noise):
            return reach, reach, reach  # of a slot hardly known, no evidence
        held_back, allowance = numbers[HELD] > 0.0, self._allowance(ahead)
        # What lies between, unless it was held back, would have taken its allowance off the evidence.
        passed = 0.0 if held_back else allowance * (self._steps_to(at) - 1)
        fallen, risen = max(numbers[FALLEN] - passed, 0.0), max(numbers[RISEN] - passed, 0.0)
        down = spread * reach_left(fallen, config.evidence, allowance, held_back=held_back)
        up = spread * reach_left(risen, config.evidence, allowance, held_back=held_back)
        return min(down, reach), min(up, reach), reach

    def _allowance(self, ahead: "Ahead") -> float:
        """A level that is not known well leans every bucket to the same side."""
        rates = self._config.rates
        return rates.allowance + _LEAN * (1.0 - rates.persistence) * math.sqrt(ahead.level_variance) / ahead.spread

    def _neighbours(self, slots: tuple[int, ...]) -> tuple[float, float]:
        """How far below and above this hour's the effects of the hours beside it lie: summer time takes one for another."""
        if not self._config.layout.clock_changes:
            return 0.0, 0.0
        hour, table = slots[0], self._slots
        own, before, after = table[hour], table[hour - 1 if hour else 23], table[hour + 1 if hour < 23 else 0]
        return max(own - min(before, after), 0.0), max(max(before, after) - own, 0.0)

    def _rest_day(self, slots: tuple[int, ...]) -> float:
        """How much nearer to zero than what is expected the quietest weekday lies; 0 or more."""
        start, table, numbers = self._config.layout.weekday_start, self._slots, self._numbers
        if start is None or not numbers[FACTORS]:
            return 0.0
        own = next(table[slot] for slot in slots if start <= slot < start + 7)
        days = table[start : start + 7]
        return own - min(days) if numbers[LEVEL] >= 0.0 else max(days) - own

    def _may_rest(self, at: int) -> bool:
        """A holiday looks like a weekend, for a day; what goes on is a fall."""
        held, a_day = self._numbers[HELD], self._config.rates.a_day
        # Where a day has several buckets the first of them may have been taken for a fall.
        most = 1.0 if a_day > 1.0 else 0.0
        return -a_day < held <= most and self._steps_to(at) <= 1 + most

    def _steps_to(self, at: int) -> int:
        """Buckets since the latest one learned; a repeated or earlier one counts as the next."""
        return min(max((at - int(self._numbers[LAST])) // self._config.grain_seconds, 1), _MOST_STEPS)

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
        numbers[NOISE] = first.noise_variance * (1.0 - config.rates.persistence**2)
        # The level is that of their middle; what a trend has made of it since then is open.
        half = len(values) / 2
        trend = config.rates.usual_trend**2 / max(numbers[NOISE], config.relative_floor**2)
        numbers[DOUBT] = self._alike / len(values) + trend * half * half
        numbers[SWAY], numbers[TREND_DOUBT] = trend * half, trend
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
            if numbers[HELD] >= _ENOUGH_HELD:
                # Rests in between end each row of them before it is long enough: still this is what it costs now.
                numbers[LEVEL] = limited(numbers[LEVEL] + numbers[REST], MOST_PLACE)
                numbers[DOUBT], numbers[SWAY] = self._alike / numbers[HELD], 0.0
                numbers[HELD] = numbers[RISEN] = numbers[FALLEN] = numbers[REST] = 0.0
            elif numbers[HELD] <= 0.0:
                numbers[REST] *= rates.persistence
            return  # says nothing of how much is spent when it is not idle; the level's time stands still
        if not numbers[ACTIVE]:
            self._begin_level(value, at)
        numbers[ACTIVE] += 1.0
        ahead = self._predict(at, slots)
        noise, spread = ahead.noise, ahead.spread
        now = squash(value, numbers[ANCHOR])
        off = limited(now - ahead.place, CLIP * spread)
        steps = self._steps_to(at)
        down, up, _ = self._reaches(at, ahead)
        below, above = self._neighbours(slots)
        short = ahead.place - now - down if numbers[LEVEL] >= 0.0 else now - ahead.place - up
        if short > 0.0 and self._may_rest(at) and self._rest_day(slots) > 0.0:
            # Like a holiday: nothing is learned of it but that it was one.
            numbers[HELD] = min(numbers[HELD], 0.0) - 1.0
            numbers[LEVEL] += numbers[TREND]
            numbers[LAST] = max(numbers[LAST], bounded(at))
            return
        if numbers[HELD] > 0.0:
            self._end_hold()
            ahead = self._predict(at, slots)
            off = limited(now - ahead.place, CLIP * spread)
        numbers[HELD] = 0.0
        if spread <= _UNSURE * math.sqrt(noise):
            allowance = self._allowance(ahead)
            # An hour on a slope says nothing while it is no further off than the hours beside it.
            if below <= spread or off < -below:
                numbers[FALLEN] = added(numbers[FALLEN], -off / spread, allowance)
            if above <= spread or off > above:
                numbers[RISEN] = added(numbers[RISEN], off / spread, allowance)
        if not -down - below <= now - ahead.place <= up + above:
            # Learned all the same: so this is what it costs now.
            numbers[RISEN] = numbers[FALLEN] = 0.0
            numbers[DOUBT] = max(numbers[DOUBT], 0.5 * self._alike)
        limit = config.evidence
        numbers[RISEN], numbers[FALLEN] = min(numbers[RISEN], limit), min(numbers[FALLEN], limit)
        follow = 1.0 - _HESITANT * max(numbers[RISEN], numbers[FALLEN]) / limit
        rest = limited(now - ahead.base, CLIP * spread * _ALIKE_SPREAD)
        # What may be a slot's says little of the level, and of the next bucket.
        of_slots = max(spread * spread - ahead.level_variance - noise, 0.0)
        self._follow(rest, steps, noise, of_slots, part=follow)
        numbers[REST] = rest * noise / (noise + of_slots)
        numbers[LAST] = max(numbers[LAST], bounded(at))
        for slot in slots:
            count, weight = table[layout.size + slot], layout.weight[slot]
            table[slot] += follow * weight * rest / (count + noise / layout.prior_variance[slot] + weight)
            if slot >= layout.turn_start:
                # A fee or a batch adds; it does not take away.
                table[slot] = max(table[slot], 0.0) if numbers[LEVEL] >= 0.0 else min(table[slot], 0.0)
            table[layout.size + slot] = min(count + weight, layout.most_counted[slot])
        # A bucket whose effects are still unknown says little about the noise, in proportion.
        variance = spread * spread
        weight = max(rates.noise_gain, 2.0 / numbers[ACTIVE]) * noise / variance
        numbers[NOISE] = max(noise * (1.0 + weight * (off * off / variance - 1.0)), config.relative_floor**2)
        self._follow_anchor()

    def _end_hold(self) -> None:
        """The episode is over, and was not accepted: what evidence it had has been told, so it begins anew."""
        numbers = self._numbers
        told = numbers[HELD] >= _TOLD
        numbers[HELD] = numbers[REST] = 0.0
        if told and max(numbers[RISEN], numbers[FALLEN]) >= STANDING * self._config.evidence:
            numbers[RISEN] = numbers[FALLEN] = 0.0
            numbers[DOUBT] = max(numbers[DOUBT], 0.5 * self._alike)

    @property
    def _alike(self) -> float:
        """What resembles its neighbour says less of the level: the variance of a mean is so many times as large."""
        return 1.0 / (1.0 - self._config.rates.persistence) ** 2

    def _follow(self, rest: float, steps: int, noise: float, of_slots: float, *, part: float) -> None:
        """Level and trend after a bucket that lay *rest* off: a Kalman filter of the two, its variances in units of noise.

        of_slots: variance of its slots. part: of what the filter would follow, so much is followed.
        """
        numbers, rates = self._numbers, self._config.rates
        sway = numbers[SWAY] + steps * numbers[TREND_DOUBT]
        doubt = numbers[DOUBT] + steps * (numbers[SWAY] + sway + rates.level_drift)
        trend_doubt = numbers[TREND_DOUBT] + steps * rates.trend_drift / noise
        weight = 1.0 / (doubt + self._alike + of_slots / noise)
        numbers[LEVEL] = limited(numbers[LEVEL] + numbers[TREND] * steps + part * doubt * weight * rest, MOST_PLACE)
        numbers[TREND] = limited(numbers[TREND] + part * sway * weight * rest, MOST_TREND)
        numbers[DOUBT] = min(doubt * (1.0 - doubt * weight), _MOST_DOUBT)
        numbers[SWAY] = limited(sway * (1.0 - doubt * weight), _MOST_DOUBT)
        numbers[TREND_DOUBT] = min(max(trend_doubt - sway * sway * weight, 0.0), _MOST_DOUBT)

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
