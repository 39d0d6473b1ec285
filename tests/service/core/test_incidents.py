import random
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.alerts import Alert, AlertKind, DriverChange
from service.core.incidents import heads, member_text
from tests.builders import make_alert

ORDER = ("team", "project", "customer_id", "service_name", "sub_account_id")
BEGIN = datetime.fromisoformat("2026-10-01T00:00:00+00:00")
OTHER = "other"


def driver(resource: str, change: float, *, before: float = 0.0, service: str = "EC2") -> DriverChange:
    labels = {"other": "true"} if resource == OTHER else {"service_name": service}
    if resource not in (OTHER, ""):
        labels["resource_id"] = resource
    return DriverChange(labels=labels, change=change, before=before, now=before + change)


def alert(
    name: str,
    *drivers: DriverChange,
    money: float | None = None,
    expected: float = 1000.0,
    day: int = 0,
    kind: AlertKind = AlertKind.SPIKE,
    series: str = "demo/effective_cost/USD/1d",
    **changes: object,
) -> Alert:
    """name: `team=a`, `service_name=EC2`, `total=`; also the id. money: what it moved, else the sum of the drivers."""
    dimension, _, value = name.partition("=")
    moved = sum(one.change for one in drivers) if money is None else money
    tagged = dimension if dimension in ("total", "service_name", "sub_account_id") else f"tag:{dimension}"
    fields: dict[str, object] = {
        "kind": kind,
        "tenant": series.split("/", maxsplit=1)[0],
        "series": f"{series}/{tagged}={value}",
        "labels": {dimension: value},
        "starts_at": BEGIN + timedelta(days=day),
        "actual": expected + moved,
        "expected": expected,
        "lower": expected - 50,
        "upper": expected + 50,
        "impact": moved,
        "drivers": drivers,
    }
    return msgspec.structs.replace(make_alert(name), **(fields | changes))


def chosen(*alerts: Alert, told: Collection[str] = (), inhibited: Mapping[str, str] | None = None) -> dict[str, str]:
    return heads(alerts, told=told, order=ORDER, inhibited=inhibited or {})


def test_one_machine_shows_in_five_places_and_its_team_is_told() -> None:
    runaway = driver("i-1", 900)
    found = chosen(
        alert("total=", money=880, expected=20_000),
        alert("service_name=EC2", runaway, driver(OTHER, -40), expected=5000),
        alert("project=p", runaway, driver("i-2", 20, before=300)),
        alert("team=a", runaway),
        alert("customer_id=c", runaway, driver(OTHER, 60)),
    )
    assert found == dict.fromkeys(("total=", "service_name=EC2", "project=p", "customer_id=c"), "team=a")


def test_two_incidents_on_one_day_stay_two_and_silence_the_total() -> None:
    found = chosen(
        alert("total=", money=1400, expected=20_000),
        alert("team=a", driver("i-1", 900)),
        alert("team=b", driver("i-2", 520)),
        alert("customer_id=c", driver("i-1", 900), driver("i-2", 520)),
    )
    assert found == {"total=": "team=a", "customer_id=c": "team=a"}


def test_a_rest_that_nothing_explains_keeps_the_total() -> None:
    found = chosen(alert("total=", money=2000, expected=20_000), alert("team=a", driver("i-1", 900)))
    assert found == {}


def price_rise(teams: int) -> list[Alert]:
    """A fifth more for each team's machine."""
    parts = [driver(f"i-{number}", 200, before=1000) for number in range(teams)]
    return [
        alert("service_name=EC2", *parts[:5], driver(OTHER, 200.0 * max(0, teams - 5)), expected=1000.0 * teams),
        alert("total=", money=200.0 * teams, expected=3000.0 * teams),
        *(alert(f"team=t{number}", part, expected=2000) for number, part in enumerate(parts)),
    ]


def test_a_price_that_twelve_teams_feel_is_told_once_as_the_service() -> None:
    alerts = price_rise(12)
    assert chosen(*alerts) == {one.id: "service_name=EC2" for one in alerts[1:]}


