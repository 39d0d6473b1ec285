"""How a seasonal model learns: fitted to its first buckets all at once, then one bucket after the other, robustly.

What lies more than three spreads off is learned from as if it lay at three. Evidence of a shift is not only added up:
the more of it there is, the less the level follows, so that what creeps is seen before it has become the normal.
"""

import math
from array import array
from collections.abc import Sequence

from detectors.calendar import day_of_month
from detectors.evidence import added
from detectors.scale import squash, unsquash
from detectors.seasonal_clock import watch_clock
from detectors.seasonal_days import day_begins, watch_day
from detectors.seasonal_fit import CLIP, IDLE_PART, choose_anchor, fit
from detectors.seasonal_holding import SeasonalHolding
from detectors.seasonal_holidays import begin_rest, forget_stray, hidden_by, rests
from detectors.seasonal_idle import learn_idleness
from detectors.seasonal_model import UNSURE
from detectors.seasonal_monthly import fade, recalled, remember, remembers
from detectors.seasonal_outlook import Ahead, Outlook, Reaches
from detectors.seasonal_slots import coarse, learn_mixed, learn_slots
from detectors.seasonal_state import (
    ACTIVE,
    ANCHOR,
    BEGINS,
    DORMANT,
    DOUBT,
    FACTORS,
    FALLEN,
    HELD,
    IDLE_SHARE,
    LAST,
    LEARNED,
    LEVEL,
    MIXED,
    MOST_PLACE,
    MOST_TREND,
    NEVER_RESTED,
    NOISE,
    NUMBERS,
    REST,
    RESTED,
    RISEN,
    SWAY,
    TREND,
    TREND_DOUBT,
    bounded,
    limited,
)

_MOST_DOUBT = 1e6
_MOSTLY = 0.5
"""An episode half as long as a rest would settle goes on with a bucket that lies half as far off."""
_LEAST_SETTLED, _LASTS = 0.4, 2.0
"""Of what would settle the level of an episode, so much does if it has lasted so many times as long: an incident that
keeps a resting series busy for a week is over by then."""
_NO_DAY_ALIKE = 2.0
"""A weekday is unlike the busiest one if it lies so many spreads below."""
_HESITANT = 0.9
"""What all the evidence there can be takes of the share that a level follows."""
_ALIKE_SPREAD = 1.1
_REANCHOR_BELOW = math.asinh(5.0)
_REANCHOR_ABOVE = math.asinh(400.0)


