"""What keeps alerts from people for a while."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from service.core.alerts import Alert, AlertKind
from service.core.silences import (
    Silence,
    SilenceError,
    SilenceKind,
    SilenceState,
    Weekly,
    check,
    expires_soon,
    is_open,
    planned,
    silenced_by,
    state_of,
)
from tests.builders import make_alert
from tests.clock import NOON

HOUR = timedelta(hours=1)


def make_silence(**changes: object) -> Silence:
    silence = Silence(
        id="s1",
        kind=SilenceKind.SILENCE,
        matchers=('team="search"',),
        created_by="ada",
        comment="",
        starts_at=NOON,
        ends_at=NOON + 8 * HOUR,
        created_at=NOON,
        updated_at=NOON,
    )
    return replace(silence, **changes)


def plan(amount: float = 300.0, **changes: object) -> Silence:
    return make_silence(
        **{
            "kind": SilenceKind.PLANNED_SPEND,
            "starts_at": NOON - 24 * HOUR,
            "amount_per_day": amount,
            "unit": "USD",
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("hours", "state", "soon"),
    [
        (-1, SilenceState.PENDING, False),
        (0, SilenceState.ACTIVE, False),
        (7, SilenceState.ACTIVE, True),
        (8, SilenceState.EXPIRED, False),
    ],
)
def test_a_silence_has_a_beginning_and_an_end(hours: int, state: SilenceState, soon: bool) -> None:
    at = NOON + hours * HOUR
    assert (state_of(make_silence(), at), expires_soon(make_silence(), at, HOUR)) == (state, soon)
    assert (silenced_by([make_silence()], make_alert(), at) == ("s1",)) is (state is SilenceState.ACTIVE)


@pytest.mark.parametrize(("minutes", "soon"), [(29, False), (30, True), (480, False)])
def test_how_long_before_its_end_it_ends_soon_is_asked(minutes: int, soon: bool) -> None:
    silence = make_silence(ends_at=NOON + HOUR)
    assert expires_soon(silence, NOON + minutes * timedelta(minutes=1), HOUR / 2) is soon


def test_it_only_holds_for_what_all_its_matchers_hold_for() -> None:
    both = make_silence(matchers=('team="search"', "impact<100"))
    assert silenced_by([both], make_alert(impact=50.0), NOON) == ("s1",)
    assert silenced_by([both], make_alert(impact=150.0), NOON) == ()
    assert silenced_by([both], make_alert(team="ads", impact=50.0), NOON) == ()


def test_a_window_is_local_time_in_summer_and_winter() -> None:
    """Nine in New York is 13:00 UTC until November, and 14:00 after."""
    window = Weekly(start_time="09:00", end_time="10:00", location="America/New_York")
    long = make_silence(recurrence=(window,), ends_at=NOON + timedelta(days=100))
    summer, winter = NOON.replace(hour=13), NOON.replace(month=12, hour=13)
    assert (is_open(long, summer), is_open(long, summer + HOUR)) == (True, False)
    assert (is_open(long, winter), is_open(long, winter + HOUR)) == (False, True)


@pytest.mark.parametrize(
    ("grain", "amount", "covered"),
    [("1d", 292.5, True), ("1d", 292.4, False), ("1h", 292.5 * 24, True), ("1h", 292.5 * 23, False)],
)
def test_a_plan_is_an_amount_a_day_whatever_the_grain(grain: str, amount: float, covered: bool) -> None:
    alert = make_alert(grain=grain, starts_at=NOON)
    assert (planned([plan(amount)], alert) is not None) is covered


def test_plans_add_up_and_other_currencies_do_not() -> None:
    assert planned([plan(150), plan(150)], make_alert()) is not None
    assert planned([plan(150), plan(150, unit="EUR")], make_alert()) is None


def test_a_plan_to_spend_more_covers_no_drop() -> None:
    assert planned([plan()], make_alert(kind=AlertKind.DROP)) is None


@pytest.mark.parametrize(
    ("begins", "buckets", "kept"),
    [(0, 1, True), (1, 3, True), (-1, 1, False), (3, 1, True), (4, 1, False), (2, 3, False), (0, 168, False)],
    ids=["first hour", "within", "before", "last hour", "after", "goes on", "for a week"],
)
@pytest.mark.parametrize("recurring", [False, True])
def test_maintenance_keeps_what_happened_within_it_only(begins: int, buckets: int, kept: bool, recurring: bool) -> None:
    window = Weekly(start_time="12:00", end_time="16:00")
    once = {"starts_at": NOON, "ends_at": NOON + 4 * HOUR}
    always = {"starts_at": NOON - 99 * HOUR, "ends_at": NOON + 999 * HOUR, "recurrence": (window,)}
    silence = make_silence(kind=SilenceKind.MAINTENANCE, **(always if recurring else once))
    alert = make_alert(grain="1h", starts_at=NOON + begins * HOUR, buckets=buckets)
    assert (silenced_by([silence], alert, NOON + 999 * HOUR) == ("s1",)) is kept


def test_a_plan_covers_its_days_and_not_those_after_it() -> None:
    two_days = plan(starts_at=NOON - 12 * HOUR, ends_at=NOON + 36 * HOUR)
    assert planned([two_days], make_alert(buckets=2)) is not None
    assert planned([two_days], make_alert(buckets=30)) is None


def test_an_amount_that_is_no_number_is_not_planned() -> None:
    assert planned([plan()], make_alert(actual=math.nan)) is None


@pytest.mark.parametrize(
    ("changes", "field", "what"),
    [
        ({"matchers": ()}, "matchers", "expected 1 to 20 matchers"),
        ({"matchers": ('team=~".*"',)}, "matchers", "match everything"),
        ({"matchers": ("severity>=low", "impact>=0")}, "matchers", "match everything"),
        ({"matchers": ("team",)}, "matchers[0]", "expected"),
        ({"ends_at": NOON}, "ends_at", "expected a time after starts_at"),
        ({"recurrence": (Weekly(location="Mars"),)}, "recurrence[0]", "IANA time zone"),
        ({"recurrence": (Weekly(weekdays=("someday",)),)}, "recurrence[0]", "a day of the week"),
        ({"recurrence": (Weekly(start_time="10:00", end_time="09:00"),)}, "recurrence[0]", "an end after 10:00"),
        ({"amount_per_day": 5.0}, "amount_per_day", "not for silence"),
        ({"kind": SilenceKind.PLANNED_SPEND, "unit": "USD"}, "amount_per_day", "how much more than usual"),
        ({"kind": SilenceKind.PLANNED_SPEND, "amount_per_day": 5.0}, "unit", "expected the unit"),
        (
            {"kind": SilenceKind.PLANNED_SPEND, "amount_per_day": float("nan"), "unit": "USD"},
            "amount_per_day",
            "above 0",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_field(changes: dict[str, object], field: str, what: str) -> None:
    with pytest.raises(SilenceError, match=what) as caught:
        check(make_silence(**changes))
    assert caught.value.field == field


TEXT = st.text(max_size=20)


@given(
    labels=st.dictionaries(TEXT, TEXT, max_size=4),
    numbers=st.lists(st.floats(), min_size=3, max_size=3),
    hours=st.integers(-100, 100),
    grain=st.sampled_from(["1m", "5m", "1h", "1d"]),
)
def test_no_alert_makes_a_silence_raise(labels: dict[str, str], numbers: list[float], hours: int, grain: str) -> None:
    actual, expected, impact = numbers
    alert: Alert = make_alert(labels=labels, actual=actual, expected=expected, impact=impact, grain=grain)
    every = [make_silence(), plan(), make_silence(kind=SilenceKind.MAINTENANCE, recurrence=(Weekly(),))]
    silenced_by(every, alert, NOON + hours * HOUR)
    planned(every, alert)
