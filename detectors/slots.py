"""Which calendar slots a bucket falls into, and how much each may be expected to matter before it has been seen.

Daily buckets have a slot for the weekday, and one for the first day of a month (flat fees) and its last two (batch
runs). Hourly ones have the hour of the day, the weekday, the hour of the week on top, and the first hour of a month,
the rest of that day, or the last two days; finer ones the hour of the day. Other grains have none.
"""

from collections.abc import Callable
from dataclasses import dataclass

from detectors.calendar import DAY, HOUR, day_of_month, hour_of_day, weekday


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The slots of one grain.

    of: start of a bucket -> numbers of its slots, the rhythm's first, the month's last.
    prior_variance: per slot, of its effect before it has been seen, in squared logarithms.
    weight: per slot, how much one observation counts; less where they come in runs that lean the same way.
    exception: per slot, the least variance of its effect while it has been seen once, since that may have been an
        exception; 0 where a slot is seen often.
    most_counted: per slot, beyond so many observations the older ones fade.
    weekday_start: the first of seven slots of weekdays; None without them. weekday_place: which of a bucket's slots is
        one of them.
    rhythm_start, rhythm_size: the finest slots that come round within a week; these also learn to be idle.
    rhythm_place: which of a bucket's slots that is; None without slots.
    turn_start: the first of the slots of a month's turn, if there are any.
    by_the_hour: a bucket has slots for its hour, its weekday and its hour of the week, in this order; the first 24 are
        the hours of the day, by a clock that people set an hour on or back.
    mixed: slots that have only what others of the bucket leave over, and most of them nothing: the hours of the week.
    means: slots of which a mean of their own is learned, that counts as far as others of their kind let it: weekdays,
        and the hours of the week.
    seen_once: of each slot of a month's turn, below which count it has been seen in one month only.
    remembered: so many days of the month that are exceptions are remembered, see `detectors.seasonal_monthly`.
    """

    of: Callable[[int], tuple[int, ...]]
    prior_variance: tuple[float, ...] = ()
    exception: tuple[float, ...] = ()
    most_counted: tuple[float, ...] = ()
    weight: tuple[float, ...] = ()
    weekday_start: int | None = None
    weekday_place: int = 0
    rhythm_start: int = 0
    rhythm_size: int = 0
    rhythm_place: int | None = None
    turn_start: int = 10_000
    by_the_hour: bool = False
    mixed: range = range(0)
    means: range = range(0)
    seen_once: tuple[float, ...] = ()
    remembered: int = 0

    @property
    def size(self) -> int:
        return len(self.prior_variance)

    @property
    def numbers(self) -> int:
        """How many a table has: effects, counts, idle counts of the rhythm, and three for each day remembered."""
        return 2 * self.size + self.rhythm_size + self.remembered_size

    @property
    def remembered_size(self) -> int:
        return 3 * self.remembered


_WEEKDAY = 0.5**2
_FIRST_DAY = 0.3**2
_LAST_DAYS = 0.2**2
_WEEKDAY_EXCEPTION, _TURN_EXCEPTION = 0.25**2, 0.15**2
_HOUR_OF_DAY = 0.5**2
_DAY_OF_HOURS = 0.4**2
_HOUR_OF_WEEK = 0.2**2
_FIRST_HOUR = 1.0


def _day(at: int) -> tuple[int, ...]:
    day, left = day_of_month(at)
    if day == 1:
        return (weekday(at), 7)
    if left < 2:
        return (weekday(at), 8)
    return (weekday(at),)


def _hour(at: int) -> tuple[int, ...]:
    hour, day_of_week = hour_of_day(at), weekday(at)
    day, left = day_of_month(at)
    usual = (hour, 24 + day_of_week, 31 + 24 * day_of_week + hour)
    if day == 1:
        return (*usual, 199 if hour == 0 else 200)
    return (*usual, 201) if left < 2 else usual


def _part_of_hour(at: int) -> tuple[int, ...]:
    return (hour_of_day(at),)


def _none(at: int) -> tuple[int, ...]:
    return ()


NO_SLOTS = Layout(of=_none)
_DAILY = Layout(
    of=_day,
    prior_variance=(_WEEKDAY,) * 7 + (_FIRST_DAY, _LAST_DAYS),
    exception=(_WEEKDAY_EXCEPTION,) * 7 + (_TURN_EXCEPTION,) * 2,
    most_counted=(12.0,) * 7 + (6.0, 12.0),
    weight=(1.0,) * 9,
    weekday_start=0,
    rhythm_size=7,
    rhythm_place=0,
    turn_start=7,
    means=range(7),
    seen_once=(1.5, 3.0),
    remembered=2,
)
_HOURLY = Layout(
    of=_hour,
    prior_variance=(_HOUR_OF_DAY,) * 24
    + (_DAY_OF_HOURS,) * 7
    + (_HOUR_OF_WEEK,) * 168
    + (_FIRST_HOUR, _FIRST_DAY, _LAST_DAYS),
    exception=(0.0,) * 202,
    most_counted=(40.0,) * 24 + (100.0,) * 7 + (12.0,) * 168 + (6.0, 50.0, 100.0),
    weight=(1.0,) * 24 + (0.35,) * 7 + (1.0,) * 169 + (0.35,) * 2,
    weekday_start=24,
    weekday_place=1,
    rhythm_start=31,
    rhythm_size=168,
    rhythm_place=2,
    turn_start=199,
    by_the_hour=True,
    mixed=range(31, 199),
    means=range(24, 199),
    seen_once=(1.5, 12.0, 25.0),
)
_FINER = Layout(
    of=_part_of_hour,
    prior_variance=(_HOUR_OF_DAY,) * 24,
    exception=(0.0,) * 24,
    most_counted=(200.0,) * 24,
    weight=(1.0,) * 24,
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
