from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.charge import TEXT_COLUMNS, Charge, ChargeCategory
from connectors.errors import SplitRulesError
from connectors.series import Grain, SeriesKey
from connectors.split import SplitRules, Splitter
from tests.connectors.bills import make_charge


def keys(charge: Charge, **rules: Any) -> list[str]:
    ordinary: dict[str, Any] = {"tags": ("team",), "dimensions": ("service_name",)}
    splitter = Splitter(SplitRules(**ordinary | rules), "acme")
    labels = splitter.labels(charge, splitter.place(charge).metric)
    return splitter.series(labels, carried=range(len(splitter.rules.tags)))


def test_a_charge_feeds_its_tags_its_dimensions_and_the_total() -> None:
    assert keys(make_charge()) == [
        "acme/effective_cost/USD/1d/tag:team=search",
        "acme/effective_cost/USD/1d/service_name=EC2",
        "acme/effective_cost/USD/1d/total=",
    ]


def test_what_has_no_tag_feeds_the_untagged_series() -> None:
    assert "acme/effective_cost/USD/1d/tag:team=__untagged__" in keys(make_charge(tags={}))
    assert keys(make_charge(tags={}), untagged=False, total=False) == ["acme/effective_cost/USD/1d/service_name=EC2"]


def test_what_has_no_tag_is_nothing_special_where_nobody_uses_the_tag() -> None:
    splitter = Splitter(SplitRules(tags=("team", "project"), dimensions=(), total=False))
    labels = splitter.labels(make_charge(tags={}), "effective_cost")
    assert splitter.series(labels, carried=()) == []
    assert splitter.series(labels, carried={1}) == ["default/effective_cost/USD/1d/tag:project=__untagged__"]


def test_a_dimension_that_is_null_has_no_series() -> None:
    assert keys(make_charge(service_name=None), total=False) == ["acme/effective_cost/USD/1d/tag:team=search"]


def test_nothing_listed_leaves_the_total() -> None:
    assert keys(make_charge(), tags=(), dimensions=()) == ["acme/effective_cost/USD/1d/total="]


@pytest.mark.parametrize(
    ("category", "metric"),
    [
        (ChargeCategory.USAGE, "billed_cost"),
        (ChargeCategory.PURCHASE, "billed_cost.purchase"),
        (ChargeCategory.TAX, "billed_cost.tax"),
        (ChargeCategory.CREDIT, "billed_cost.credit"),
        (ChargeCategory.ADJUSTMENT, "billed_cost.adjustment"),
    ],
)
def test_each_category_has_its_metric(category: ChargeCategory, metric: str) -> None:
    found = keys(make_charge(charge_category=category), metric="billed_cost")
    assert {SeriesKey.parse(key).metric for key in found} == {metric}


@pytest.mark.parametrize(
    ("grain", "start", "end", "metric", "bucket"),
    [
        ("1d", "2024-09-18 00:00", "2024-09-19 00:00", "effective_cost", "2024-09-18 00:00"),
        ("1d", "2024-09-18 22:00", "2024-09-18 23:00", "effective_cost", "2024-09-18 00:00"),
        ("1d", "2024-09-18 22:00", "2024-09-19 02:00", "effective_cost", "2024-09-18 00:00"),
        ("1d", "2024-09-18 22:00", "2024-09-18 22:00", "effective_cost", "2024-09-18 00:00"),
        ("1d", "2024-09-01 00:00", "2024-10-01 00:00", "effective_cost.coarse", "2024-09-01 00:00"),
        ("1d", "2024-09-18 00:00", "2024-09-19 00:01", "effective_cost.coarse", "2024-09-18 00:00"),
        ("1h", "2024-09-18 22:00", "2024-09-18 23:00", "effective_cost", "2024-09-18 22:00"),
        ("1h", "2024-09-18 00:00", "2024-09-19 00:00", "effective_cost.coarse", "2024-09-18 00:00"),
        ("5m", "2024-09-18 22:07", "2024-09-18 22:08", "effective_cost", "2024-09-18 22:05"),
    ],
)
def test_a_charge_counts_in_the_bucket_of_its_start(grain: str, start: str, end: str, metric: str, bucket: str) -> None:
    charge = make_charge(
        charge_period_start=datetime.fromisoformat(f"{start}Z"), charge_period_end=datetime.fromisoformat(f"{end}Z")
    )
    place = Splitter(SplitRules(grain=Grain(grain))).place(charge)
    assert place.metric == metric
    assert datetime.fromtimestamp(place.start, UTC) == datetime.fromisoformat(f"{bucket}Z")
    assert place.end - place.start == Grain(grain).seconds


def test_only_fine_usage_tells_how_far_the_bill_is_complete() -> None:
    splitter = Splitter(SplitRules())
    year = datetime(2025, 9, 18, tzinfo=UTC)
    assert splitter.place(make_charge()).complete_until == datetime(2024, 9, 19, tzinfo=UTC).timestamp()
    assert splitter.place(make_charge(charge_period_end=year)).complete_until == 0
    assert splitter.place(make_charge(charge_category=ChargeCategory.TAX)).complete_until == 0


def test_every_key_can_be_parsed_again() -> None:
    charge = make_charge(tags={"team": "a=b/c \u00e9", "project": "x" * 1000}, service_name="y\n" * 500)
    for key in keys(charge, tags=("team", "project")):
        assert str(SeriesKey.parse(key)) == key


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"dimensions": ("service",)}, r"split\.dimensions: expected one of billing_account_id, .*, got 'service'"),
        ({"drivers": ("billed_cost",)}, r"split\.drivers: expected one of .*, got 'billed_cost'"),
        ({"dimensions": ("service_name", "service_name")}, "each column once"),
        (
            {"drivers": tuple(sorted(TEXT_COLUMNS)[:9])},
            r"split\.drivers: expected at most 8 columns, got 9",
        ),
        ({"top_drivers": 21}, r"split\.top_drivers: expected 0 to 20, got 21"),
        ({"tags": ("team", "Team")}, "'team' is listed twice"),
        ({"tags": ("",)}, "expected a key of 1 to 64 characters without '=', got ''"),
        ({"tags": ("a=b",)}, "got 'a=b'"),
        ({"tags": ("x" * 65,)}, "expected a key of 1 to 64 characters"),
    ],
)
def test_rules_that_cannot_work_are_refused(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(SplitRulesError, match=message):
        Splitter(SplitRules(**rules))


def test_a_tenant_that_no_series_could_carry_is_refused() -> None:
    with pytest.raises(SplitRulesError, match="tenant 'a/b'"):
        Splitter(SplitRules(), "a/b")
