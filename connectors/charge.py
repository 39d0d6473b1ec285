"""One normalised line of a bill: what FOCUS and CUR readers produce and the split consumes.

Names and meanings are those of the FOCUS 1.2 cost and usage columns, in snake case
(https://focus.finops.org/focus-specification/v1-2/).
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct


class ChargeCategory(StrEnum):
    """`ChargeCategory`: the closed set of FOCUS 1.0 to 1.3."""

    USAGE = "Usage"
    PURCHASE = "Purchase"
    TAX = "Tax"
    CREDIT = "Credit"
    ADJUSTMENT = "Adjustment"


class Charge(Struct, frozen=True, kw_only=True, gc=False):
    """One charge. None stands for a null of the source, whatever spelling it used.

    billed_cost, effective_cost: in `billing_currency`; negative for corrections, refunds and credits.
    charge_period_start, charge_period_end: aware, UTC, the end exclusive.
    charge_class: `Correction` for a change to a period that had been invoiced, else None.
    sku_meter: what is metered; CUR's `lineItem/UsageType`.
    provider_name: FOCUS 1.3's `ServiceProviderName` where it is given.
    tags: keys as delivered but for the provider's prefix; no nulls and no empty values (see tags.py).
    """

    billed_cost: Decimal
    effective_cost: Decimal
    billing_currency: str
    charge_category: ChargeCategory
    charge_period_start: datetime
    charge_period_end: datetime
    charge_class: str | None = None
    charge_description: str | None = None
    billing_account_id: str | None = None
    sub_account_id: str | None = None
    sub_account_name: str | None = None
    provider_name: str | None = None
    service_name: str | None = None
    service_category: str | None = None
    region_id: str | None = None
    resource_id: str | None = None
    resource_name: str | None = None
    resource_type: str | None = None
    sku_id: str | None = None
    sku_meter: str | None = None
    consumed_quantity: Decimal | None = None
    consumed_unit: str | None = None
    pricing_quantity: Decimal | None = None
    pricing_unit: str | None = None
    commitment_discount_status: str | None = None
    tags: Mapping[str, str] = {}


TEXT_COLUMNS: frozenset[str] = frozenset(
    {
        "billing_account_id",
        "charge_category",
        "charge_class",
        "charge_description",
        "commitment_discount_status",
        "consumed_unit",
        "pricing_unit",
        "provider_name",
        "region_id",
        "resource_id",
        "resource_name",
        "resource_type",
        "service_category",
        "service_name",
        "sku_id",
        "sku_meter",
        "sub_account_id",
        "sub_account_name",
    }
)
"""The columns that can serve as a dimension or name a driver."""
