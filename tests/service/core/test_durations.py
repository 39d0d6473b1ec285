"""Lengths of time as Alertmanager writes them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("1w", 604_800), ("500ms", 0.5)]
)
def test_a_duration_is_read_and_written(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(("text", "seconds"), [("45", 45), ("0.5", 0.5), ("0", 0)])
def test_a_bare_number_is_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 m", "m", "30s5m", "-5m", "1.5h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 30s, 5m or 1h30m"):
        parse_duration(text)


@given(st.integers(0, 10**10).map(lambda count: timedelta(milliseconds=count)))
def test_text_and_back_is_the_same_length(length: timedelta) -> None:
    assert parse_duration(format_duration(length)) == length