def test_a_price_that_two_teams_feel_is_told_to_both() -> None:
    found = chosen(*price_rise(2))
    assert sorted(found) == ["service_name=EC2", "total="]


def test_an_incident_of_its_own_is_told_beside_a_price_rise() -> None:
    found = chosen(*price_rise(12), alert("team=x", driver("i-99", 900)))
    assert "team=x" not in found
    assert set(found.values()) == {"service_name=EC2"}


def test_what_was_told_stays_and_inhibits_a_preferred_newcomer() -> None:
    customer, team = alert("customer_id=c", driver("i-1", 900)), alert("team=a", driver("i-1", 900))
    assert chosen(customer, team) == {"customer_id=c": "team=a"}
    assert chosen(customer, team, told=["customer_id=c"]) == {"team=a": "customer_id=c"}


def test_a_second_incident_is_not_hidden_by_a_total_that_was_told() -> None:
    total, first = alert("total=", money=900, expected=20_000), alert("team=a", driver("i-1", 880))
    assert chosen(total, first, told=["total="]) == {"team=a": "total="}
    grown = alert("total=", money=1900, expected=20_000)
    assert "team=b" not in chosen(grown, first, alert("team=b", driver("i-2", 1000), day=2), told=["total="])


def test_what_was_inhibited_stays_so_while_its_head_is_open() -> None:
    team, project = alert("team=a", driver("i-1", 900)), alert("project=p", driver("i-7", 900))
    assert chosen(team, project, told=["team=a"], inhibited={"project=p": "team=a"}) == {"project=p": "team=a"}
    assert chosen(project, inhibited={"project=p": "team=a"}) == {}


def test_a_rise_hidden_under_a_fall_is_told_where_it_shows() -> None:
    found = chosen(
        alert("team=a", driver("i-1", 500), driver("i-2", -400, before=400)),
        alert("project=p", driver("i-1", 500)),
        alert("project=q", driver("i-2", -400, before=400), kind=AlertKind.DROP),
    )
    assert found == {"team=a": "project=p"}


def test_a_team_with_two_incidents_tells_of_both_drivers_once() -> None:
    one, two = driver("i-1", 600), driver("i-2", 400, service="RDS")
    found = chosen(alert("team=a", one, two), alert("project=p", one), alert("project=q", two))
    assert found == {"project=p": "team=a", "project=q": "team=a"}


def test_a_moved_tag_is_told_on_both_sides() -> None:
    found = chosen(
        alert("team=a", driver("i-1", -400, before=400), kind=AlertKind.DROP),
        alert("team=b", driver("i-1", 400)),
    )
    assert found == {}


@pytest.mark.parametrize(
    "other",
    [
        alert("project=p", driver("i-1", 900), series="demo/effective_cost/EUR/1d", unit="EUR"),
        alert("project=p", driver("i-1", 900), series="demo/billed_cost/USD/1d", metric="billed_cost"),
        alert("project=p", driver("i-1", 900), series="acme/effective_cost/USD/1d"),
        alert("project=p", driver("i-1", 900), day=5),
        alert("project=p", driver("i-2", 900)),
        alert("team=b", driver("i-1", 900)),
    ],
    ids=["currency", "metric", "tenant", "time", "resource", "sibling"],
)
def test_what_has_nothing_in_common_is_told_apart(other: Alert) -> None:
    assert chosen(alert("team=a", driver("i-1", 900)), other) == {}


def test_services_without_resources_are_the_same_only_if_the_amounts_agree() -> None:
    team = alert("team=a", driver("", 900, before=100))
    assert chosen(team, alert("project=p", driver("", 870, before=700))) == {"project=p": "team=a"}
    assert chosen(team, alert("project=p", driver("", 500, before=700))) == {}


