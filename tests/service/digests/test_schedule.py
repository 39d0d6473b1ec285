"""When digests are due: once a local day or week, through every change of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.digests.schedule import Period, last_due, next_due, period_of
from service.settings import WEEKDAYS, Digest

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
BERLIN = {"name": "d", "receivers": ["x"], "every": "day", "time_zone": "Europe/Berlin"}


def make(**changes: object) -> Digest:
    return Digest.model_validate({**BERLIN, **changes})


digests = st.builds(
    make,
    every=st.sampled_from(["day", "week"]),
    weekday=st.sampled_from(WEEKDAYS),
    at=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    time_zone=st.sampled_from(ZONES),
)
moments = st.integers(1_100_000_000, 2_050_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@settings(max_examples=300, deadline=None)
@given(digest=digests, at=moments)
def test_the_last_time_and_the_next_one_have_none_between_them(digest: Digest, at: datetime) -> None:
    before, after = last_due(digest, at), next_due(digest, at)
    assert before <= at < after
    assert next_due(digest, before) == after
    assert last_due(digest, after) == after


@settings(max_examples=300, deadline=None)
@given(digest=digests, at=moments)
def test_it_is_due_at_its_time_of_the_local_clock_but_for_what_the_clock_skips(digest: Digest, at: datetime) -> None:
    due = next_due(digest, at)
    zone = ZoneInfo(digest.time_zone)
    local = due.astimezone(zone)
    if digest.time_zone == "Pacific/Apia":  # skipped a whole day, and with it any sense in what follows
        return
    assert digest.every == "day" or local.weekday() == WEEKDAYS.index(digest.weekday)
    if local.time() != digest.at:
        as_told = datetime.combine(local.date(), digest.at, tzinfo=zone)
        assert as_told.astimezone(UTC).astimezone(zone).time() != digest.at, "there is no such time on that day"


@settings(max_examples=60, deadline=None)
@given(digest=digests, at=moments)
def test_a_year_has_a_digest_for_each_of_its_days_or_weeks(digest: Digest, at: datetime) -> None:
    end, times = at + timedelta(days=364), 0
    while (at := next_due(digest, at)) <= end:
        times += 1
    wanted = 364 if digest.every == "day" else 52
    assert abs(times - wanted) <= 1, "one more or less where the year is an hour longer, or lost a day"


@pytest.mark.parametrize(
    ("after", "due"),
    [
        ("2026-03-28T12:00", "2026-03-29T01:30"),  # 02:30 is skipped: the same as 03:30 of the new time
        ("2026-03-29T01:30", "2026-03-30T00:30"),
        ("2026-10-24T12:00", "2026-10-25T00:30"),  # 02:30 comes twice: the first
        ("2026-10-25T00:30", "2026-10-26T01:30"),  # and not again an hour later
    ],
)
def test_a_clock_that_changes_neither_skips_nor_doubles_a_digest(after: str, due: str) -> None:
    assert next_due(make(at="02:30"), _utc(after)) == _utc(due)


def test_a_week_is_counted_from_its_weekday() -> None:
    digest = make(every="week", weekday="wednesday", at="08:00")
    assert next_due(digest, _utc("2026-11-25T06:59")) == _utc("2026-11-25T07:00")
    assert next_due(digest, _utc("2026-11-25T07:00")) == _utc("2026-12-02T07:00")
    assert last_due(digest, _utc("2026-11-25T06:59")) == _utc("2026-11-18T07:00")


def test_a_digest_is_about_the_last_full_utc_days() -> None:
    day, week = make(), make(every="week", lag_days=2)
    monday = _utc("2026-11-23T07:00")
    assert period_of(day, monday) == Period(start=_utc("2026-11-22T00:00"), end=_utc("2026-11-23T00:00"))
    assert period_of(week, monday) == Period(start=_utc("2026-11-14T00:00"), end=_utc("2026-11-21T00:00"))
    assert period_of(day, monday).before.days == [_utc("2026-11-15T00:00")]
    in_auckland = make(time_zone="Pacific/Auckland")
    due = next_due(in_auckland, _utc("2026-11-22T18:00"))
    assert (due, period_of(in_auckland, due).end) == (_utc("2026-11-22T19:00"), _utc("2026-11-22T00:00"))


def test_a_time_that_yaml_takes_for_a_number_is_read_as_it_was_written() -> None:
    assert make(at=18 * 60 + 30).at == make(at="18:30").at


@pytest.mark.parametrize("wrong", [{"time_zone": "Berlin"}, {"time_zone": "../etc/passwd"}, {"at": "8 o'clock"}])
def test_what_is_no_time_or_place_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"time_zone|at\b"):
        make(**wrong)


def test_a_digest_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody would get it"):
        make(receivers=[])


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
