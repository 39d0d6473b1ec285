"""Small bills for tests: rows state only what matters, the rest is an ordinary line."""

import csv
import gzip
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.billing_files import BillingFiles, BillKind
from connectors.charge import Charge, ChargeCategory
from connectors.connector import Delivery, Refused, Unchanged
from connectors.cur import CurReader
from connectors.facts import Fact
from connectors.focus import FocusReader
from connectors.series import SeriesKey
from connectors.split import SplitRules
from connectors.tabular import BadRow, open_table

DATA = Path(__file__).parent.parent / "data"
DEMO_DATA = Path(__file__).parents[2] / "service" / "demo" / "data"
"""Samples that the demo ships as well are kept there only."""

FOCUS_ROW: Mapping[str, str] = {
    "BilledCost": "10",
    "EffectiveCost": "8",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2024-09-01T00:00:00Z",
    "ChargeCategory": "Usage",
    "ChargeClass": "",
    "ChargePeriodStart": "2024-09-18T00:00:00Z",
    "ChargePeriodEnd": "2024-09-19T00:00:00Z",
    "ProviderName": "AWS",
    "ServiceName": "Amazon EC2",
    "ServiceCategory": "Compute",
    "SubAccountId": "111",
    "ResourceId": "i-1",
    "ConsumedQuantity": "2",
    "ConsumedUnit": "Hours",
    "Tags": '{"team": "search"}',
}

CUR_ROW: Mapping[str, str] = {
    "identity/LineItemId": "a1",
    "identity/TimeInterval": "2023-11-02T00:00:00Z/2023-11-03T00:00:00Z",
    "bill/PayerAccountId": "999",
    "bill/BillingPeriodStartDate": "2023-11-01T00:00:00.000Z",
    "lineItem/UsageAccountId": "111",
    "lineItem/LineItemType": "Usage",
    "lineItem/UsageStartDate": "2023-11-02T00:00:00.000Z",
    "lineItem/UsageEndDate": "2023-11-03T00:00:00.000Z",
    "lineItem/ProductCode": "AmazonEC2",
    "lineItem/ResourceId": "i-1",
    "lineItem/UsageAmount": "2",
    "lineItem/CurrencyCode": "USD",
    "lineItem/UnblendedCost": "10",
    "product/ProductName": "Amazon Elastic Compute Cloud",
    "product/regionCode": "us-east-1",
    "pricing/unit": "Hrs",
    "reservation/EffectiveCost": "",
    "reservation/ReservationARN": "",
    "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod": "",
    "reservation/UnusedRecurringFee": "",
    "savingsPlan/SavingsPlanEffectiveCost": "",
    "savingsPlan/TotalCommitmentToDate": "",
    "savingsPlan/UsedCommitment": "",
    "resourceTags/user:team": "search",
}


def focus_row(**changes: str) -> dict[str, str]:
    return {**FOCUS_ROW, **changes}


def cur_row(**changes: str) -> dict[str, str]:
    """Columns by their last word: `cur_row(UnblendedCost="3")`."""
    full = {column.rpartition("/")[2]: column for column in CUR_ROW}
    return {**CUR_ROW, **{full[name]: value for name, value in changes.items()}}


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Every row's columns are those of the first; gzip when the name says so."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    content = buffer.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def tags(**values: object) -> str:
    return json.dumps(values)


def read_rows(path: Path, kind: BillKind = BillKind.FOCUS) -> list[Charge | BadRow | None]:
    with open_table(path) as table:
        reader = FocusReader(table) if kind is BillKind.FOCUS else CurReader(table)
        return list(reader.charges())


def read_charge(path: Path, row: Mapping[str, str], kind: BillKind = BillKind.FOCUS) -> Charge:
    """The charge that one row becomes, written to *path* and read again."""
    [charge] = read_rows(write_csv(path, [row]), kind)
    assert isinstance(charge, Charge), charge
    return charge


def read_bad_row(path: Path, row: Mapping[str, str], kind: BillKind = BillKind.FOCUS) -> BadRow:
    [bad] = read_rows(write_csv(path, [row]), kind)
    assert isinstance(bad, BadRow), bad
    return bad


async def poll(
    path: Path,
    kind: BillKind = BillKind.FOCUS,
    rules: SplitRules | None = None,
    known: Mapping[str, str] | None = None,
) -> list[Delivery | Unchanged | Refused]:
    """What a fresh connector `bills` over *path* says."""
    connector = BillingFiles(name="bills", path=path, kind=kind, rules=rules)
    return [item async for item in connector.deliveries(known or {})]


async def deliver(path: Path, kind: BillKind = BillKind.FOCUS, rules: SplitRules | None = None) -> Delivery:
    """The only delivery under *path*."""
    [delivery] = await poll(path, kind, rules)
    assert isinstance(delivery, Delivery), str(delivery)
    return delivery


def values(facts: Iterable[Fact], dimension: str, metric: str = "effective_cost") -> dict[tuple[str, str], float]:
    """(value, day) -> amount, of the series of one dimension and metric."""
    found = {}
    for fact in facts:
        key = SeriesKey.parse(fact.series)
        if key.dimension == dimension and key.metric == metric:
            found[key.value, fact.charge_period_start[:10]] = fact.value
    return found


def sum_by_metric(facts: Iterable[Fact], dimension: str) -> dict[str, Decimal]:
    """Metric -> sum over all values and buckets of one dimension, from the facts' floats to nano-units."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for fact in facts:
        key = SeriesKey.parse(fact.series)
        if key.dimension == dimension:
            sums[key.metric] += Decimal(repr(fact.value))
    return {metric: round(total, 9) for metric, total in sums.items()}


def make_charge(**changes: Any) -> Charge:
    """8 USD (billed: 10) of EC2 on one day, tagged with a team."""
    ordinary: dict[str, Any] = {
        "billed_cost": Decimal(10),
        "effective_cost": Decimal(8),
        "billing_currency": "USD",
        "charge_category": ChargeCategory.USAGE,
        "charge_period_start": datetime(2024, 9, 18, tzinfo=UTC),
        "charge_period_end": datetime(2024, 9, 19, tzinfo=UTC),
        "service_name": "EC2",
        "sub_account_id": "111",
        "tags": {"Team": "search"},
    }
    return Charge(**ordinary | changes)