def test_usage_and_what_names_no_drivers_is_never_merged() -> None:
    series = "demo/requests/requests/1d"
    usage = [alert(name, money=500, series=series, unit="requests") for name in ("team=a", "project=p", "total=")]
    assert chosen(*usage) == {}
    assert chosen(alert("team=a", money=500), alert("project=p", money=500)) == {}


def test_what_is_missing_since_one_instant_and_costs_the_same_is_one() -> None:
    def missing(name: str, usual: float, day: int = 0) -> Alert:
        return alert(name, money=-usual, expected=usual, day=day, kind=AlertKind.MISSING)

    team = missing("team=a", 123.4)
    assert chosen(team, missing("project=p", 123.4)) == {"project=p": "team=a"}
    assert chosen(team, missing("project=p", 150.0), missing("customer_id=c", 123.4, day=1)) == {}


def test_an_hour_and_a_day_of_one_series_are_one() -> None:
    day = alert("team=a", driver("i-1", 900))
    hour = alert("team=a", driver("i-1", 90), series="demo/effective_cost/USD/1h", grain="1h")
    found = heads([day, msgspec.structs.replace(hour, id="hour")], told=[], order=ORDER)
    assert found == {"hour": "team=a"}


def test_a_member_is_one_short_line() -> None:
    assert member_text(alert("project=ranker", money=412.1)) == "project=ranker +412.10 USD"
    assert "\n" not in member_text(alert("project=a\nb", money=1.0))


def some_alerts(draw: random.Random) -> list[Alert]:
    found = {}
    for _ in range(draw.randrange(2, 25)):
        dimension = draw.choice([*ORDER, "total"])
        name = f"{dimension}=" if dimension == "total" else f"{dimension}={draw.choice('abcd')}"
        resources = draw.sample(["i-1", "i-2", "i-3", "i-4", "", OTHER], draw.randrange(4))
        kind = draw.choice([AlertKind.SPIKE, AlertKind.SPIKE, AlertKind.DROP, AlertKind.MISSING])
        sign = 1 if kind is AlertKind.SPIKE else -1
        parts = [
            driver(
                one,
                sign * draw.choice([50.0, 100.0, 900.0]),
                before=draw.choice([0.0, 1000.0]),
                service=draw.choice("ab"),
            )
            for one in resources
        ]
        found[name] = alert(name, *parts, money=sign * draw.choice([100.0, 1000.0]), day=draw.randrange(3), kind=kind)
    return list(found.values())


def assert_sound(alerts: Sequence[Alert], told: Collection[str], found: Mapping[str, str]) -> None:
    """No cycle, no chain, nobody told is inhibited, no two values of one dimension are one."""
    by_id = {one.id: one for one in alerts}
    assert set(found) <= set(by_id)
    assert not set(found) & set(told)
    assert not set(found) & set(found.values())
    for member, head in found.items():
        assert member.partition("=")[0] != head.partition("=")[0]
        assert (by_id[member].kind is AlertKind.SPIKE) == (by_id[head].kind is AlertKind.SPIKE)


@settings(max_examples=150, deadline=None)
@given(st.integers(min_value=0, max_value=10**9))
def test_any_order_of_the_alerts_gives_the_same_sound_answer(seed: int) -> None:
    draw = random.Random(seed)
    alerts = some_alerts(draw)
    told = [one.id for one in alerts if draw.random() < 0.2]
    found = heads(alerts, told=told, order=ORDER)
    assert_sound(alerts, told, found)
    shuffled = draw.sample(alerts, len(alerts))
    assert heads(shuffled, told=told[::-1], order=ORDER) == found


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=0, max_value=10**9))
def test_heads_told_stay_heads_as_alerts_arrive(seed: int) -> None:
    draw = random.Random(seed)
    alerts = some_alerts(draw)
    told: set[str] = set()
    found: dict[str, str] = {}
    for count in range(1, len(alerts) + 1):
        before = dict(found)
        found = heads(alerts[:count], told=told, order=ORDER, inhibited=before)
        assert_sound(alerts[:count], told, found)
        assert not told & set(found)
        told |= {one.id for one in alerts[:count]} - set(found)
