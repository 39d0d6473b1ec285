"""What a fitted seasonal model expects of a bucket: its place on the scale, its spread, and how far its bounds lie.

Read only; `detectors.seasonal_learning` is what changes it.
"""

import math
from array import array

from detectors.calendar import clocks_may_have_changed, day_of_month
from detectors.evidence import reach_left
from detectors.guards import clamp
from detectors.scale import squash, unsquash
from detectors.seasonal_clock import beside, slots_at
from detectors.seasonal_config import SeasonalConfig
from detectors.seasonal_days import watch_day
from detectors.seasonal_fit import IDLE_PART
from detectors.seasonal_holidays import hidden_by, may_rest, quieter_by
from detectors.seasonal_idle import ALWAYS, NEVER, SOMETIMES, idleness
from detectors.seasonal_monthly import recalled, remembers
from detectors.seasonal_outlook import Ahead, Beside, Outlook, Places, Reaches
from detectors.seasonal_slots import SEEN_TWICE, weighed
from detectors.seasonal_state import (
    ACTIVE,
    ANCHOR,
    DOUBT,
    FACTORS,
    FALLEN,
    HELD,
    LAST,
    LEARNED,
    LEVEL,
    MIXED,
    NOISE,
    REST,
    RISEN,
    SWAY,
    TREND,
    TREND_DOUBT,
    limited,
)
from detectors.seasonal_weekdays import Week, week_of

_MOST_STEPS = 64
"""A longer gap leaves the level no less certain than this one."""
_FEW = 9.0
"""The bounds of a spread known from n buckets lie 1 + _FEW / n times as far (as Student's t against the normal)."""
_SEEN_ONCE = 0.5
"""The effect of a month's turn by the hour that was seen in one month may be off by this part of itself."""
UNSURE = 2.0
"""Where the spread is so many times the noise, it is mostly that of a slot hardly known."""
_MOST_REST = 2.5
"""So many spreads of the latest deviation are taken for what goes on; the rest was its own."""
_MONTHLY_PART = 0.25
"""What comes each month varies by this part of how far off it lay: a credit does not go by the weekday."""
TOLD = 2.0
"""From so many buckets held back on, an episode has surely been told."""
_LEAN = 1.0
_IDLE_REACH = math.asinh(2 * IDLE_PART)
_WIDE = 2.0
"""Bounds this far off, a seventh and seven times the expected, are so wide that nothing at all lies within them too."""


