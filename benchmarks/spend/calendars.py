"""The calendar that a tag lives by: weekends, months, holidays and summer time, for days and for hours."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

DAY = 86400
HOUR = 3600
HOLIDAYS = ((1, 1), (5, 1), (7, 4), (12, 25))
"""Month and day; at the weekend's level on whatever weekday they fall."""
_SATURDAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One period. at: its start, seconds since 1970. hour: local, 0 for days. left: days of the month after it."""

    at: int
    hour: int
    day: int
    left: int
    weekend: bool
    holiday: bool


def moments(start: date, periods: int, grain_seconds: int, *, summer_time: bool) -> list[Moment]:
    """summer_time: the tag's people live by European summer time, which the bill's UTC does not know."""
    begin = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp())
    found = []
    for number in range(periods):
        at = begin + number * grain_seconds
        utc = datetime.fromtimestamp(at, UTC)
        local = utc + timedelta(hours=1) if summer_time and _is_summer(utc) else utc
        found.append(
            Moment(
                at=at,
                hour=local.hour if grain_seconds == HOUR else 0,
                day=utc.day,
                left=_days_left(utc.date()),
                weekend=local.weekday() >= _SATURDAY,
                holiday=(local.month, local.day) in HOLIDAYS,
            )
        )
    return found


def _days_left(day: date) -> int:
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return (following - day).days - 1


def _is_summer(utc: datetime) -> bool:
    first, last = _last_sunday(utc.year, 3), _last_sunday(utc.year, 10)
    return first <= utc.date() < last


def _last_sunday(year: int, month: int) -> date:
    latest = date(year, month, 31)
    return latest - timedelta(days=(latest.weekday() + 1) % 7)
