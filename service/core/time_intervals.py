"""Times of the week, the month and the year in a time zone: Alertmanager's time intervals.

An interval holds the instants whose local date and time are in all of its ranges; what is left out is always. Names
and numbers are Alertmanager's: `monday:friday`, months by name or number, days of the month from 1, or from the end
as -1. Local times are what a clock on the wall shows: where an hour is left out in spring, what lies in it is left out
too, and what begins in it begins right after; the hour that comes twice in autumn counts twice.
"""

import calendar
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = tuple(name.lower() for name in calendar.month_name[1:])
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""Stands for a time that does not come."""

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_WHOLE_DAY = 24 * 60
_HORIZON_DAYS = 40 * 366
"""Beyond this, days of the month and week have been seen in all their combinations."""

Range = tuple[int, int]
"""First and last, both of them in it; of times the minute it begins at and the one it ends before."""


@dataclass(frozen=True, kw_only=True)
class TimeInterval:
    """One element of a time interval. times: minutes of the day. weekdays: 0 is Sunday. No ranges: always."""

    times: tuple[Range, ...] = ()
    weekdays: tuple[Range, ...] = ()
    days_of_month: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()
    location: str = "UTC"

    def __post_init__(self) -> None:
        zone_of(self.location)
        if _cover_the_day(self.times):
            object.__setattr__(self, "times", ())

    @cached_property
    def zone(self) -> ZoneInfo:
        return zone_of(self.location)

    def has_day(self, day: date) -> bool:
        """Whether the local date is in its ranges."""
        return (
            _within(self.years, day.year)
            and _within(self.months, day.month)
            and _within(self.weekdays, day.isoweekday() % 7)
            and (not self.days_of_month or any(_in_month(one, day) for one in self.days_of_month))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedIntervals:
    """What routes name: open while one of its intervals is."""

    name: str
    intervals: tuple[TimeInterval, ...]


def contains(interval: TimeInterval, at: datetime) -> bool:
    """Whether an aware instant is in the interval."""
    local = at.astimezone(interval.zone)
    if not interval.has_day(local.date()):
        return False
    minute = local.hour * 60 + local.minute
    return not interval.times or any(first <= minute < end for first, end in interval.times)


def next_change(interval: TimeInterval, at: datetime) -> datetime | None:
    """When it opens or closes next after *at*, in UTC. None: never again, as far as 40 years from now."""
    inside = contains(interval, at)
    return next((one for one in _edges(interval, at, inside=inside) if contains(interval, one) is not inside), None)


def any_contains(intervals: Sequence[TimeInterval], at: datetime) -> bool:
    return any(contains(one, at) for one in intervals)


def next_moment(
    intervals: Sequence[TimeInterval], at: datetime, holds: Callable[[datetime], bool], *, steps: int = 1000
) -> datetime:
    """The first moment from *at* on at which *holds*, which changes only with the intervals; NEVER if none comes.

    steps: changes looked at before it is given up.
    """
    moment = at
    for _ in range(steps):
        if holds(moment):
            return moment
        changes = [change for one in intervals if (change := next_change(one, moment)) is not None]
        if not changes:
            break
        moment = min(changes)
    return NEVER


def parse_time(text: str) -> int:
    """`09:30` -> minutes of the day; `24:00` is its end. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    minutes = int(found[1]) * 60 + int(found[2]) if found else _WHOLE_DAY + 1
    if found is None or int(found[2]) > 59 or minutes > _WHOLE_DAY:
        raise ValueError(f"expected a time such as 09:30, at most 24:00, got {text!r}")
    return minutes


def parse_times(start: str, end: str) -> Range:
    """Raises ValueError, also when the end is not after the start: a night is two ranges, before and after midnight."""
    times = parse_time(start), parse_time(end)
    if times[0] >= times[1]:
        raise ValueError(
            f"expected an end after {start}, got {end} (write a night as two: up to 24:00, and from 00:00)"
        )
    return times


def parse_weekdays(text: str) -> Range:
    """`saturday` or `monday:friday`. Raises ValueError."""
    return _range(text, lambda one: _named(one, WEEKDAYS, 0, "a day of the week"))


def parse_months(text: str) -> Range:
    """`may`, `5` or `january:march`. Raises ValueError."""
    return _range(text, lambda one: _number(one, 1, 12) if one.isdigit() else _named(one, MONTHS, 1, "a month"))


