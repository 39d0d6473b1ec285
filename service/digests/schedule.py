"""When a digest is due, and which days it is about. Pure: time zones, and no clock.

A digest is due once on each of its local days. A time that the clock skips in spring comes as much later as the clock
was put on; of a time that it shows twice in autumn the first counts.

What it is about are UTC days, as those of bills are: the last full ones when it is due.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from service.settings import WEEKDAYS, Digest

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)


class Period(Struct, frozen=True, kw_only=True):
    """Whole UTC days: *start* is a midnight and within, *end* one and not within."""

    start: datetime
    end: datetime

    @property
    def days(self) -> list[datetime]:
        return [self.start + n * _DAY for n in range((self.end - self.start) // _DAY)]

    @property
    def before(self) -> "Period":
        """The same weekdays a week earlier: a Monday is not held against a Sunday."""
        return Period(start=self.start - _WEEK, end=self.end - _WEEK)


def next_due(digest: Digest, after: datetime) -> datetime:
    """The first time after *after*, in UTC."""
    day = after.astimezone(ZoneInfo(digest.time_zone)).date() - _DAY  # a skipped time of yesterday may still come
    while (due := _due_on(digest, day)) is None or due <= after:
        day += _DAY
    return due


def last_due(digest: Digest, at: datetime) -> datetime:
    """The last time at or before *at*, in UTC."""
    day = at.astimezone(ZoneInfo(digest.time_zone)).date() + _DAY
    while (due := _due_on(digest, day)) is None or due > at:
        day -= _DAY
    return due


def period_of(digest: Digest, due: datetime) -> Period:
    """The day, or the seven, that a digest due at *due* is about."""
    midnight = datetime.combine(due.astimezone(UTC).date(), datetime.min.time(), tzinfo=UTC)
    end = midnight - timedelta(days=digest.lag_days)
    return Period(start=end - (_DAY if digest.every == "day" else _WEEK), end=end)


def _due_on(digest: Digest, day: date) -> datetime | None:
    """When it is due on a local day; None on days on which it is not."""
    if digest.every == "week" and day.weekday() != WEEKDAYS.index(digest.weekday):
        return None
    # fold=0: of two times the first, and a skipped one by the offset of before (PEP 495).
    return datetime.combine(day, digest.at, tzinfo=ZoneInfo(digest.time_zone)).astimezone(UTC)
