from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from connectors.charge import Charge, ChargeCategory
from connectors.connector import BadReason
from connectors.errors import NotABillError, OtherDatasetError
from connectors.tabular import BadRow
from tests.connectors.bills import DATA, FOCUS_ROW, focus_row, read_bad_row, read_charge, read_rows, write_csv


def test_a_row_becomes_a_charge(tmp_path: Path) -> None:
    charge = read_charge(tmp_path / "bill.csv", focus_row())
    assert charge == Charge(
        billed_cost=Decimal(10),
        effective_cost=Decimal(8),
        billing_currency="USD",
        charge_category=ChargeCategory.USAGE,
        charge_period_start=datetime(2024, 9, 18, tzinfo=UTC),
        charge_period_end=datetime(2024, 9, 19, tzinfo=UTC),
        provider_name="AWS",
        service_name="Amazon EC2",
        service_category="Compute",
        sub_account_id="111",
        resource_id="i-1",
        consumed_quantity=Decimal(2),
        consumed_unit="Hours",
        tags={"team": "search"},
    )


@pytest.mark.parametrize("spell", [str.lower, str.upper, lambda name: f" {name} "], ids=["lower", "upper", "spaces"])
def test_column_names_may_be_in_any_case(tmp_path: Path, spell: object) -> None:
    assert callable(spell)
    row = {spell(column): value for column, value in FOCUS_ROW.items()}
    assert read_charge(tmp_path / "bill.csv", row) == read_charge(tmp_path / "plain.csv", FOCUS_ROW)


def test_column_names_may_be_snake_case_or_words(tmp_path: Path) -> None:
    def respelled(separator: str) -> dict[str, str]:
        names = {
            column: "".join(
                f"{separator}{letter}" if letter.isupper() and at else letter for at, letter in enumerate(column)
            )
            for column in FOCUS_ROW
        }
        return {names[column]: value for column, value in FOCUS_ROW.items()}

    plain = read_charge(tmp_path / "plain.csv", FOCUS_ROW)
    assert read_charge(tmp_path / "snake.csv", respelled("_")) == plain
    assert read_charge(tmp_path / "words.csv", respelled(" ")) == plain


@pytest.mark.parametrize("null", ["", "NULL", "null"])
def test_nulls_of_every_spelling_are_none(tmp_path: Path, null: str) -> None:
    nullable = (
        "ChargeClass",
        "ResourceId",
        "ConsumedQuantity",
        "ConsumedUnit",
        "SubAccountId",
        "Tags",
        "BillingPeriodStart",
    )
    charge = read_charge(tmp_path / "bill.csv", focus_row(**dict.fromkeys(nullable, null)))
    assert (charge.charge_class, charge.resource_id, charge.consumed_quantity) == (None, None, None)
    assert (charge.consumed_unit, charge.sub_account_id) == (None, None)
    assert dict(charge.tags) == {}


@pytest.mark.parametrize(
    ("changes", "field", "reason", "message"),
    [
        (
            {"BilledCost": "ten"},
            "BilledCost",
            BadReason.NOT_A_NUMBER,
            "BilledCost: expected a decimal number, got 'ten'",
        ),
        (
            {"EffectiveCost": "NULL"},
            "EffectiveCost",
            BadReason.MISSING,
            "EffectiveCost: expected a decimal number, got 'NULL'",
        ),
        ({"BilledCost": "1e40"}, "BilledCost", BadReason.OUT_OF_RANGE, "expected a number within"),
        ({"BillingCurrency": ""}, "BillingCurrency", BadReason.MISSING, "expected a value"),
        ({"ChargeCategory": "Gift"}, "ChargeCategory", BadReason.UNSUPPORTED, "one of Usage, Purchase, Tax, Credit"),
        ({"ChargePeriodStart": "soon"}, "ChargePeriodStart", BadReason.NOT_A_DATE, "got 'soon'"),
        ({"ChargePeriodEnd": ""}, "ChargePeriodEnd", BadReason.MISSING, "expected a date"),
        ({"ChargePeriodEnd": "2024-09-17"}, "ChargePeriodEnd", BadReason.OUT_OF_RANGE, "not before the start"),
        ({"Tags": "team=a"}, "Tags", BadReason.MALFORMED, "expected a JSON object of tags, got 'team=a'"),
        ({"ConsumedQuantity": "x"}, "ConsumedQuantity", BadReason.NOT_A_NUMBER, "got 'x'"),
    ],
)
def test_a_bad_cell_names_line_field_and_reason(
    tmp_path: Path, changes: dict[str, str], field: str, reason: BadReason, message: str
) -> None:
    bad = read_bad_row(tmp_path / "bill.csv", focus_row(**changes))
    assert (bad.line, bad.field, bad.reason) == (2, field, reason)
    assert message in bad.message
    assert b"Amazon EC2" in bad.raw


