"""Times of the week in a time zone, also where an hour is missing or comes twice."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.time_intervals import (
    WEEKDAYS,
    Range,
    TimeInterval,
    contains,
    next_change,
    parse_days_of_month,
    parse_months,
    parse_time,
    parse_times,
    parse_weekdays,
    parse_years,
)

BERLIN = "Europe/Berlin"
NEW_YORK = "America/New_York"
MINUTE = timedelta(minutes=1)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # year, month, day, hour, minute


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        (TimeInterval(), utc(2026, 1, 1), None),
        (TimeInterval(times=((540, 1020),)), utc(2026, 1, 1, 9), utc(2026, 1, 1, 17)),
        (TimeInterval(times=((540, 1020),), location=BERLIN), utc(2026, 7, 1, 7), utc(2026, 1, 1, 7)),
        (TimeInterval(weekdays=((1, 5),)), utc(2026, 11, 27), utc(2026, 11, 28)),
        (TimeInterval(weekdays=((0, 0),)), utc(2026, 11, 29), utc(2026, 11, 30)),
        (TimeInterval(days_of_month=((-1, -1),)), utc(2024, 2, 29), utc(2024, 2, 28)),
        (TimeInterval(days_of_month=((1, -2),)), utc(2026, 4, 29), utc(2026, 4, 30)),
        (TimeInterval(days_of_month=((29, 31),)), utc(2024, 2, 29), utc(2023, 2, 28)),
        (TimeInterval(months=((11, 12),)), utc(2026, 12, 31, 23, 59), utc(2027, 1, 1)),
        (TimeInterval(years=((2026, 2027),)), utc(2027, 12, 31), utc(2028, 1, 1)),
        (TimeInterval(days_of_month=((1, 1),), location=NEW_YORK), utc(2026, 3, 1, 5), utc(2026, 3, 1, 4)),
    ],
)
def test_an_interval_holds_an_instant_or_not(
    interval: TimeInterval, inside: datetime, outside: datetime | None
) -> None:
    assert contains(interval, inside)
    assert outside is None or not contains(interval, outside)


@pytest.mark.parametrize(
    ("interval", "at", "expected"),
    [
        (TimeInterval(times=((540, 1020),), location=BERLIN), utc(2026, 3, 28, 16), utc(2026, 3, 29, 7)),
        (TimeInterval(weekdays=((6, 6), (0, 0)), location=BERLIN), utc(2026, 10, 24, 10), utc(2026, 10, 25, 23)),
        # 02:30 does not exist on this night: what begins then begins at 03:00, one second after 01:59:59.
        (TimeInterval(times=((150, 240),), location=BERLIN), utc(2026, 3, 29, 0), utc(2026, 3, 29, 1)),
        # 02:00 to 03:00 does not exist at all: nothing opens before the next night.
        (TimeInterval(times=((120, 180),), location=BERLIN), utc(2026, 3, 29, 0), utc(2026, 3, 30, 0)),
        # 01:30 comes twice: it closes at the first 02:00, which is 01:00 again, and opens again half an hour later.
        (TimeInterval(times=((90, 120),), location=NEW_YORK), utc(2026, 11, 1, 5, 40), utc(2026, 11, 1, 6)),
        (TimeInterval(times=((90, 120),), location=NEW_YORK), utc(2026, 11, 1, 6), utc(2026, 11, 1, 6, 30)),
        (TimeInterval(days_of_month=((29, 29),), months=((2, 2),)), utc(2026, 1, 1), utc(2028, 2, 29)),
        (TimeInterval(years=((2020, 2025),)), utc(2026, 1, 1), None),
        (TimeInterval(years=((2020, 2026),)), utc(2026, 1, 1), utc(2027, 1, 1)),
        (TimeInterval(), utc(2026, 1, 1), None),
        (TimeInterval(times=((0, 720), (720, 1440))), utc(2026, 1, 1), None),
        (TimeInterval(days_of_month=((31, 31),), months=((4, 4),)), utc(2026, 1, 1), None),
    ],
)
def test_the_next_change_is_when_it_opens_or_closes(
    interval: TimeInterval, at: datetime, expected: datetime | None
) -> None:
    assert next_change(interval, at) == expected


TIMES = st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda two: two[0] < two[1])
WEEK = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda two: (min(two), max(two)))
INTERVALS = st.builds(
    TimeInterval,
    times=st.lists(TIMES, max_size=2).map(tuple),
    weekdays=st.lists(WEEK, max_size=2).map(tuple),
    location=st.sampled_from([BERLIN, NEW_YORK, "Australia/Lord_Howe", "America/Havana", "Africa/Casablanca"]),
)
# Around the nights on which clocks change in some of these zones.
NIGHTS = st.sampled_from([(2026, 3, 8), (2026, 3, 29), (2026, 4, 5), (2026, 10, 4), (2026, 10, 25), (2026, 11, 1)])


@settings(max_examples=150, deadline=None)
@given(interval=INTERVALS, night=NIGHTS, minutes=st.integers(-2000, 2000))
def test_nothing_changes_before_the_next_change_and_something_does_then(
    interval: TimeInterval, night: tuple[int, int, int], minutes: int
) -> None:
    at = utc(*night) + minutes * MINUTE
    change = next_change(interval, at)
    inside = contains(interval, at)
    end = at + timedelta(days=2) if change is None else min(change, at + timedelta(days=2))
    moment = at
    while moment < end:
        assert contains(interval, moment) is inside
        moment += MINUTE
    if change is not None:
        assert change > at
        assert contains(interval, change) is not inside
        assert contains(interval, change - MINUTE / 60) is inside


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (parse_weekdays, "monday:friday", (1, 5)),
        (parse_weekdays, " Saturday ", (6, 6)),
        (parse_months, "january:march", (1, 3)),
        (parse_months, "5", (5, 5)),
        (parse_years, "2026:2028", (2026, 2028)),
        (parse_days_of_month, "-3:-1", (-3, -1)),
        (parse_days_of_month, "15:-1", (15, -1)),
        (parse_days_of_month, "31", (31, 31)),
    ],
)
def test_ranges_are_alertmanagers(read: object, text: str, expected: Range) -> None:
    assert callable(read)
    assert read(text) == expected


@pytest.mark.parametrize(
    ("read", "text", "says"),
    [
        (parse_weekdays, "friday:monday", "an end that is not before its start"),
        (parse_weekdays, "fri", "expected a day of the week such as monday, got 'fri'"),
        (parse_months, "13", "a number from 1 to 12"),
        (parse_years, "soon", "a number from 1 to 9999"),
        (parse_days_of_month, "0", "expected days from 1"),
        (parse_days_of_month, "-1:5", "counts from the end"),
        (parse_days_of_month, "-1:-3", "not before its start"),
        (parse_days_of_month, "20:10", "not before its start"),
        (parse_time, "24:01", "at most 24:00"),
        (parse_time, "9", "such as 09:30"),
        (parse_time, "10:60", "such as 09:30"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(read: object, text: str, says: str) -> None:
    assert callable(read)
    with pytest.raises(ValueError, match=says):
        read(text)


def test_a_night_is_two_ranges() -> None:
    with pytest.raises(ValueError, match="write a night as two"):
        parse_times("22:00", "06:00")
    night = TimeInterval(times=(parse_times("22:00", "24:00"), parse_times("00:00", "06:00")))
    assert next_change(night, utc(2026, 1, 1, 23)) == utc(2026, 1, 2, 6)


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an IANA time zone such as Europe/Berlin, got 'CEST'"):
        TimeInterval(location="CEST")


def test_weeks_begin_on_sunday() -> None:
    assert WEEKDAYS[0] == "sunday"
