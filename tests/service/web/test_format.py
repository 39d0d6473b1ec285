"""Changes and times as people read them; small charts."""

from datetime import UTC, datetime, timedelta

import pytest

from service.core.alerts import Point
from service.web.format import bucket, change, full_moment, moment, prose, signed, span
from service.web.sparkline import sparkline

AT = datetime(2024, 9, 18, 14, 5, 9, tzinfo=UTC)


def test_changes_carry_their_sign() -> None:
    assert signed(5.0, "USD") == "+5.00 USD"
    assert signed(-5.0, "USD") == "-5.00 USD"
    assert signed(0.0, "USD") == "0.00 USD"


@pytest.mark.parametrize(
    ("actual", "expected", "text"),
    [
        (240.0, 100.0, "+140 %"),
        (30.0, 100.0, "-70 %"),
        (2000.0, 100.0, "20×"),
        (5.0, 0.0, ""),
        (-50.0, -100.0, "+50 %"),
        (100.0, 100.0, "0 %"),
    ],
)
def test_change_is_relative_to_what_was_expected(actual: float, expected: float, text: str) -> None:
    assert change(actual, expected) == text


def test_times_are_in_utc() -> None:
    east = AT.astimezone(tz=None)
    assert moment(east) == "2024-09-18 14:05"
    assert full_moment(east) == "2024-09-18T14:05:09Z"
    assert moment(None) == full_moment(None) == ""
    assert bucket(AT, "1d") == "2024-09-18"
    assert bucket(AT, "1h") == "2024-09-18 14:05"


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(seconds=45), "45 s"),
        (timedelta(minutes=12, seconds=5), "12 min"),
        (timedelta(hours=3), "3 h"),
        (timedelta(hours=3, minutes=7), "3 h 7 min"),
        (timedelta(days=3, hours=4, minutes=5), "3 d 4 h"),
        (timedelta(days=2), "2 d"),
        (timedelta(seconds=-5), "0 s"),
    ],
)
def test_spans_have_two_parts_at_most(length: timedelta, text: str) -> None:
    assert span(length) == text


def test_code_in_prose_is_marked_and_all_of_it_escaped() -> None:
    assert prose("see `a<b` & c") == "see <code>a&lt;b</code> &amp; c"


def _points(*values: float, band: bool = True) -> list[Point]:
    return [
        Point(at=AT + timedelta(days=day), actual=value, lower=1.0 if band else None, upper=3.0 if band else None)
        for day, value in enumerate(values)
    ]


def test_sparkline_spans_its_box() -> None:
    chart = sparkline(_points(1.0, 5.0))
    assert chart is not None
    assert chart.line == "2.0,26.0 118.0,2.0"
    assert chart.bands == ("2.0,14.0 118.0,14.0 118.0,26.0 2.0,26.0",)


def test_sparkline_of_a_flat_series_is_a_line() -> None:
    chart = sparkline(_points(2.0, 2.0, band=False))
    assert chart is not None
    assert (chart.line, chart.bands, chart.marks) == ("2.0,26.0 118.0,26.0", (), ())


def test_sparkline_needs_two_points() -> None:
    assert sparkline(_points(1.0)) is None
