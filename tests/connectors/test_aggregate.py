import random
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from connectors.aggregate import Aggregate, Overflow
from connectors.charge import Charge, ChargeCategory
from connectors.facts import Fact, decode_fact, encode
from connectors.series import SeriesKey
from connectors.split import SplitRules, Splitter
from tests.connectors.bills import make_charge, values

TEAM = "default/effective_cost/USD/1d/tag:team=search"


def add_up(charges: Iterable[Charge], **rules: Any) -> list[Fact | Overflow]:
    ordinary: dict[str, Any] = {"tags": ("team",), "dimensions": (), "total": False}
    aggregate = Aggregate(Splitter(SplitRules(**ordinary | rules)))
    for charge in charges:
        aggregate.add(charge)
    return list(aggregate.facts(origin="bills:a.csv", revision=3))


def only(charges: Iterable[Charge], **rules: Any) -> Fact:
    [fact] = add_up(charges, **rules)
    assert isinstance(fact, Fact)
    return fact


def test_the_charges_of_a_bucket_add_up_exactly() -> None:
    fact = only(make_charge(effective_cost=Decimal("0.1")) for _ in range(10))
    assert (fact.series, fact.charge_period_start, fact.value) == (TEAM, "2024-09-18T00:00:00Z", 1.0)
    assert (fact.origin, fact.revision) == ("bills:a.csv", 3)


def test_sums_do_not_lose_small_parts_of_large_bills() -> None:
    costs = ["999999999999", "0.000000001", "-999999999999"]
    assert only(make_charge(effective_cost=Decimal(cost)) for cost in costs).value == 1e-9


def test_credits_may_make_a_sum_negative_and_zero_has_no_sign() -> None:
    assert only([make_charge(effective_cost=Decimal(-3)), make_charge(effective_cost=Decimal(1))]).value == -2.0
    assert str(only([make_charge(effective_cost=Decimal("-0.0"))]).value) == "0.0"


def test_currencies_are_never_added() -> None:
    facts = add_up([make_charge(), make_charge(billing_currency="EUR")])
    assert [SeriesKey.parse(fact.series).unit for fact in facts] == ["EUR", "USD"]


def test_what_no_line_is_tagged_with_is_no_series_of_its_own() -> None:
    charges = [make_charge(), make_charge(tags={})]
    facts = add_up(charges, tags=("team", "project"), total=True)
    assert values((fact for fact in facts if isinstance(fact, Fact)), "tag:project") == {}
    assert [fact.series.rpartition("/")[2] for fact in facts] == ["tag:team=__untagged__", "tag:team=search", "total="]


def test_one_line_with_a_tag_makes_the_others_untagged_in_every_bucket_and_metric() -> None:
    charges = [
        make_charge(tags={"project": "atlas"}),
        make_charge(tags={}, effective_cost=Decimal(3)),
        make_charge(
            tags={},
            charge_category=ChargeCategory.TAX,
            charge_period_start=datetime(2024, 9, 20, tzinfo=UTC),
            charge_period_end=datetime(2024, 9, 21, tzinfo=UTC),
        ),
    ]
    facts = [fact for fact in add_up(charges, tags=("project",)) if isinstance(fact, Fact)]
    assert values(facts, "tag:project") == {("atlas", "2024-09-18"): 8.0, ("__untagged__", "2024-09-18"): 3.0}
    assert values(facts, "tag:project", "effective_cost.tax") == {("__untagged__", "2024-09-20"): 8.0}


def test_whatever_a_bill_holds_its_facts_can_be_decoded() -> None:
    long = "y\n" * 5_000
    charge = make_charge(service_name=long, resource_id=long, tags={"team": long}, consumed_unit=long)
    charge = msgspec.structs.replace(charge, consumed_quantity=Decimal(1))
    fact = only([charge], drivers=("service_name", "resource_id"), top_drivers=20)
    assert fact.drivers[0].unit is not None
    assert decode_fact(encode(fact)) == fact


def test_drivers_are_the_largest_by_absolute_cost() -> None:
    costs = {"i-1": "5", "i-2": "-9", "i-3": "1", "i-4": "0", "i-5": "5"}
    charges = [make_charge(resource_id=name, effective_cost=Decimal(cost)) for name, cost in costs.items()]
    fact = only(charges, top_drivers=3, drivers=("resource_id",))
    assert [(driver.labels["resource_id"], driver.cost) for driver in fact.drivers] == [
        ("i-2", -9),
        ("i-1", 5),
        ("i-5", 5),
    ]
    assert only(charges, top_drivers=0, drivers=("resource_id",)).drivers == ()
    assert len(only(charges, top_drivers=20, drivers=("resource_id",)).drivers) == 4


