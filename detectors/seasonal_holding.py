"""What a seasonal model makes of buckets that are held back from it: an episode, an exception, a new level.

The level follows none of them. But what an exception says of its slots is that they are less sure than they seemed, so
that what recurs is learned after two to four times; and a row of them that gaps keep ending is a level in the end.
"""

import math

from detectors.calendar import day_of_month
from detectors.evidence import STANDING
from detectors.scale import squash
from detectors.seasonal_clock import watch_clock
from detectors.seasonal_fit import IDLE_PART, choose_anchor
from detectors.seasonal_model import TOLD, SeasonalModel
from detectors.seasonal_monthly import remember
from detectors.seasonal_slots import forget_day, shake_slots
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
    LEVEL,
    MOST_PLACE,
    REST,
    RISEN,
    SWAY,
    limited,
)

_LULLED = 0.03
_ROUSED = 0.15
"""What an exception takes of the share of active buckets, or of idle ones in a series that rests."""
_AWAKE = 0.75
_SHORT_DAY, _LONG_DAY, _TWO_DAYS = 6.0, 36.0, 60.0
"""Hours held back, from and to which they may have been those of a day like no other of its name; and to which they
may have been the last two days of a month."""


class SeasonalHolding(SeasonalModel):
    """The part of the seasonal detector that is told of what it does not learn."""

    __slots__ = ()

    def _hold(self, value: float, at: int) -> None:
        """A bucket is held back: its slots, and how often the series rests, are less sure than they seemed."""
        numbers, layout = self._numbers, self._config.layout
        idle, is_first = abs(value) <= IDLE_PART * numbers[ANCHOR], not numbers[HELD]
        if numbers[DORMANT]:
            self._rouse(value, at)
        elif idle and numbers[FACTORS] and is_first:
            numbers[IDLE_SHARE] += _LULLED * (1.0 - numbers[IDLE_SHARE])
        slots, outlook = self._slots_at(at), self._outlook(at)
        ahead = outlook[0]
        off = squash(value, numbers[ANCHOR]) - ahead.base
        numbers[HELD] += 1.0
        if numbers[ACTIVE]:
            # A credit within an episode says nothing of the level that it may come to.
            is_credit = bool(numbers[FACTORS]) and value * numbers[LEVEL] < 0.0
            if not idle and (is_first or not is_credit):
                began_with_credit = bool(numbers[FACTORS]) and (numbers[LEVEL] + numbers[REST]) * numbers[LEVEL] < 0.0
                before = off if is_first or began_with_credit else numbers[REST]
                numbers[REST] = limited(before + (off - before) / numbers[HELD], MOST_PLACE)
                if layout.by_the_hour:
                    watch_clock(numbers, self._slots, slots[0], off, ahead.spread)
                    self._watch_day(off, at, outlook)
            if is_first and layout.remembered and len(slots) == 1:
                remember(self._slots, layout, day_of_month(at)[0], off)
        if is_first:
            shake_slots(self._slots, layout, slots, off, idle=idle)
        elif not idle and numbers[HELD] >= self._config.rates.settled:
            self._settle()

    def _rouse(self, value: float, at: int) -> None:
        """A dormant series may be one no longer."""
        numbers = self._numbers
        numbers[IDLE_SHARE] -= _ROUSED * numbers[IDLE_SHARE]
        if numbers[IDLE_SHARE] < _AWAKE:
            numbers[DORMANT] = 0.0
            if not numbers[ACTIVE]:
                self._begin_level(value, at)
                numbers[ACTIVE] = 1.0

    def _end_hold(self) -> None:
        """The episode is over, and was not accepted: what evidence it had has been told, so it begins anew."""
        numbers = self._numbers
        told = numbers[HELD] >= TOLD
        if self._config.layout.by_the_hour and _SHORT_DAY <= numbers[HELD] <= _TWO_DAYS:
            self._forget_days()
        numbers[HELD] = numbers[REST] = 0.0
        if told and max(numbers[RISEN], numbers[FALLEN]) >= STANDING * self._config.evidence:
            numbers[RISEN] = numbers[FALLEN] = 0.0
            numbers[DOUBT] = max(numbers[DOUBT], 0.5 * self._alike)

    def _forget_days(self) -> None:
        """So many hours were held back: a day like no other of its name, or the last two of a month."""
        numbers, layout = self._numbers, self._config.layout
        # It began after the latest bucket learned; rest that ended it is none of it.
        middle = int(numbers[LAST]) + (int(numbers[HELD]) + 1) * self._config.grain_seconds // 2
        slots = self._slots_at(middle)
        if numbers[HELD] <= _LONG_DAY or slots[-1] == layout.size - 1:
            effects = self._outlook(middle)[0].effects
            forget_day(self._slots, layout, slots, effects, numbers[REST], rising=numbers[LEVEL] >= 0.0)

    def _settle(self) -> None:
        """Take what was held back for the new level: rests or gaps ended each row of it before it was long enough."""
        numbers = self._numbers
        numbers[LEVEL] = limited(numbers[LEVEL] + numbers[REST], MOST_PLACE)
        numbers[DOUBT], numbers[SWAY] = self._alike / numbers[HELD], 0.0
        numbers[HELD] = numbers[RISEN] = numbers[FALLEN] = numbers[REST] = 0.0

    def _begin_level(self, value: float, at: int) -> None:
        """The first active bucket ever is the level."""
        numbers = self._numbers
        numbers[ANCHOR] = choose_anchor([value], absolute_floor=self._config.absolute_floor).at
        numbers[LEVEL] = squash(value, numbers[ANCHOR]) - self._effect(at)
        self._forget_outlook()

    def _effect(self, at: int) -> float:
        return math.fsum(self._outlook(at)[0].effects)