def parse_years(text: str) -> Range:
    """`2026` or `2026:2028`. Raises ValueError."""
    return _range(text, lambda one: _number(one, 1, 9999))


def parse_days_of_month(text: str) -> Range:
    """`1:5`, `-3:-1`, `15:-1`; never 0. Raises ValueError."""
    first, last = (_number(one, -31, 31) for one in _ends(text))
    if 0 in (first, last):
        raise ValueError(f"expected days from 1, or from the end of the month as -1, got {text!r}")
    if first < 0 < last:
        raise ValueError(f"expected an end that counts from the end as its start does, got {text!r}")
    if first > (last if first < 0 or last > 0 else last + 32):
        raise ValueError(f"expected an end that is not before its start, got {text!r}")
    return first, last


def zone_of(location: str) -> ZoneInfo:
    """Raises ValueError for what is no IANA time zone."""
    try:
        return ZoneInfo(location)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"expected an IANA time zone such as Europe/Berlin, got {location!r}") from None


def _ends(text: str) -> tuple[str, str]:
    first, _, last = text.strip().lower().partition(":")
    return first.strip(), last.strip() if ":" in text else first.strip()


def _range(text: str, read: Callable[[str], int]) -> Range:
    first, last = map(read, _ends(text))
    if first > last:
        raise ValueError(f"expected an end that is not before its start, got {text!r}")
    return first, last


def _named(text: str, names: Sequence[str], first: int, what: str) -> int:
    if text not in names:
        raise ValueError(f"expected {what} such as {names[1]}, got {text!r}")
    return names.index(text) + first


def _number(text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"-?\d{1,4}", text) or not least <= int(text) <= most:
        raise ValueError(f"expected a number from {least} to {most}, got {text!r}")
    return int(text)


def _cover_the_day(times: Sequence[Range]) -> bool:
    reached = 0
    for first, end in sorted(times):
        if first > reached:
            return False
        reached = max(reached, end)
    return reached >= _WHOLE_DAY


def _within(ranges: Sequence[Range], value: int) -> bool:
    return not ranges or any(first <= value <= last for first, last in ranges)


def _in_month(days: Range, day: date) -> bool:
    """As Alertmanager: a range that begins after the month's end is none of it; others are cut to the month."""
    length = calendar.monthrange(day.year, day.month)[1]
    first, last = (one if one > 0 else length + one + 1 for one in days)
    return first <= length and max(first, 1) <= day.day <= last


def _edges(interval: TimeInterval, at: datetime, *, inside: bool) -> Iterator[datetime]:
    """Instants after *at* at which the interval may change, in order; every change is among them.

    Local time passes evenly except where the zone's offset changes: so these are the local times at which ranges begin
    and end, each as often as it comes, and the changes of the offset.
    """
    today = at.astimezone(interval.zone).date()
    last_year = max((last for _, last in interval.years), default=9990)
    for number in range(_HORIZON_DAYS):
        day = today + number * _DAY
        if day.year > last_year + 1:
            return
        if number and interval.has_day(day) is inside and not (inside and interval.times):
            continue  # nothing begins or ends on it
        yield from sorted(edge for edge in _edges_of(interval, day) if edge > at)
        inside = contains(interval, _instant(day + _DAY, 0, interval.zone) - _MINUTE)


def _edges_of(interval: TimeInterval, day: date) -> set[datetime]:
    zone = interval.zone
    times = {0, *(minute for one in interval.times for minute in one)}
    edges = {_instant(day, minute, zone, fold) for minute in times for fold in (0, 1)}
    start, end = _instant(day, 0, zone), _instant(day + _DAY, 0, zone)
    if start.astimezone(zone).utcoffset() != end.astimezone(zone).utcoffset():
        edges.add(_offset_change(zone, start, end))
    return edges


def _instant(day: date, minute: int, zone: ZoneInfo, fold: int = 0) -> datetime:
    if minute == _WHOLE_DAY:
        day, minute = day + _DAY, 0
    return datetime.combine(day, time(minute // 60, minute % 60, fold=fold), zone).astimezone(UTC)


def _offset_change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first whole minute, between two instants with different offsets, that has the later one."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _MINUTE:
        middle = before + (after - before) // (2 * _MINUTE) * _MINUTE
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
