"""Bills made for tests: FOCUS 1.2 rows of a few teams' resources, quiet but for what a test plants."""

import csv
import gzip
import io
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

COLUMNS = (
    "BilledCost",
    "EffectiveCost",
    "BillingCurrency",
    "ChargeCategory",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "SubAccountId",
    "ServiceName",
    "RegionId",
    "ResourceId",
    "SkuMeter",
    "ConsumedQuantity",
    "ConsumedUnit",
    "Tags",
)
FIRST_DAY = datetime(2024, 6, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """cost: of a usual day or hour."""

    name: str
    cost: float
    tags: Mapping[str, str] = field(default_factory=dict)
    account: str = "1111"
    service: str = "Amazon EC2"
    region: str = "us-east-1"
    meter: str = "BoxUsage:m5.large"
    price: float = 0.1
    currency: str = "USD"


def at(period: int, *, hours: int = 24) -> str:
    return f"{FIRST_DAY + timedelta(hours=hours * period):%Y-%m-%dT%H:%M:%SZ}"


Change = Callable[[int, Resource], Resource | None]
"""(period, resource as usual) -> as it is in that period, None when it is not there."""


def rows(
    resources: Iterable[Resource],
    periods: int,
    *,
    change: Change = lambda _, usual: usual,
    hours: int = 24,
    seed: int = 1,
) -> Iterator[dict[str, str]]:
    """A row per resource and period, with 2 % of noise that is the same in every run."""
    resources = tuple(resources)
    for period in range(periods):
        for usual in resources:
            draw = random.Random(f"{seed} {period} {usual.name}")
            resource = change(period, usual)
            if resource is None:
                continue
            quantity = round(resource.cost / resource.price * (1 + draw.uniform(-0.02, 0.02)), 3)
            cost = f"{quantity * resource.price:.9f}"
            yield {
                "BilledCost": cost,
                "EffectiveCost": cost,
                "BillingCurrency": resource.currency,
                "ChargeCategory": "Usage",
                "ChargePeriodStart": at(period, hours=hours),
                "ChargePeriodEnd": at(period + 1, hours=hours),
                "SubAccountId": resource.account,
                "ServiceName": resource.service,
                "RegionId": resource.region,
                "ResourceId": resource.name,
                "SkuMeter": resource.meter,
                "ConsumedQuantity": f"{quantity:.3f}",
                "ConsumedUnit": "Hrs",
                "Tags": json.dumps(dict(resource.tags)),
            }


def write(path: Path, found: Iterable[Mapping[str, str]], *, without: Iterable[str] = ()) -> Path:
    """CSV, packed when the name ends in .gz."""
    text = io.StringIO()
    left_out = set(without)
    writer = csv.DictWriter(
        text, [column for column in COLUMNS if column not in left_out], extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(found)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def teams(*names: str, cost: float = 100.0, per_team: int = 3) -> list[Resource]:
    return [
        Resource(name=f"i-{name}-{number}", cost=cost / per_team, tags={"team": name, "environment": "prod"})
        for name in names
        for number in range(per_team)
    ]


def times(factor: float, *, of: str, periods: range) -> Change:
    """*of*: a resource's name, or the beginning of several."""

    def change(period: int, usual: Resource) -> Resource:
        felt = period in periods and usual.name.startswith(of)
        return replace(usual, cost=usual.cost * factor) if felt else usual

    return change
