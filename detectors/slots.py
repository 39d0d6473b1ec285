"""Which calendar slots a bucket falls into, and how much each may be expected to matter before it has been seen.

Daily buckets have a slot for the weekday, and one for the first day of a month (flat fees) and its last two (batch
runs). Hourly ones have the hour of the day, the hour of the week on top, and the first hour of a month; finer ones
the hour of the day. Other grains have none.
"""

from collections.abc import Callable
from dataclasses import dataclass

from detectors.calendar import DAY, HOUR, day_of_month, hour_of_day, hour_of_week, weekday


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The slots of one grain.

    of: start of a bucket -> numbers of its slots, the rhythm's first, the month's last.
    prior_variance: per slot, of its effect before it has been seen, in squared logarithms.
    most_counted: per slot, beyond so many observations the older ones fade.
    rhythm_start, rhythm_size: the finest slots that come round within a week; these also learn to be idle.
    rhythm_place: which of a bucket's slots that is; None without slots.
    """

    of: Callable[[int], tuple[int, ...]]
    prior_variance: tuple[float, ...] = ()
    most_counted: tuple[float, ...] = ()
    rhythm_start: int = 0
    rhythm_size: int = 0
    rhythm_place: int | None = None

    @property
    def size(self) -> int:
        return len(self.prior_variance)


_WEEKDAY = 0.5**2
_FIRST_DAY = 0.3**2
_LAST_DAYS = 0.2**2
_HOUR_OF_DAY = 0.5**2
_HOUR_OF_WEEK = 0.3**2
_FIRST_HOUR = 1.0


def _day(at: int) -> tuple[int, ...]:
    day, left = day_of_month(at)
    if day == 1:
        return (weekday(at), 7)
    if left < 2:
        return (weekday(at), 8)
    return (weekday(at),)


def _hour(at: int) -> tuple[int, ...]:
    hour = hour_of_day(at)
    if hour == 0 and day_of_month(at)[0] == 1:
        return (hour, 24 + hour_of_week(at), 192)
    return (hour, 24 + hour_of_week(at))


def _part_of_hour(at: int) -> tuple[int, ...]:
    return (hour_of_day(at),)


def _none(at: int) -> tuple[int, ...]:
    return ()


NO_SLOTS = Layout(of=_none)
_DAILY = Layout(
    of=_day,
    prior_variance=(_WEEKDAY,) * 7 + (_FIRST_DAY, _LAST_DAYS),
    most_counted=(12.0,) * 7 + (6.0, 12.0),
    rhythm_size=7,
    rhythm_place=0,
)
_HOURLY = Layout(
    of=_hour,
    prior_variance=(_HOUR_OF_DAY,) * 24 + (_HOUR_OF_WEEK,) * 168 + (_FIRST_HOUR,),
    most_counted=(40.0,) * 24 + (12.0,) * 168 + (6.0,),
    rhythm_start=24,
    rhythm_size=168,
    rhythm_place=1,
)
_FINER = Layout(
    of=_part_of_hour,
    prior_variance=(_HOUR_OF_DAY,) * 24,
    most_counted=(200.0,) * 24,
    rhythm_size=24,
    rhythm_place=0,
)


def layout_of(grain_seconds: int) -> Layout:
    """The slots of buckets of this width."""
    if grain_seconds == DAY:
        return _DAILY
    if grain_seconds == HOUR:
        return _HOURLY
    if grain_seconds < HOUR:
        return _FINER
    return NO_SLOTS
