"""From a bill to the drivers of its alerts: why it fired, to the cent."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.core.alerts import Alert
from service.core.notes import Note
from service.replay.inputs import gather
from service.replay.run import new_player, play
from service.settings import Settings
from tests.service.replay.months import Change, Resource, rows, teams, times, write

DAY = 25


class Judged:
    def __init__(self, alerts: Sequence[Alert], notes: Sequence[Note]) -> None:
        self.alerts = alerts
        self.notes = notes

    def of(self, **labels: str) -> list[Alert]:
        wanted = labels.items()
        return [alert for alert in self.alerts if wanted <= alert.labels.items() and alert.status != "withdrawn"]


async def judged(
    path: Path, resources: Sequence[Resource], change: Change, *, days: int = 30, without: Sequence[str] = ()
) -> Judged:
    bill = write(path / "bill.csv", rows(resources, days, change=change), without=without)
    settings = Settings()
    player = new_player(settings)
    await play(gather([bill], settings, configured=False), player)
    assert not player.bad
    assert not player.rejected
    return Judged(list(player.alerts.values()), player.notes)


def told(alert: Alert) -> dict[str, tuple[str, float]]:
    """Resource or `other` -> (type, change); of the types that stand once for each."""
    return {driver.labels.get("resource_id", "other"): (str(driver.type), driver.change) for driver in alert.drivers}


def of_type(alert: Alert, kind: str) -> float:
    return sum(driver.change for driver in alert.drivers if driver.type == kind)


def assert_adds_up(alert: Alert) -> None:
    assert sum(driver.change for driver in alert.drivers) == pytest.approx(alert.actual - alert.expected, abs=1e-6)


async def test_more_of_the_same_is_quantity(tmp_path: Path) -> None:
    found = await judged(tmp_path, teams("search"), times(3, of="i-search-0", periods=range(DAY, DAY + 1)))
    (alert,) = found.of(team="search")
    assert_adds_up(alert)
    assert of_type(alert, "quantity") == pytest.approx(66.7, abs=3)
    assert of_type(alert, "price") == pytest.approx(0, abs=0.01)
    assert "Hrs, usually" in alert.action


async def test_the_same_at_another_price_is_price(tmp_path: Path) -> None:
    def change(period: int, usual: Resource) -> Resource:
        # The cost follows the price: the quantity stays.
        return replace(usual, price=0.3, cost=usual.cost * 3) if period == DAY and usual.name == "i-search-1" else usual

    (alert,) = (await judged(tmp_path, teams("search"), change)).of(team="search")
    assert_adds_up(alert)
    assert of_type(alert, "price") == pytest.approx(66.7, abs=3)
    assert abs(of_type(alert, "quantity")) < 2
    assert "on its price" in alert.action


async def test_what_was_not_there_is_new_and_what_is_no_more_is_gone(tmp_path: Path) -> None:
    gpu = Resource(name="i-gpu", cost=250.0, tags={"team": "search"}, meter="BoxUsage:p4d")

    def change(period: int, usual: Resource) -> Resource | None:
        if usual.name == "i-gpu":
            return usual if period == DAY else None
        return None if usual.name == "i-search-2" and period == DAY else usual

    (alert,) = (await judged(tmp_path, [*teams("search"), gpu], change)).of(team="search")
    assert_adds_up(alert)
    drivers = told(alert)
    assert (drivers["i-gpu"][0], drivers["i-search-2"][0]) == ("new", "gone")
    assert drivers["i-gpu"][1] == pytest.approx(250, abs=5)
    assert drivers["i-search-2"][1] == pytest.approx(-33.3, abs=1)
    assert "i-gpu BoxUsage:p4d" in alert.action
    assert alert.action.endswith("not seen in the days before")


async def test_a_driver_names_account_region_and_usage_type(tmp_path: Path) -> None:
    (alert,) = (await judged(tmp_path, teams("search"), times(3, of="i-", periods=range(DAY, DAY + 1)))).of(
        team="search"
    )
    assert alert.drivers[0].labels == {
        "service_name": "Amazon EC2",
        "resource_id": alert.drivers[0].labels["resource_id"],
        "sub_account_id": "1111",
        "region_id": "us-east-1",
        "sku_meter": "BoxUsage:m5.large",
    }


async def test_cost_that_moves_to_another_tag_raises_a_note_and_no_alert(tmp_path: Path) -> None:
    def change(period: int, usual: Resource) -> Resource:
        moved = period >= DAY and usual.name == "i-search-0"
        return replace(usual, tags={"team": "ads", "environment": "prod"}) if moved else usual

    found = await judged(tmp_path, teams("search", "ads"), change, days=35)
    assert found.alerts == []
    notes = {note.series.rpartition("=")[2]: note for note in found.notes}
    assert notes["ads"].moved == pytest.approx(33.3, abs=2)
    assert notes["search"].moved == pytest.approx(-33.3, abs=2)
    assert notes["ads"].counterparts == ("search",)


async def test_a_tag_change_does_not_hide_a_rise(tmp_path: Path) -> None:
    def change(period: int, usual: Resource) -> Resource:
        if period < DAY or usual.name != "i-search-0":
            return usual
        return replace(usual, tags={"team": "ads", "environment": "prod"}, cost=usual.cost * 4)

    (alert, *_) = (await judged(tmp_path, teams("search", "ads"), change, days=DAY + 1)).of(team="ads")
    assert_adds_up(alert)
    assert of_type(alert, "retagged") == pytest.approx(33.3, abs=2)
    assert alert.actual - alert.expected == pytest.approx(133, abs=8)


async def test_a_team_whose_last_resource_leaves_is_no_drop(tmp_path: Path) -> None:
    def change(period: int, usual: Resource) -> Resource:
        moved = period >= DAY and usual.name.startswith("i-ads")
        return replace(usual, tags={"team": "search", "environment": "prod"}) if moved else usual

    assert (await judged(tmp_path, teams("search", "ads", per_team=1), change)).alerts == []


async def test_shares_of_one_resource_are_no_tag_change(tmp_path: Path) -> None:
    """A cluster that is billed to two teams: one of them spends more, and the other as much as before."""
    shared = [Resource(name="cluster", cost=50.0, tags={"team": team}) for team in ("search", "ads")]

    def change(period: int, usual: Resource) -> Resource:
        return replace(usual, cost=300.0) if period == DAY and usual.tags["team"] == "search" else usual

    found = await judged(tmp_path, shared, change)
    (alert,) = found.of(team="search")
    assert found.notes == []
    assert of_type(alert, "retagged") == 0


async def test_children_of_a_flat_parent_are_judged(tmp_path: Path) -> None:
    """+10k in one account and -10k in another: the total is flat, the first account is not."""
    accounts = [
        Resource(name=f"i-{account}", cost=20_000.0, tags={"team": "data"}, account=account)
        for account in ("111", "222")
    ]

    def change(period: int, usual: Resource) -> Resource:
        if period != DAY:
            return usual
        return replace(usual, cost=30_000.0 if usual.account == "111" else 10_000.0)

    found = await judged(tmp_path, accounts, change)
    assert [alert.kind for alert in found.of(sub_account_id="111")] == ["spike"]
    assert found.of(team="data") == []
    assert not [alert for alert in found.alerts if "total" in alert.labels]


async def test_currencies_of_one_parent_are_judged_apart(tmp_path: Path) -> None:
    resources = [
        Resource(name=f"i-{currency}", cost=100.0, tags={"team": "search"}, currency=currency)
        for currency in ("USD", "EUR")
    ]
    found = await judged(tmp_path, resources, times(4, of="i-EUR", periods=range(DAY, DAY + 1)))
    (alert,) = found.of(team="search")
    assert alert.unit == "EUR"
    assert_adds_up(alert)


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        pytest.param(["ResourceId"], {"service_name", "sub_account_id", "region_id", "sku_meter"}, id="no-resources"),
        pytest.param(["ResourceId", "SkuMeter", "RegionId", "SubAccountId"], {"service_name"}, id="services-only"),
        pytest.param(["ResourceId", "SkuMeter", "RegionId", "SubAccountId", "ServiceName"], {"other"}, id="nothing"),
    ],
)
async def test_drivers_fall_back_to_what_the_export_has(tmp_path: Path, missing: list[str], named: set[str]) -> None:
    spike = times(4, of="i-search", periods=range(DAY, DAY + 1))
    found = await judged(tmp_path, teams("search", "ads"), spike, without=missing)
    (alert,) = found.of(team="search")
    assert_adds_up(alert)
    assert set(alert.drivers[0].labels) == named
    if named == {"other"}:
        assert alert.action.startswith("Its source names no services or resources")


async def test_a_bill_without_quantities_says_neither_price_nor_quantity(tmp_path: Path) -> None:
    spike = times(4, of="i-search", periods=range(DAY, DAY + 1))
    found = await judged(tmp_path, teams("search"), spike, without=["ConsumedQuantity", "ConsumedUnit"])
    (alert,) = found.of(team="search")
    assert_adds_up(alert)
    assert {driver.type for driver in alert.drivers} == {"other"}


@pytest.mark.parametrize("level", [0.0, -40.0], ids=["zero", "negative"])
async def test_a_level_of_zero_or_below_is_explained(tmp_path: Path, level: float) -> None:
    """A team whose credits outweigh, or just meet, what it uses."""
    resources = [
        Resource(name="i-use", cost=100.0, tags={"team": "search"}),
        Resource(name="credit", cost=level - 100.0, tags={"team": "search"}, price=-1.0),
    ]
    found = await judged(tmp_path, resources, times(5, of="i-use", periods=range(DAY, DAY + 1)))
    (alert, *_) = found.of(team="search")
    assert alert.expected == pytest.approx(level, abs=5)
    assert_adds_up(alert)
    assert json.dumps(alert.reason)


def test_types_are_the_promised_ones() -> None:
    from service.core.alerts import DriverType

    wanted: Any = {"price", "quantity", "new", "gone", "retagged", "other"}
    assert {kind.value for kind in DriverType} == wanted


async def test_cost_that_moves_to_a_tag_nobody_knew_raises_nothing(tmp_path: Path) -> None:
    large = Resource(name="i-large", cost=9000.0, tags={"team": "search"})

    def change(period: int, usual: Resource) -> Resource:
        moved = period >= DAY and usual.name == "i-large"
        return replace(usual, tags={"team": "lab"}) if moved else usual

    peers = teams(*(f"t{number}" for number in range(40)), per_team=1)
    found = await judged(tmp_path, [*peers, *teams("search", per_team=1), large], change, days=40)
    assert found.of(team="lab") == []
    assert found.of(team="search") == []
    assert [note.counterparts for note in found.notes] == [("lab",)]