def test_a_bad_row_does_not_stop_the_others(tmp_path: Path) -> None:
    rows = [focus_row(), focus_row(BilledCost="?"), focus_row(BilledCost="3")]
    first, bad, third = read_rows(write_csv(tmp_path / "bill.csv", rows))
    assert isinstance(first, Charge)
    assert isinstance(bad, BadRow)
    assert bad.line == 3
    assert isinstance(third, Charge)
    assert third.billed_cost == 3


@pytest.mark.parametrize("category", ["usage", "USAGE", " Usage "])
def test_categories_may_be_in_any_case(tmp_path: Path, category: str) -> None:
    charge = read_charge(tmp_path / "bill.csv", focus_row(ChargeCategory=category))
    assert charge.charge_category is ChargeCategory.USAGE


def test_azure_resources_are_one_whatever_their_case(tmp_path: Path) -> None:
    charge = read_charge(tmp_path / "bill.csv", focus_row(ProviderName="Microsoft", ResourceId="/Subscriptions/A/VM1"))
    assert charge.resource_id == "/subscriptions/a/vm1"
    charge = read_charge(tmp_path / "bill.csv", focus_row(ProviderName="AWS", ResourceId="arn:aws:s3:::Bucket"))
    assert charge.resource_id == "arn:aws:s3:::Bucket"


def test_a_missing_service_falls_to_its_category_then_its_provider(tmp_path: Path) -> None:
    assert read_charge(tmp_path / "a.csv", focus_row(ServiceName="")).service_name == "Compute"
    assert read_charge(tmp_path / "b.csv", focus_row(ServiceName="", ServiceCategory="NULL")).service_name == "AWS"


def test_service_provider_of_1_3_stands_before_provider(tmp_path: Path) -> None:
    charge = read_charge(tmp_path / "bill.csv", {**FOCUS_ROW, "ServiceProviderName": "Databricks", "x_Secret": "y"})
    assert charge.provider_name == "Databricks"


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    row = {column: value for column, value in FOCUS_ROW.items() if column not in ("BillingCurrency", "EffectiveCost")}
    with pytest.raises(
        NotABillError, match=r"bill\.csv: expected the FOCUS columns BilledCost, .*, found no EffectiveCost, Bil"
    ):
        read_rows(write_csv(tmp_path / "bill.csv", [row]))


def test_a_fragment_of_the_specification_is_no_bill() -> None:
    with pytest.raises(NotABillError, match="found no BillingCurrency"):
        read_rows(DATA / "focus" / "spec_1_2_commitment_discount_purchase_scenario_3.csv")


def test_contract_commitments_are_another_dataset() -> None:
    with pytest.raises(OtherDatasetError, match="FOCUS contract commitments, which are no charges"):
        read_rows(DATA / "focus" / "synthetic_1_3_aws_contract_commitment.csv.gz")


def test_a_parquet_file_gives_the_same_charges_as_its_csv(tmp_path: Path) -> None:
    rows = [focus_row(), focus_row(BilledCost="-0.5", Tags="", ResourceId="", ConsumedQuantity="")]
    plain = read_rows(write_csv(tmp_path / "bill.csv", rows))
    start, end = datetime(2024, 9, 18, tzinfo=UTC), datetime(2024, 9, 19, tzinfo=UTC)
    columns = {column: pyarrow.array([row[column] or None for row in rows]) for column in FOCUS_ROW}
    columns |= {
        "BilledCost": pyarrow.array([10.0, -0.5]),
        "EffectiveCost": pyarrow.array([Decimal("8.00"), Decimal("8.00")]),
        "ConsumedQuantity": pyarrow.array([2.0, None]),
        "ChargePeriodStart": pyarrow.array([start, start], pyarrow.timestamp("ns", "UTC")),
        "ChargePeriodEnd": pyarrow.array([end.replace(tzinfo=None)] * 2, pyarrow.timestamp("ms")),
        "Tags": pyarrow.array([[("team", "search")], None], pyarrow.map_(pyarrow.string(), pyarrow.string())),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "bill.parquet")
    assert read_rows(tmp_path / "bill.parquet") == plain


def test_a_nan_in_a_parquet_file_is_a_bad_row(tmp_path: Path) -> None:
    columns = {column: [value] for column, value in FOCUS_ROW.items() if column != "BilledCost"}
    pyarrow.parquet.write_table(pyarrow.table({**columns, "BilledCost": [float("nan")]}), tmp_path / "bill.parquet")
    [bad] = read_rows(tmp_path / "bill.parquet")
    assert isinstance(bad, BadRow)
    assert bad.message == "BilledCost: expected a decimal number, got nan (float)"
    assert (bad.line, bad.reason) == (2, BadReason.NOT_A_NUMBER)
    assert b'"ServiceName":"Amazon EC2"' in bad.raw
