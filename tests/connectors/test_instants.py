import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.facts import format_instant
from connectors.instants import EARLIEST, LATEST, PATTERN, InstantError, InstantRangeError, parse_instant

BOUNDED = st.datetimes(
    EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None) - timedelta(microseconds=1), timezones=st.just(UTC)
)


@given(BOUNDED)
def test_what_is_written_is_read_back(at: datetime) -> None:
    assert parse_instant(format_instant(at)) == at
    assert re.search(PATTERN, format_instant(at))


@pytest.mark.parametrize("text", ["2024-09-18T13:45:07.5Z", "2024-09-18T13:45:07.500000000Z"])
def test_a_fraction_has_up_to_nine_digits(text: str) -> None:
    assert parse_instant(text) == datetime(2024, 9, 18, 13, 45, 7, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-09-18",
        "2024-09-18T00:00:00",
        "2024-09-18 00:00:00Z",
        "2024-09-18T00:00Z",
        "2024-09-18T00:00:00z",
        "2024-09-18T00:00:00+00:00",
        "2024-09-18T00:00:00Z\n",
        "2024-W38-3T00:00:00Z",
        "2024-09-18T00:00:00.0000000000Z",
        "２０２４-09-18T00:00:00Z",
    ],
)
def test_any_other_form_is_refused_by_parser_and_pattern(text: str) -> None:
    with pytest.raises(InstantError, match=r"^expected a UTC time such as 2024-09-18T00:00:00Z, got"):
        parse_instant(text)
    assert not re.search(PATTERN.replace("$", r"\Z"), text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("2024-02-30T00:00:00Z", "day"),
        ("2024-13-01T00:00:00Z", "month"),
        ("2024-09-18T24:00:00Z", "hour"),
        ("2024-09-18T00:00:60Z", "second"),
    ],
)
def test_what_no_calendar_has_is_refused_and_named(text: str, what: str) -> None:
    with pytest.raises(InstantError, match=f"got '{text}': {what} "):
        parse_instant(text)


@pytest.mark.parametrize(
    ("text", "before"),
    [("0001-01-01T00:00:00Z", True), ("1999-12-31T23:59:59Z", True), ("2100-01-01T00:00:00Z", False)],
)
def test_other_centuries_are_refused_by_parser_and_pattern(text: str, before: bool) -> None:
    with pytest.raises(InstantRangeError, match="expected a time in the years 2000 to 2099, got") as caught:
        parse_instant(text)
    assert caught.value.before is before
    assert not re.search(PATTERN, text)


@pytest.mark.parametrize("at", [EARLIEST, LATEST - timedelta(seconds=1)])
def test_the_bounds_themselves_are_in_the_pattern(at: datetime) -> None:
    assert re.search(PATTERN, format_instant(at))


@given(st.text(max_size=40) | st.from_regex(PATTERN))
def test_parser_and_pattern_agree_but_for_the_calendar(text: str) -> None:
    fits = re.search(PATTERN.replace("$", r"\Z"), text) is not None
    assert _is_taken(parse_instant, text) == (fits and _is_taken(datetime.fromisoformat, text))


def _is_taken(parse: Callable[[str], datetime], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def test_any_zone_is_written_in_utc() -> None:
    at = datetime(2024, 9, 18, 2, tzinfo=timezone(timedelta(hours=2)))
    assert format_instant(at) == "2024-09-18T00:00:00Z"


def test_a_naive_time_is_not_written() -> None:
    with pytest.raises(ValueError, match="an instant needs a time zone, got 2024-09-18T00:00:00"):
        format_instant(datetime(2024, 9, 18))  # noqa: DTZ001  # that is the point
