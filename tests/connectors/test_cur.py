from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from connectors.billing_files import BillKind
from connectors.charge import Charge, ChargeCategory
from connectors.connector import BadReason
from connectors.errors import NotABillError
from tests.connectors.bills import CUR_ROW, cur_row, focus_row, read_bad_row, read_charge, read_rows, tags, write_csv

CUR = BillKind.CUR


def snake(column: str) -> str:
    """`lineItem/UsageAmount` -> `line_item_usage_amount`, as AWS names it in Parquet and CUR 2.0."""
    text = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in column.replace("/", ""))
    return text.replace("_a_r_n", "_arn")


def cur2_row(**extra: str) -> dict[str, str]:
    legacy = {column: value for column, value in CUR_ROW.items() if not column.startswith(("resourceTags", "product/"))}
    return {**{snake(column): value for column, value in legacy.items()}, **extra}


def test_a_legacy_line_becomes_a_charge(tmp_path: Path) -> None:
    charge = read_charge(tmp_path / "cur.csv", cur_row(), CUR)
    assert charge == Charge(
        billed_cost=Decimal(10),
        effective_cost=Decimal(10),
        billing_currency="USD",
        charge_category=ChargeCategory.USAGE,
        charge_period_start=datetime(2023, 11, 2, tzinfo=UTC),
        charge_period_end=datetime(2023, 11, 3, tzinfo=UTC),
        billing_account_id="999",
        sub_account_id="111",
        provider_name="AWS",
        service_name="Amazon Elastic Compute Cloud",
        region_id="us-east-1",
        resource_id="i-1",
        consumed_quantity=Decimal(2),
        consumed_unit="Hrs",
        tags={"team": "search"},
    )


@pytest.mark.parametrize(
    ("changes", "category", "billed", "effective"),
    [
        ({"LineItemType": "Usage"}, "Usage", 10, 10),
        ({"LineItemType": "SavingsPlanCoveredUsage", "SavingsPlanEffectiveCost": "7"}, "Usage", 0, 7),
        ({"LineItemType": "DiscountedUsage", "UnblendedCost": "0", "EffectiveCost": "6"}, "Usage", 0, 6),
        ({"LineItemType": "EdpDiscount", "UnblendedCost": "-1"}, "Usage", -1, -1),
        ({"LineItemType": "BundledDiscount", "UnblendedCost": "-2"}, "Usage", -2, -2),
        ({"LineItemType": "SavingsPlanUpfrontFee"}, "Purchase", 10, 0),
        (
            {"LineItemType": "SavingsPlanRecurringFee", "TotalCommitmentToDate": "10", "UsedCommitment": "7.5"},
            "Purchase",
            10,
            "2.5",
        ),
        ({"LineItemType": "SavingsPlanRecurringFee"}, "Purchase", 10, 0),
        (
            {"LineItemType": "RIFee", "UnusedAmortizedUpfrontFeeForBillingPeriod": "1", "UnusedRecurringFee": "2"},
            "Purchase",
            10,
            3,
        ),
        ({"LineItemType": "Fee"}, "Purchase", 10, 10),
        ({"LineItemType": "Fee", "ReservationARN": "arn:aws:ec2:::reserved/1"}, "Purchase", 10, 0),
        ({"LineItemType": "Tax"}, "Tax", 10, 10),
        ({"LineItemType": "Credit", "UnblendedCost": "-3"}, "Credit", -3, -3),
        ({"LineItemType": "Refund", "UnblendedCost": "-4"}, "Adjustment", -4, -4),
    ],
)
def test_costs_follow_the_line_item_type(
    tmp_path: Path, changes: dict[str, str], category: str, billed: int, effective: object
) -> None:
    charge = read_charge(tmp_path / "cur.csv", cur_row(**changes), CUR)
    assert charge.charge_category == category
    assert (charge.billed_cost, charge.effective_cost) == (Decimal(billed), Decimal(str(effective)))


