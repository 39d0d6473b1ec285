"""FOCUS cost and usage files, versions 1.0 to 1.3, as charges.

Tolerant where providers and the public samples differ from the specification: any case and punctuation of column
names, every usual spelling of null, dates without zone, unknown and `x_` columns. Strict where a guess would be
money: each cost, category, currency and period must be there and readable, or the row is a BadRow.
Source: FOCUS 1.0 to 1.2 `specification/columns/*.md`; 1.3 as focus-data-toolkit writes it.
"""

from collections.abc import Iterator, Sequence

from connectors.cells import CellError, Memo, amount, currency, instant, quantity, required_text, text
from connectors.charge import Charge, ChargeCategory
from connectors.connector import BadReason
from connectors.errors import NotABillError, OtherDatasetError
from connectors.reader import FieldError, read_charges
from connectors.tabular import BadRow, Table, fold_column, index_columns
from connectors.tags import parse_tags

REQUIRED = (
    "BilledCost",
    "EffectiveCost",
    "BillingCurrency",
    "ChargeCategory",
    "ChargePeriodStart",
    "ChargePeriodEnd",
)
"""Without these there is no charge; the other mandatory columns of FOCUS may be missing."""
OPTIONAL = (
    "Tags",
    "ConsumedQuantity",
    "PricingQuantity",
    "ChargeClass",
    "ChargeDescription",
    "BillingAccountId",
    "SubAccountId",
    "SubAccountName",
    "ServiceProviderName",
    "ProviderName",
    "ServiceName",
    "ServiceCategory",
    "RegionId",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "SkuId",
    "SkuMeter",
    "ConsumedUnit",
    "PricingUnit",
    "CommitmentDiscountStatus",
)
_FIRST_TEXT = len(REQUIRED) + OPTIONAL.index("ChargeClass")
_END_TEXT = len(REQUIRED) + len(OPTIONAL)  # what follows is padding of the table


class FocusReader:
    """Reads one open table. Raises NotABillError when its columns are not those of FOCUS."""

    def __init__(self, table: Table) -> None:
        index = index_columns(table, REQUIRED + OPTIONAL)
        missing = [column for column in REQUIRED if fold_column(column) not in index]
        if missing and fold_column("ContractCommitmentId") in index:
            raise OtherDatasetError(
                table.path, "FOCUS cost and usage", "FOCUS contract commitments, which are no charges"
            )
        if missing:
            begin = ", ".join(table.columns[:6])
            raise NotABillError(
                table.path, f"the FOCUS columns {', '.join(REQUIRED)}", f"no {', '.join(missing)} ({begin}, ...)"
            )
        self._table = table
        self._wanted = [index.get(fold_column(column)) for column in REQUIRED + OPTIONAL]
        self._text = Memo(text)
        self._amount = Memo(amount)
        self._quantity = Memo(quantity)
        self._currency = Memo(currency)
        self._instant = Memo(instant)
        self._category = Memo(_category)
        self._tags = Memo(parse_tags)
        self._is_azure = Memo(_is_azure)

    def charges(self) -> Iterator[Charge | BadRow | None]:
        """Every row, in the order of the file. Raises NotABillError when the file breaks off."""
        return read_charges(self._table, self._wanted, self._charge)

    def _charge(self, cells: Sequence[object]) -> Charge:
        # Written out and not driven by a table: this runs a million times for a large bill.
        try:
            field = "BilledCost"
            billed_cost = self._amount[cells[0]]
            field = "EffectiveCost"
            effective_cost = self._amount[cells[1]]
            field = "BillingCurrency"
            billing_currency = self._currency[cells[2]]
            field = "ChargeCategory"
            category = self._category[cells[3]]
            field = "ChargePeriodStart"
            start = self._instant[cells[4]]
            field = "ChargePeriodEnd"
            end = self._instant[cells[5]]
            if end < start:
                raise CellError(
                    BadReason.OUT_OF_RANGE, f"an end not before the start {start:%Y-%m-%dT%H:%M:%SZ}", cells[5]
                )
            field = "Tags"
            tags = self._tags[cells[6]] if isinstance(cells[6], str) else parse_tags(cells[6])
            field = "ConsumedQuantity"
            consumed = self._quantity[cells[7]]
            field = "PricingQuantity"
            priced = self._quantity[cells[8]]
        except CellError as error:
            raise FieldError(field, error) from None
        names = self._text
        (
            charge_class,
            description,
            billing_account,
            sub_account,
            sub_account_name,
            service_provider,
            provider,
            service,
            service_category,
            region,
            resource,
            resource_name,
            resource_type,
            sku,
            meter,
            consumed_unit,
            pricing_unit,
            commitment,
        ) = [names[cell] for cell in cells[_FIRST_TEXT:_END_TEXT]]
        provider = service_provider or provider
        if resource is not None and provider is not None and self._is_azure[provider]:
            # Azure lower-cases some of them and not others; the same resource must stay one.
            resource = resource.lower()
        return Charge(
            billed_cost=billed_cost,
            effective_cost=effective_cost,
            billing_currency=billing_currency,
            charge_category=category,
            charge_period_start=start,
            charge_period_end=end,
            charge_class=charge_class,
            charge_description=description,
            billing_account_id=billing_account,
            sub_account_id=sub_account,
            sub_account_name=sub_account_name,
            provider_name=provider,
            # Azure leaves ServiceName empty for marketplace and reservation rows, which then fall to something coarser.
            service_name=service or service_category or provider,
            service_category=service_category,
            region_id=region,
            resource_id=resource,
            resource_name=resource_name,
            resource_type=resource_type,
            sku_id=sku,
            sku_meter=meter,
            consumed_quantity=consumed,
            consumed_unit=consumed_unit,
            pricing_quantity=priced,
            pricing_unit=pricing_unit,
            commitment_discount_status=commitment,
            tags=tags,
        )


def _category(cell: object) -> ChargeCategory:
    """Any case: some exports write "usage"."""
    found = required_text(cell)
    try:
        return ChargeCategory(found.capitalize())
    except ValueError:
        raise CellError(BadReason.UNSUPPORTED, f"one of {', '.join(ChargeCategory)}", cell) from None


def _is_azure(provider: str) -> bool:
    folded = provider.casefold()
    return "microsoft" in folded or "azure" in folded
