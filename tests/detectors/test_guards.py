"""Guards, scale and calendar: the small things everything else rests on."""

import calendar
import math
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import Band, Status
from detectors.calendar import DAY, day_of_month, hour_of_day, hour_of_week, weekday
from detectors.guards import clamp, judge, score_of, spread_floor
from detectors.scale import squash, unsquash

any_finite = st.floats(allow_nan=False, allow_infinity=False)
anchors = st.floats(min_value=1e-12, max_value=sys.float_info.max)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.floats(min_value=0.0), st.floats(min_value=0.0))
def test_score_never_falls_as_the_distance_grows(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0.0 <= score_of(low) <= score_of(high) <= 1.0


@pytest.mark.parametrize(
    ("spread", "level", "expected"), [(0.0, -100.0, 2.0), (5.0, 100.0, 5.0), (0.0, 0.0, 0.001), (0.0, 0.01, 0.001)]
)
def test_spread_is_never_below_its_floor(spread: float, level: float, expected: float) -> None:
    assert spread_floor(spread, level, relative=0.02, absolute=0.001) == pytest.approx(expected)


def test_clamp_brings_infinity_to_the_end_of_the_floats() -> None:
    assert clamp(math.inf) == sys.float_info.max
    assert clamp(-math.inf) == -sys.float_info.max
    assert clamp(1.5) == 1.5


@pytest.mark.parametrize(
    ("value", "ratio", "status", "score"),
    [(11.0, 0.99, Status.HIGH, 0.5), (-1.0, 3.0, Status.LOW, 0.9), (10.0, 1.01, Status.NORMAL, 0.5)],
)
def test_band_decides_the_status_and_the_score_follows(
    value: float, ratio: float, status: Status, score: float
) -> None:
    verdict = judge(value, Band(expected=5.0, lower=0.0, upper=10.0), ratio)
    assert verdict.status is status
    assert verdict.score == pytest.approx(score)


@given(any_finite, anchors)
def test_scale_is_finite_and_turns_back(value: float, anchor: float) -> None:
    place = squash(value, anchor)
    assert abs(place) <= 1500.0
    assert unsquash(place, anchor) == pytest.approx(value, rel=1e-9, abs=1e-9 * anchor)


@given(any_finite, any_finite, anchors)
def test_scale_keeps_the_order(one: float, other: float, anchor: float) -> None:
    low, high = sorted((one, other))
    assert squash(low, anchor) <= squash(high, anchor) + 1e-9


@given(st.floats(min_value=-1e5, max_value=1e5), anchors)
def test_any_place_has_a_finite_value(place: float, anchor: float) -> None:
    assert math.isfinite(unsquash(place, anchor))


@given(st.integers(min_value=-700_000, max_value=2_900_000), st.integers(min_value=0, max_value=86399))
def test_calendar_is_that_of_the_standard_library(day: int, second: int) -> None:
    instant, at = EPOCH + timedelta(days=day, seconds=second), day * DAY + second
    length = calendar.monthrange(instant.year, instant.month)[1]
    assert day_of_month(at) == (instant.day, length - instant.day)
    assert weekday(at) == instant.weekday()
    assert hour_of_day(at) == instant.hour
    assert hour_of_week(at) == instant.weekday() * 24 + instant.hour


@given(st.integers())
def test_calendar_takes_any_whole_number(at: int) -> None:
    day, left = day_of_month(at)
    assert 1 <= day <= 31
    assert 0 <= left <= 30
    assert 0 <= hour_of_week(at) < 168