class SeasonalLearning(SeasonalHolding):
    """The part of the seasonal detector that changes it."""

    __slots__ = ()

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
        numbers[DOUBT] = min(self._alike / len(values) + trend * half * half, _MOST_DOUBT)
        numbers[SWAY], numbers[TREND_DOUBT] = min(trend * half, _MOST_DOUBT), min(trend, _MOST_DOUBT)
        numbers[ANCHOR], numbers[FACTORS] = first.anchor.at, float(first.anchor.multiplicative)
        numbers[IDLE_SHARE] = first.idle_share
        numbers[DORMANT] = float(not first.active)
        numbers[RESTED] = NEVER_RESTED
        numbers[MIXED] = first.mixed
        self._numbers = numbers
        counts = map(coarse, (*first.counts, *first.idle_counts))
        self._slots = array("f", (*first.effects, *counts, *[0.0] * config.layout.remembered_size))
        if config.layout.by_the_hour:
            numbers[BEGINS] = day_begins(self._slots, config.layout)
        self._first = None

    def _learn(self, value: float, at: int) -> None:
        config, numbers, table = self._config, self._numbers, self._slots
        slots = self._slots_at(at)
        idle = bool(numbers[FACTORS]) and abs(value) <= IDLE_PART * numbers[ANCHOR]
        if numbers[FACTORS]:
            learn_idleness(numbers, table, config.layout, slots, idle=idle, gain=config.rates.idle_gain)
        numbers[LEARNED] += 1.0
        if idle:
            self._rest(at)
            return
        if not numbers[ACTIVE] or (numbers[ACTIVE] == 1.0 and numbers[LEVEL] < 0.0 < value):
            self._begin_level(value, at)  # anew, if what came first was a credit
        outlook = self._outlook(at)
        ahead, reaches, _ = outlook
        numbers[ACTIVE] += 1.0
        now = squash(value, numbers[ANCHOR])
        remembered = config.layout.remembered and remembers(table)
        if remembered and self._is_monthly(now - ahead.place, at, slots, reaches):
            numbers[LEVEL] += numbers[TREND]
        elif self._is_holiday(now - ahead.place, at, slots, reaches):
            numbers[HELD] = numbers[REST] = 0.0
            numbers[LEVEL] += numbers[TREND]
        else:
            if self._is_begun_anew(now, at):
                self._forget_outlook()
            self._learn_active(now, slots, self._outlook(at))
            self._follow_anchor()
        if config.layout.by_the_hour:
            self._learn_day(now - ahead.base, at, slots, outlook)
        numbers[LAST] = max(numbers[LAST], bounded(at))

    def _learn_day(self, off: float, at: int, slots: tuple[int, ...], outlook: Outlook) -> None:
        """Of an hour that lies *off*: is its day a quiet one, and once a week, when do days begin?"""
        layout = self._config.layout
        self._watch_day(off, at, outlook)
        if slots[2] == layout.rhythm_start:
            self._numbers[BEGINS] = day_begins(self._slots, layout)

    def _is_begun_anew(self, now: float, at: int) -> bool:
        """Whether an episode has ended with this bucket, or its weekday was learned from a holiday."""
        numbers, table, layout = self._numbers, self._slots, self._config.layout
        ended = bool(numbers[HELD])
        if ended:
            if self._stays(now, self._outlook(at)[0]):
                self._settle()
            else:
                self._end_hold()
            self._forget_outlook()
        slots, (ahead, (down, up, _), _) = self._slots_at(at), self._outlook(at)
        above, reach = (now - ahead.place, up) if numbers[LEVEL] >= 0.0 else (ahead.place - now, down)
        busier, slot = hidden_by(numbers, table, layout, at, slots)
        if busier <= _NO_DAY_ALIKE * ahead.spread or above <= max(reach, 0.5 * busier):
            return ended
        table[layout.size + slot] = 0.0
        numbers[REST] = 0.0
        return True

    def _stays(self, now: float, ahead: Ahead) -> bool:
        """Whether a bucket that ends an episode, as little is known of its slots, lies where the episode was."""
        numbers, config = self._numbers, self._config
        rates = config.rates
        if not (rates.a_day and numbers[REST] and numbers[HELD] >= _MOSTLY * rates.settled_by_rest):
            return False
        off = (now - ahead.base) * math.copysign(1.0, numbers[REST])
        spread = math.sqrt(ahead.level_variance + ahead.noise)
        return off > max(_MOSTLY * abs(numbers[REST]), config.sigma * spread)

    def _rest(self, at: int) -> None:
        """An idle bucket says nothing of how much is spent when it is not; the level's time stands still."""
        numbers, by_the_hour = self._numbers, self._config.layout.by_the_hour
        if by_the_hour:
            watch_day(numbers, at, 0.0, 0.0, 1.0)  # which it says nothing of, but another one may have begun
        if numbers[HELD] >= self._settled_by_rest(at):
            self._settle()
        elif not numbers[HELD]:
            numbers[REST] *= self._config.rates.persistence
        if not numbers[HELD]:  # else it tells where the episode began
            numbers[LAST] = max(numbers[LAST], bounded(at))

    def _settled_by_rest(self, at: int) -> float:
        """Buckets held back that are the new level when a rest ends them: fewer if that took twice as long."""
        enough = self._config.rates.settled_by_rest
        since = (at - self._numbers[LAST]) / self._config.grain_seconds
        return _LEAST_SETTLED * enough if since >= _LASTS * enough else enough

    def _is_monthly(self, off: float, at: int, slots: tuple[int, ...], reaches: Reaches) -> bool:
        """Whether a bucket is the exception that its day of the month has been before; remembers it, if it is."""
        layout = self._config.layout
        if len(slots) > 1:
            return False
        day = day_of_month(at)[0]
        down, up, _ = reaches
        if -down <= off <= up:
            fade(self._slots, layout, day)
            return False
        comes = recalled(self._slots, layout, day)
        if comes is None or comes * off <= 0.0:
            return False
        remember(self._slots, layout, day, off)
        return True

    def _is_holiday(self, off: float, at: int, slots: tuple[int, ...], reaches: Reaches) -> bool:
        """Whether a bucket is one of a day that is as low as the quietest weekday; no more is learned of it then."""
        numbers = self._numbers
        down, up, _ = reaches
        low, below = (off < 0.0, off < -down) if numbers[LEVEL] >= 0.0 else (off > 0.0, off > up)
        if below or (low and rests(numbers, at)):
            return self._quieter(at, slots, self._outlook(at)) > 0.0 and begin_rest(numbers, at)
        forget_stray(numbers, at)
        return False

    def _learn_active(self, now: float, slots: tuple[int, ...], outlook: Outlook) -> None:
        """now: the bucket's place on the scale."""
        numbers, rates, ahead = self._numbers, self._config.rates, outlook[0]
        noise, spread = ahead.noise, ahead.spread
        off = limited(now - ahead.place, CLIP * spread)
        part = 1.0 - _HESITANT * self._add_evidence(now - ahead.place, outlook)
        rest = limited(now - ahead.base, CLIP * spread * _ALIKE_SPREAD)
        # What may be a slot's says little of the level, and of the next bucket.
        of_slots = max(spread * spread - ahead.level_variance - noise, 0.0)
        self._follow(rest, ahead.steps, noise, of_slots, part=part)
        numbers[REST] = rest * noise / (noise + of_slots)
        if self._config.layout.by_the_hour:
            self._learn_hour(slots, now - ahead.base, part * rest, ahead)
        learn_slots(
            self._slots,
            self._config.layout,
            slots,
            ahead.effects,
            ahead.doubts,
            part * rest,
            noise=noise,
            level_variance=ahead.level_variance,
            rising=numbers[LEVEL] >= 0.0,
        )
        # A bucket whose effects are still unknown says little about the noise, in proportion.
        variance = spread * spread
        weight = max(rates.noise_gain, 2.0 / numbers[ACTIVE]) * noise / variance
        numbers[NOISE] = max(noise * (1.0 + weight * (off * off / variance - 1.0)), self._config.relative_floor**2)

    def _learn_hour(self, slots: tuple[int, ...], off: float, rest: float, ahead: Ahead) -> None:
        """Of an hour that lies *off*, by *rest* as it is learned: which clock is it by, and is it one of its week?"""
        numbers, table, slot = self._numbers, self._slots, slots[2]
        watch_clock(numbers, table, slots[0], off, ahead.spread)
        if table[self._config.layout.size + slot]:
            numbers[MIXED] = learn_mixed(numbers[MIXED], table[slot], rest + ahead.effects[2], ahead.noise)

    def _add_evidence(self, off: float, outlook: Outlook) -> float:
        """Take a bucket that lies *off* for evidence; returns how much there is now, as a part of the limit."""
        numbers, limit = self._numbers, self._config.evidence
        ahead, (down, up, reach), (below, above, _) = outlook
        spread = ahead.spread
        if not -reach - below <= off <= reach + above:
            # Learned all the same: so this is what it costs now.
            numbers[RISEN] = numbers[FALLEN] = 0.0
            numbers[DOUBT] = max(numbers[DOUBT], 0.5 * self._alike)
            return 0.0
        if not -down - below <= off <= up + above:
            # Too little to be told of, as yet: it may creep on. What stays so is the level, in time.
            numbers[DOUBT] += 0.5 * self._alike / self._config.rates.settled
        if spread <= UNSURE * math.sqrt(ahead.noise):
            allowance, most, onset = self._allowance(ahead), self._config.rates.most, self._config.rates.onset
            # An hour on a slope says nothing while it is no further off than the hours beside it.
            if below <= spread or off < -below:
                numbers[FALLEN] = min(added(numbers[FALLEN], -off / spread, allowance, most=most, onset=onset), limit)
            if above <= spread or off > above:
                numbers[RISEN] = min(added(numbers[RISEN], off / spread, allowance, most=most, onset=onset), limit)
        return max(numbers[RISEN], numbers[FALLEN]) / limit

    def _follow(self, rest: float, steps: int, noise: float, of_slots: float, *, part: float) -> None:
        """Level and trend after a bucket that lay *rest* off: a Kalman filter of the two, in units of the noise.

        of_slots: variance of the bucket's slots. part: of what the filter would follow, so much is followed.
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

    def _follow_anchor(self) -> None:
        """Move the anchor along when the level has left the range in which it makes the scale logarithmic."""
        numbers = self._numbers
        size = abs(numbers[LEVEL])
        if not numbers[FACTORS] or _REANCHOR_BELOW <= size <= _REANCHOR_ABOVE:
            return
        level = unsquash(numbers[LEVEL], numbers[ANCHOR])
        anchor = choose_anchor([level], absolute_floor=self._config.absolute_floor).at
        numbers[ANCHOR], numbers[LEVEL] = anchor, squash(level, anchor)