def test_drivers_that_differ_beyond_a_float_keep_their_order() -> None:
    charges = [
        make_charge(resource_id="i-1", effective_cost=Decimal("1000000000.00000000000000000001")),
        make_charge(resource_id="i-2", effective_cost=Decimal("1000000000.00000000000000000002")),
    ]
    [driver] = only(charges, top_drivers=1, drivers=("resource_id",)).drivers
    assert driver.labels == {"resource_id": "i-2"}


def test_a_driver_that_is_null_in_every_column_is_not_named() -> None:
    charge = make_charge(service_name=None, resource_id=None, sub_account_id=None, region_id=None)
    assert only([charge]).drivers == ()
    [driver] = only([make_charge(service_name="EC2", resource_id=None, sub_account_id=None, region_id=None)]).drivers
    assert driver.labels == {"service_name": "EC2"}


def test_a_driver_adds_up_over_the_groups_that_feed_its_series() -> None:
    charges = [make_charge(resource_id="i-1", tags={"team": team}) for team in ("search", "ads")]
    [total] = [fact for fact in add_up(charges, total=True) if fact.series.endswith("total=")]
    assert isinstance(total, Fact)
    assert [driver.cost for driver in total.drivers] == [16.0]


def test_quantities_are_told_only_in_one_unit() -> None:
    hours = {"consumed_quantity": Decimal(2), "consumed_unit": "Hours"}
    gigabytes = {"consumed_quantity": Decimal(7), "consumed_unit": "GB"}
    [driver] = only([make_charge(**hours), make_charge(**hours)]).drivers
    assert (driver.quantity, driver.unit) == (4.0, "Hours")
    for order in ([hours, gigabytes, hours], [gigabytes, hours, hours]):
        [driver] = only(make_charge(**quantity) for quantity in order).drivers
        assert (driver.quantity, driver.unit) == (None, None)


def test_pricing_quantity_stands_in_for_consumed_quantity() -> None:
    [driver] = only([make_charge(pricing_quantity=Decimal(3), pricing_unit="Requests")]).drivers
    assert (driver.quantity, driver.unit) == (3.0, "Requests")


def test_a_sum_that_no_fact_can_carry_is_an_overflow() -> None:
    [overflow] = add_up(make_charge(effective_cost=Decimal(10**12)) for _ in range(2))
    assert overflow == Overflow(series=TEAM, charge_period_start="2024-09-18T00:00:00Z", value=Decimal(2 * 10**12))


def test_the_order_of_rows_changes_nothing() -> None:
    rng = random.Random(7)
    charges = [
        make_charge(
            effective_cost=Decimal(rng.randrange(-(10**9), 10**9)).scaleb(-7),
            resource_id=f"i-{rng.randrange(9)}",
            tags={"team": f"t{rng.randrange(3)}"},
            consumed_quantity=Decimal(rng.randrange(5)),
            consumed_unit=rng.choice(["Hours", "GB"]),
        )
        for _ in range(300)
    ]
    expected = add_up(charges, total=True)
    for _ in range(5):
        rng.shuffle(charges)
        assert add_up(charges, total=True) == expected


def test_complete_until_is_the_bucket_that_is_still_filling_up() -> None:
    aggregate = Aggregate(Splitter(SplitRules()))
    assert aggregate.complete_until is None
    day = make_charge()
    aggregate.add(day)
    assert aggregate.complete_until == "2024-09-19T00:00:00Z"
    start = day.charge_period_end
    aggregate.add(make_charge(charge_period_start=start, charge_period_end=start.replace(hour=14)))
    assert aggregate.complete_until == "2024-09-19T00:00:00Z"


@given(
    st.lists(
        st.tuples(
            st.decimals(min_value=-(10**6), max_value=10**6, allow_nan=False, places=9),
            st.sampled_from([None, "search", "ads", "ml"]),
            st.sampled_from(["EC2", "S3", None]),
        ),
        max_size=30,
    )
)
def test_every_tag_and_the_total_add_up_to_the_rows(rows: list[tuple[Decimal, str | None, str | None]]) -> None:
    charges = [
        make_charge(effective_cost=cost, tags={} if team is None else {"team": team}, resource_id=service)
        for cost, team, service in rows
    ]
    facts = [fact for fact in add_up(charges, total=True) if isinstance(fact, Fact)]
    expected = sum((cost for cost, _, _ in rows), Decimal(0))
    is_tagged = any(team is not None for _, team, _ in rows)
    assert is_tagged or not values(facts, "tag:team")
    for dimension in ("tag:team", "total") if is_tagged else ("total",):
        found = sum((Decimal(repr(value)) for value in values(facts, dimension).values()), Decimal(0))
        assert abs(found - expected) <= Decimal("1e-8")
    for fact in facts:
        assert sum(driver.cost for driver in fact.drivers) <= abs(fact.value) + sum(
            abs(float(cost)) for cost, _, _ in rows
        )