def test_what_a_savings_plan_takes_back_is_dropped_but_counted(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "cur.csv", [cur_row(LineItemType="SavingsPlanNegation", UnblendedCost="-10"), cur_row()]
    )
    dropped, charge = read_rows(path, CUR)
    assert dropped is None
    assert isinstance(charge, Charge)


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"LineItemType": "Lottery"}, "lineItem/LineItemType", BadReason.UNSUPPORTED),
        ({"LineItemType": ""}, "lineItem/LineItemType", BadReason.MISSING),
        ({"UnblendedCost": "much"}, "lineItem/UnblendedCost", BadReason.NOT_A_NUMBER),
        ({"LineItemType": "SavingsPlanCoveredUsage"}, "savingsPlan/SavingsPlanEffectiveCost", BadReason.MISSING),
        ({"LineItemType": "DiscountedUsage"}, "reservation/EffectiveCost", BadReason.MISSING),
        ({"UsageStartDate": "n/a"}, "lineItem/UsageStartDate", BadReason.NOT_A_DATE),
        ({"UsageEndDate": "2023-11-01"}, "lineItem/UsageEndDate", BadReason.OUT_OF_RANGE),
        ({"CurrencyCode": ""}, "lineItem/CurrencyCode", BadReason.MISSING),
    ],
)
def test_a_bad_line_names_its_field(tmp_path: Path, changes: dict[str, str], field: str, reason: BadReason) -> None:
    bad = read_bad_row(tmp_path / "cur.csv", cur_row(**changes), CUR)
    assert (bad.line, bad.field, bad.reason) == (2, field, reason)
    assert bad.message.startswith(f"{field}: expected ")


@pytest.mark.parametrize(
    ("column", "key"),
    [
        ("resourceTags/user:Cost Center", "Cost Center"),
        ("resourceTags/aws:createdBy", "aws:createdBy"),
        ("resource_tags_user_cost_center", "cost_center"),
        ("costCategory/Team", "costCategory/Team"),
    ],
)
def test_every_tag_column_becomes_a_tag(tmp_path: Path, column: str, key: str) -> None:
    charge = read_charge(tmp_path / "cur.csv", {**CUR_ROW, column: "x"}, CUR)
    assert dict(charge.tags) == {"team": "search", key: "x"}
    charge = read_charge(tmp_path / "cur.csv", {**CUR_ROW, column: ""}, CUR)
    assert dict(charge.tags) == {"team": "search"}


def test_tag_columns_may_differ_in_case_only(tmp_path: Path) -> None:
    charge = read_charge(tmp_path / "cur.csv", {**CUR_ROW, "resourceTags/user:Team": "ads"}, CUR)
    assert dict(charge.tags) == {"team": "search", "Team": "ads"}


def test_maps_of_cur_2_are_read_from_csv(tmp_path: Path) -> None:
    row = cur2_row(
        resource_tags=tags(user_team="search", aws_created_by="root"),
        cost_category=tags(Team="platform"),
        product=tags(product_name="Amazon Elastic Compute Cloud"),
        product_region_code="us-east-1",
    )
    charge = read_charge(tmp_path / "cur.csv", row, CUR)
    assert dict(charge.tags) == {"team": "search", "aws_created_by": "root", "costCategory/Team": "platform"}
    assert (charge.service_name, charge.region_id) == ("Amazon Elastic Compute Cloud", "us-east-1")
    assert charge.effective_cost == 10


def test_maps_of_cur_2_are_read_from_parquet(tmp_path: Path) -> None:
    text_map = pyarrow.map_(pyarrow.string(), pyarrow.string())
    columns: Mapping[str, object] = {
        **{column: [value or None] for column, value in cur2_row().items()},
        "line_item_unblended_cost": [10.0],
        "line_item_usage_amount": [2.0],
        "line_item_usage_start_date": pyarrow.array([datetime(2023, 11, 2)], pyarrow.timestamp("ns")),  # noqa: DTZ001  # as AWS writes it
        "resource_tags": pyarrow.array([[("user_team", "search")]], text_map),
        "product": pyarrow.array([[("product_name", "Amazon Elastic Compute Cloud")]], text_map),
        "product_region_code": ["us-east-1"],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "cur.parquet")
    [charge] = read_rows(tmp_path / "cur.parquet", CUR)
    assert charge == read_charge(tmp_path / "cur.csv", cur_row(), CUR)


def test_a_focus_file_is_no_cur(tmp_path: Path) -> None:
    with pytest.raises(
        NotABillError, match=r"bill\.csv: expected the CUR columns lineItem/LineItemType, .*\(BilledCost, "
    ):
        read_rows(write_csv(tmp_path / "bill.csv", [focus_row()]), CUR)
