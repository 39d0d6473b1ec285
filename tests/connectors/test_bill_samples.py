"""Real and official samples, checked against sums that are computed here without our readers."""

import csv
import gzip
import io
import json
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from connectors.billing_files import BillKind
from connectors.split import SplitRules
from tests.connectors.bills import DATA, DEMO_DATA, deliver, sum_by_metric, values

FOCUS_1_0 = DEMO_DATA / "focus_1_0_sample.csv.gz"
CUR = DEMO_DATA / "cur_legacy_anonymised_2023-11.csv.gz"


def plain_rows(path: Path) -> list[dict[str, str]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def nano(total: Decimal) -> Decimal:
    return round(total, 9)


async def test_the_focus_1_0_sample_adds_up_to_its_rows() -> None:
    rows = plain_rows(FOCUS_1_0)
    expected: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    by_category: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        tags = {} if row["Tags"] == "NULL" else json.loads(row["Tags"])
        by_category[row["ChargeCategory"]] += Decimal(row["BilledCost"])
        if row["ChargeCategory"] == "Usage":
            team = str(tags.get("business_unit") or "__untagged__")
            expected[team, row["ChargePeriodStart"][:10]] += Decimal(row["BilledCost"])
    delivery = await deliver(FOCUS_1_0, rules=SplitRules(tags=("business_unit",), metric="billed_cost"))
    assert (delivery.rows, delivery.bad) == (1000, ())
    assert delivery.complete_until == "2024-10-01T00:00:00Z"
    found = values(delivery.facts, "tag:business_unit", "billed_cost")
    assert {key: nano(Decimal(repr(value))) for key, value in found.items()} == {
        key: nano(value) for key, value in expected.items()
    }
    for dimension in ("tag:business_unit", "total"):
        sums = sum_by_metric(delivery.facts, dimension)
        assert {
            metric: abs(total - by_category[category]) < Decimal("1e-6")
            for metric, category, total in (
                ("billed_cost", "Usage", sums["billed_cost"]),
                ("billed_cost.adjustment", "Adjustment", sums["billed_cost.adjustment"]),
                ("billed_cost.credit", "Credit", sums["billed_cost.credit"]),
            )
        } == {"billed_cost": True, "billed_cost.adjustment": True, "billed_cost.credit": True}
    assert round(sum(by_category.values()), 2) == Decimal("20.52")


async def test_the_key_with_a_space_in_the_focus_1_0_sample_is_found() -> None:
    delivery = await deliver(
        FOCUS_1_0, rules=SplitRules(tags=("org",), metric="billed_cost", dimensions=(), untagged=False)
    )
    assert len(values(delivery.facts, "tag:org", "billed_cost")) > 0


async def test_the_sample_as_parquet_gives_the_same_facts(tmp_path: Path) -> None:
    rows = plain_rows(FOCUS_1_0)
    columns = {column: [None if row[column] == "NULL" else row[column] for row in rows] for column in rows[0]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "focus_1_0_sample.csv.gz")
    rules = SplitRules(metric="billed_cost")
    parquet, plain = (
        await deliver(tmp_path / "focus_1_0_sample.csv.gz", rules=rules),
        await deliver(FOCUS_1_0, rules=rules),
    )
    assert [(fact.series, fact.value, fact.drivers) for fact in parquet.facts] == [
        (fact.series, fact.value, fact.drivers) for fact in plain.facts
    ]


async def test_the_cur_sample_adds_up_to_its_rows() -> None:
    rows = plain_rows(CUR)
    by_product: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["lineItem/LineItemType"] == "Usage":
            by_product[row["product/ProductName"], row["lineItem/UsageStartDate"][:10]] += Decimal(
                row["lineItem/UnblendedCost"]
            )
    delivery = await deliver(CUR, BillKind.CUR)
    assert (delivery.rows, delivery.bad) == (1281, ())
    assert delivery.complete_until == "2023-11-14T00:00:00Z"
    found = values(delivery.facts, "service_name")
    assert {key: nano(Decimal(repr(value))) for key, value in found.items()} == {
        key: nano(value) for key, value in by_product.items()
    }
    taxes = values(delivery.facts, "service_name", "effective_cost.tax")
    assert len(taxes) == 12
    assert {day for _, day in taxes} == {"2023-11-01"}


async def test_a_bill_that_becomes_final_says_the_same_but_is_another_delivery() -> None:
    before = await deliver(DATA / "cur" / "nise_2023-06_not_final.csv", BillKind.CUR)
    after = await deliver(DATA / "cur" / "nise_2023-06_final.csv", BillKind.CUR)
    assert before.fingerprint != after.fingerprint
    for delivery in (before, after):
        assert values(delivery.facts, "total") == {("", "2023-06-01"): 0.3}
        assert {fact.series.split("/")[2] for fact in delivery.facts} == {"NOK"}


async def test_rows_shorter_than_their_header_are_each_told() -> None:
    delivery = await deliver(DATA / "cur" / "nise_2018-06_short_rows.csv", BillKind.CUR)
    assert (delivery.facts, delivery.rows, len(delivery.bad)) == ((), 19, 19)
    assert delivery.bad[18].message == "expected 131 columns, got 130 at nise_2018-06_short_rows.csv:20"


@pytest.mark.parametrize(
    ("name", "suffix_sums"),
    [
        ("spec_1_2_saas_spend_agreements_b2.csv", {"effective_cost.coarse", "effective_cost.purchase"}),
        ("spec_1_2_simple_saas_agreements_a1.csv", {"effective_cost.purchase"}),
        ("spec_1_2_virtual_currency_pricing_model_a2.csv", {"effective_cost"}),
        ("synthetic_1_2_aws.csv.gz", None),
        ("synthetic_1_2_azure.csv.gz", None),
        ("synthetic_1_3_aws.csv.gz", None),
    ],
)
async def test_no_money_is_lost_on_the_way(name: str, suffix_sums: set[str] | None) -> None:
    path = DATA / "focus" / name
    clean: Callable[[str], Decimal] = lambda text: Decimal(text.strip().strip("$").replace(",", ""))  # noqa: E731
    expected = sum((clean(row["EffectiveCost"]) for row in plain_rows(path)), Decimal(0))
    delivery = await deliver(path, rules=SplitRules(tags=("CostCenter", "owner")))
    assert delivery.bad == ()
    for dimension in ("total", "tag:CostCenter", "tag:owner"):
        sums = sum_by_metric(delivery.facts, dimension)
        if not sums and dimension != "total":
            assert not any(dimension.removeprefix("tag:") in row.get("Tags", "") for row in plain_rows(path))
            continue
        assert abs(sum(sums.values()) - expected) < Decimal("1e-6")
        assert suffix_sums is None or set(sums) == suffix_sums