class SeasonalModel:
    """What is learned of a series, as in `detectors.seasonal_state`; before it is fitted, the first buckets."""

    __slots__ = ("_config", "_first", "_latest_both", "_latest_outlook", "_latest_slots", "_numbers", "_slots")

    def __init__(self, config: SeasonalConfig) -> None:
        self._config = config
        # The first buckets as value, at, value, at ...; None once the model is fitted.
        self._first: array[float] | None = array("d")
        self._numbers = array("d")
        # Effects, counts, idle counts; single precision is enough for logarithms, and halves them.
        self._slots = array("f")
        # The latest answers of the methods of these names, until something is learned: bounds are drawn when a bucket
        # opens, the same are asked for when it closes, and then it is learned.
        self._latest_both: tuple[int, tuple[Places, Places]] | None = None
        self._latest_outlook: tuple[int, Outlook] | None = None
        self._latest_slots: tuple[int, tuple[int, ...]] | None = None

    def _places_at(self, at: int) -> Places | None:
        """Within which bounds a bucket is normal, whatever its value; None while warming up."""
        both = self._both_at(at)
        return None if both is None else both[0]

    def _places_for(self, value: float, at: int) -> Places | None:
        """The bounds for a bucket of this *value*: between resting and its usual amount lies what is neither."""
        both = self._both_at(at)
        if both is None:
            return None
        return both[0] if abs(value) <= IDLE_PART * self._numbers[ANCHOR] else both[1]

    def _both_at(self, at: int) -> tuple[Places, Places] | None:
        """The bounds with those of rest, where it may rest, and those of an active bucket."""
        if self._first is not None or self._numbers[LEARNED] < self._config.min_learned:
            return None
        if self._latest_both is None or self._latest_both[0] != at:
            self._latest_both = at, self._new_both_at(at)
        return self._latest_both[1]

    def _outlook(self, at: int) -> Outlook:
        """What is expected of a bucket if it does not rest."""
        if self._latest_outlook is None or self._latest_outlook[0] != at:
            slots = self._slots_at(at)
            week = week_of(self._slots, self._config.layout, self._noise())
            ahead = self._predict(at, slots, week)
            self._latest_outlook = at, (ahead, self._reaches(ahead), self._beside(at, slots, week))
        return self._latest_outlook[1]

    def _slots_at(self, at: int) -> tuple[int, ...]:
        if self._latest_slots is None or self._latest_slots[0] != at:
            self._latest_slots = at, slots_at(self._numbers, self._config.layout, at)
        return self._latest_slots[1]

    def _forget_outlook(self) -> None:
        """The numbers have changed."""
        self._latest_both = self._latest_outlook = self._latest_slots = None

    def _new_both_at(self, at: int) -> tuple[Places, Places]:
        config, numbers = self._config, self._numbers
        slots = self._slots_at(at)
        idle = idleness(numbers, self._slots, config.layout, slots)
        if idle is ALWAYS:
            resting = self._widened(-_IDLE_REACH, 0.0, _IDLE_REACH)
            return resting, resting
        outlook = self._outlook(at)
        ahead = outlook[0]
        lower, expected, upper = self._active_places(at, slots, outlook, may_idle=idle is SOMETIMES)
        if numbers[FACTORS] and config.sigma * ahead.spread > _WIDE:
            lower, upper = min(lower, -_IDLE_REACH), max(upper, _IDLE_REACH)
        active = self._widened(lower, expected, upper)
        if idle is NEVER:
            return active, active
        return self._widened(min(lower, -_IDLE_REACH), expected, max(upper, _IDLE_REACH)), active

    def _active_places(self, at: int, slots: tuple[int, ...], outlook: Outlook, *, may_idle: bool) -> Places:
        """The bounds of a bucket that does not rest: as usual, as on a holiday, or as on its day in other months."""
        config, numbers, table = self._config, self._numbers, self._slots
        ahead, (down, up, reach), (below, above, _) = outlook
        expected = ahead.place
        lower, upper = expected - down - below, expected + up + above
        quieter = self._quieter(at, slots, outlook)
        busier = hidden_by(numbers, table, config.layout, at, slots)[0]
        if numbers[LEVEL] < 0.0:
            quieter, busier = busier, quieter
        if quieter:
            lower = min(lower, expected - reach - quieter)
        if busier:
            upper = max(upper, expected + reach + busier)
        remembered = config.layout.remembered and remembers(table)
        monthly = self._monthly_at(at, slots) if remembered else None
        if monthly is not None:
            reach += _MONTHLY_PART * abs(monthly)
            lower, upper = min(lower, expected + monthly - reach), max(upper, expected + monthly + reach)
        elif not may_idle and numbers[FACTORS]:
            # What never rests does not cost nothing, however little is known of it.
            lower = max(lower, _IDLE_REACH) if expected > 2.0 * _IDLE_REACH else lower
            upper = min(upper, -_IDLE_REACH) if expected < -2.0 * _IDLE_REACH else upper
        return lower, expected, upper

    def _widened(self, lower: float, expected: float, upper: float) -> Places:
        """With bounds at least the smallest amount off that matters."""
        anchor = self._numbers[ANCHOR]
        amount, reach = unsquash(expected, anchor), self._config.sigma * self._config.absolute_floor
        return (
            min(lower, squash(clamp(amount - reach), anchor)),
            expected,
            max(upper, squash(clamp(amount + reach), anchor)),
        )

    def _noise(self) -> float:
        return max(self._numbers[NOISE], self._config.relative_floor**2)

    def _predict(self, at: int, slots: tuple[int, ...], week: Week) -> Ahead:
        numbers, rates = self._numbers, self._config.rates
        steps = self._steps_to(at)
        noise = self._noise()
        level_variance = noise * max(
            numbers[DOUBT] + steps * (2.0 * numbers[SWAY] + steps * numbers[TREND_DOUBT] + rates.level_drift), 0.0
        )
        base = numbers[LEVEL] + numbers[TREND] * steps
        faded = 0.0 if numbers[HELD] else rates.persistence**steps
        variance = level_variance + noise * (1.0 - faded * faded) / (1.0 - rates.persistence * rates.persistence)
        effects, doubts = [], []
        for slot in slots:
            effect, doubt = self._effect_of(slot, noise, week)
            base += effect
            effects.append(effect)
            doubts.append(doubt)
            # While an episode goes on, a slot hardly known is no excuse.
            variance += min(doubt, noise) if numbers[HELD] >= TOLD else doubt
        place = base
        if faded:
            place += faded * limited(numbers[REST], _MOST_REST * math.sqrt(noise))
        if numbers[FACTORS]:
            # A factor never changes the sign.
            place = max(place, 0.0) if numbers[LEVEL] >= 0.0 else min(place, 0.0)
        return Ahead(place, base, noise, level_variance, math.sqrt(variance), steps, effects, doubts)

    def _effect_of(self, slot: int, noise: float, week: Week) -> tuple[float, float]:
        """How much of the effect of a slot counts, and the variance of that."""
        layout, table = self._config.layout, self._slots
        effect, count, prior = table[slot], table[layout.size + slot], layout.prior_variance[slot]
        if slot in layout.mixed:
            part, doubt = weighed(effect, count, noise, self._numbers[MIXED], prior)
            return part * effect, doubt
        doubt = noise / (count + noise / prior)
        if slot in layout.means:
            effects, doubts = week
            effect, shared = effects[slot - layout.means.start], doubts[slot - layout.means.start]
            doubt = max(doubt, shared) if count < SEEN_TWICE else shared
        elif layout.by_the_hour and slot >= layout.turn_start and count < layout.seen_once[slot - layout.turn_start]:
            # What was learned of one month may have been an incident.
            doubt = max(doubt, (_SEEN_ONCE * effect) ** 2)
        return effect, max(doubt, layout.exception[slot]) if count < SEEN_TWICE else doubt

    def _reaches(self, ahead: Ahead) -> Reaches:
        """How far below and above what is expected the bounds lie, and how far that of a single bucket does."""
        config, numbers = self._config, self._numbers
        spread = ahead.spread * (1.0 + _FEW / (numbers[ACTIVE] + 1.0))
        reach = config.sigma * spread
        if ahead.spread > UNSURE * math.sqrt(ahead.noise):
            return reach, reach, reach  # of a slot hardly known, no evidence
        held_back, allowance = numbers[HELD] > 0.0, self._allowance(ahead)
        # What lies between, unless it was held back, would have taken its allowance off the evidence.
        passed = 0.0 if held_back else allowance * (ahead.steps - 1)
        fallen, risen = max(numbers[FALLEN] - passed, 0.0), max(numbers[RISEN] - passed, 0.0)
        down = spread * reach_left(fallen, config.evidence, allowance, held_back=held_back)
        up = spread * reach_left(risen, config.evidence, allowance, held_back=held_back)
        if held_back and numbers[REST] > 0.0:
            up = min(up, config.rates.goes_on * spread)
        elif held_back:
            down = min(down, config.rates.goes_on * spread)
        return min(down, reach), min(up, reach), reach

    def _allowance(self, ahead: Ahead) -> float:
        """A level that is not known well leans every bucket to the same side."""
        rates = self._config.rates
        return rates.allowance + _LEAN * (1.0 - rates.persistence) * math.sqrt(ahead.level_variance) / ahead.spread

    def _beside(self, at: int, slots: tuple[int, ...], week: Week) -> Beside:
        layout = self._config.layout
        quieter = quieter_by(self._numbers, self._slots, layout, slots, week)
        if not layout.by_the_hour or not clocks_may_have_changed(at):
            return 0.0, 0.0, quieter
        before, after = beside(self._slots, slots[0])
        return max(-before, -after, 0.0), max(before, after, 0.0), quieter

    def _watch_day(self, off: float, at: int, outlook: Outlook) -> None:
        """An hour lies *off*: is this a quiet day?"""
        numbers, (ahead, _, (_, _, quieter)) = self._numbers, outlook
        watch_day(numbers, at, -off if numbers[LEVEL] >= 0.0 else off, quieter, ahead.spread)

    def _quieter(self, at: int, slots: tuple[int, ...], outlook: Outlook) -> float:
        """How much nearer to zero than usual a bucket may be because it may be a holiday's."""
        config, (ahead, _, (_, _, by)) = self._config, outlook
        if by and may_rest(
            self._numbers, self._slots, config.layout, config.rates, at, slots, by=by, spread=ahead.spread
        ):
            return by
        return 0.0

    def _monthly_at(self, at: int, slots: tuple[int, ...]) -> float | None:
        """How far off the day may be because it has been in the months before; None for all others."""
        # The turn of a month has a slot of its own.
        return recalled(self._slots, self._config.layout, day_of_month(at)[0]) if len(slots) == 1 else None

    def _steps_to(self, at: int) -> int:
        """Buckets since the latest one learned; a repeated or earlier one counts as the next."""
        return min(max((at - int(self._numbers[LAST])) // self._config.grain_seconds, 1), _MOST_STEPS)

    @property
    def _alike(self) -> float:
        """What resembles its neighbour says less of the level: the variance of a mean is so many times as large."""
        return 1.0 / (1.0 - self._config.rates.persistence) ** 2
