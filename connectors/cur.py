"""AWS Cost and Usage Reports as charges: legacy CSV (`lineItem/UsageType`), its Parquet form, and CUR 2.0.

`identity/LineItemId` is never looked at: it is unique within one file of one delivery only, and not stable between
deliveries. The period of a charge is UsageStartDate to UsageEndDate, not TimeInterval, which shows one day for the
taxes of a month.

Which line item type becomes which charge, and what it costs (AWS's own rules for amortised cost; FOCUS's categories):

    LineItemType               category    billed_cost   effective_cost
    Usage                      Usage       unblended     unblended
    SavingsPlanCoveredUsage    Usage       0             savingsPlan/SavingsPlanEffectiveCost
    DiscountedUsage            Usage       unblended     reservation/EffectiveCost
    *Discount                  Usage       unblended     unblended       (negative; FOCUS nets discounts into usage)
    SavingsPlanNegation        dropped: it only takes back what SavingsPlanCoveredUsage shows as unblended cost
    SavingsPlanUpfrontFee      Purchase    unblended     0
    SavingsPlanRecurringFee    Purchase    unblended     unused: TotalCommitmentToDate - UsedCommitment
    RIFee                      Purchase    unblended     unused: UnusedAmortizedUpfrontFee... + UnusedRecurringFee
    Fee                        Purchase    unblended     unblended, 0 for the upfront fee of a reservation
    Tax                        Tax         unblended     unblended
    Credit                     Credit      unblended     unblended
    Refund                     Adjustment  unblended     unblended
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from connectors.cells import (
    EXACT,
    CellError,
    Memo,
    amount,
    currency,
    instant,
    number,
    quantity,
    required_text,
    text,
)
from connectors.charge import Charge, ChargeCategory
from connectors.connector import BadReason
from connectors.errors import NotABillError
from connectors.reader import FieldError, read_charges
from connectors.tabular import BadRow, Table, fold_column, index_columns
from connectors.tags import clean_tags, parse_tags

REQUIRED = (
    "lineItem/LineItemType",
    "lineItem/UsageStartDate",
    "lineItem/UsageEndDate",
    "lineItem/CurrencyCode",
    "lineItem/UnblendedCost",
)
OPTIONAL = (
    "savingsPlan/SavingsPlanEffectiveCost",
    "reservation/EffectiveCost",
    "savingsPlan/TotalCommitmentToDate",
    "savingsPlan/UsedCommitment",
    "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod",
    "reservation/UnusedRecurringFee",
    "lineItem/UsageAmount",
    "resource_tags",
    "cost_category",
    "product",
    "reservation/ReservationARN",
    "lineItem/LineItemDescription",
    "bill/PayerAccountId",
    "lineItem/UsageAccountId",
    "line_item_usage_account_name",
    "lineItem/ProductCode",
    "product/ProductName",
    "product/regionCode",
    "product/region",
    "lineItem/ResourceId",
    "product/sku",
    "lineItem/UsageType",
    "pricing/unit",
)
_COLUMNS = REQUIRED + OPTIONAL
_AT = {column: position for position, column in enumerate(_COLUMNS)}
_TYPE, _START, _END, _CURRENCY, _UNBLENDED = range(5)
_USAGE_AMOUNT = _AT["lineItem/UsageAmount"]
_TAG_MAP, _CATEGORY_MAP, _PRODUCT = _AT["resource_tags"], _AT["cost_category"], _AT["product"]
_FIRST_TEXT = _AT["reservation/ReservationARN"]
_END_TEXT = len(_COLUMNS)

_ZERO = Decimal(0)
_TAG_PREFIXES = ("resourcetags", "costcategory")


class _Kind(NamedTuple):
    """What a line item type means. sign, column: terms of the effective cost; () means 0, None the unblended cost."""

    category: ChargeCategory
    effective: tuple[tuple[int, int], ...] | None = None
    is_billed: bool = True
    is_covered: bool = False
    is_fee: bool = False


_KINDS = {
    "usage": _Kind(ChargeCategory.USAGE),
    "savingsplancoveredusage": _Kind(
        ChargeCategory.USAGE, ((1, _AT["savingsPlan/SavingsPlanEffectiveCost"]),), is_billed=False, is_covered=True
    ),
    "discountedusage": _Kind(ChargeCategory.USAGE, ((1, _AT["reservation/EffectiveCost"]),), is_covered=True),
    "savingsplanupfrontfee": _Kind(ChargeCategory.PURCHASE, ()),
    "savingsplanrecurringfee": _Kind(
        ChargeCategory.PURCHASE,
        ((1, _AT["savingsPlan/TotalCommitmentToDate"]), (-1, _AT["savingsPlan/UsedCommitment"])),
    ),
    "rifee": _Kind(
        ChargeCategory.PURCHASE,
        (
            (1, _AT["reservation/UnusedAmortizedUpfrontFeeForBillingPeriod"]),
            (1, _AT["reservation/UnusedRecurringFee"]),
        ),
    ),
    "fee": _Kind(ChargeCategory.PURCHASE, is_fee=True),
    "tax": _Kind(ChargeCategory.TAX),
    "credit": _Kind(ChargeCategory.CREDIT),
    "refund": _Kind(ChargeCategory.ADJUSTMENT),
}
_NEGATION = "savingsplannegation"


class CurReader:
    """Reads one open table. Raises NotABillError when its columns are not those of a CUR."""

    def __init__(self, table: Table) -> None:
        index = index_columns(table, _COLUMNS)
        missing = [column for column in REQUIRED if fold_column(column) not in index]
        if missing:
            begin = ", ".join(table.columns[:6])
            raise NotABillError(
                table.path,
                f"the CUR columns {', '.join(REQUIRED)} (or their snake case)",
                f"no {', '.join(missing)} ({begin}, ...)",
            )
        self._table = table
        # Tags have one column each in legacy reports; in CUR 2.0 they are one map.
        tag_columns = [
            (number, column)
            for number, column in enumerate(table.columns)
            if fold_column(column).startswith(_TAG_PREFIXES) and fold_column(column) not in _TAG_PREFIXES
        ]
        self._tag_keys = tuple(_tag_key(column) for _, column in tag_columns)
        self._wanted = [index.get(fold_column(column)) for column in _COLUMNS] + [number for number, _ in tag_columns]
        self._text = Memo(text)
        self._amount = Memo(amount)
        self._quantity = Memo(quantity)
        self._currency = Memo(currency)
        self._instant = Memo(instant)
        self._kind = Memo(_kind_of)
        self._map = Memo(parse_tags)
        self._tags = Memo(self._tags_of)

    def charges(self) -> Iterator[Charge | BadRow | None]:
        """Every row, in the order of the file; None for SavingsPlanNegation. Raises NotABillError at a break."""
        return read_charges(self._table, self._wanted, self._charge)

    def _charge(self, cells: Sequence[object]) -> Charge | None:
        try:
            field = _COLUMNS[_TYPE]
            kind = self._kind[cells[_TYPE]]
            if kind is None:
                return None
            field = _COLUMNS[_START]
            start = self._instant[cells[_START]]
            field = _COLUMNS[_END]
            end = self._instant[cells[_END]]
            if end < start:
                raise CellError(
                    BadReason.OUT_OF_RANGE, f"an end not before the start {start:%Y-%m-%dT%H:%M:%SZ}", cells[_END]
                )
            field = _COLUMNS[_CURRENCY]
            billing_currency = self._currency[cells[_CURRENCY]]
            field = _COLUMNS[_UNBLENDED]
            unblended = self._amount[cells[_UNBLENDED]]
            field = _COLUMNS[_USAGE_AMOUNT]
            usage = self._quantity[cells[_USAGE_AMOUNT]]
            field = "product"
            product = self._mapping(cells[_PRODUCT])
            field = "resource_tags"
            tags = self._tags_in(cells)
            billed, effective = unblended if kind.is_billed else _ZERO, unblended
            if kind.effective is not None:
                effective = _ZERO
                for sign, position in kind.effective:
                    field = _COLUMNS[position]
                    # A covered line without its own cost cannot be guessed; a fee without unused part has none.
                    part = amount(cells[position]) if kind.is_covered else number(cells[position]) or _ZERO
                    effective = EXACT.add(effective, part if sign > 0 else part.copy_negate())
        except CellError as error:
            raise FieldError(field, error) from None
        names = self._text
        (
            reservation,
            description,
            payer,
            account,
            account_name,
            product_code,
            product_name,
            region_code,
            region,
            resource,
            sku,
            usage_type,
            unit,
        ) = [names[cell] for cell in cells[_FIRST_TEXT:_END_TEXT]]
        if kind.is_fee and reservation is not None:
            effective = _ZERO
        return Charge(
            billed_cost=billed,
            effective_cost=effective,
            billing_currency=billing_currency,
            charge_category=kind.category,
            charge_period_start=start,
            charge_period_end=end,
            charge_description=description,
            billing_account_id=payer,
            sub_account_id=account,
            sub_account_name=account_name,
            provider_name="AWS",
            service_name=product_name or product.get("product_name") or product_code or "AWS",
            region_id=region_code or region,
            resource_id=resource,
            sku_id=sku,
            sku_meter=usage_type,
            consumed_quantity=usage,
            consumed_unit=unit,
            commitment_discount_status="Used" if kind.is_covered else None,
            tags=tags,
        )

    def _mapping(self, cell: object) -> Mapping[str, str]:
        return self._map[cell] if isinstance(cell, str) else parse_tags(cell)

    def _tags_in(self, cells: Sequence[object]) -> Mapping[str, str]:
        raw = (cells[_TAG_MAP], cells[_CATEGORY_MAP], *cells[_END_TEXT : _END_TEXT + len(self._tag_keys)])
        try:
            return self._tags[raw]
        except TypeError:  # Parquet's maps are lists, which cannot be remembered
            return self._tags_of(raw)

    def _tags_of(self, raw: tuple[object, ...]) -> Mapping[str, str]:
        tags, categories, *values = raw
        pairs = {f"costCategory/{key}": value for key, value in self._mapping(categories).items()}
        pairs |= {_tag_key(key): value for key, value in self._mapping(tags).items()}
        pairs |= clean_tags(zip(self._tag_keys, values, strict=True))
        return pairs


def _kind_of(cell: object) -> _Kind | None:
    """None for what is dropped. Raises CellError for a type that AWS did not document when this was written."""
    found = required_text(cell).casefold()
    if found == _NEGATION:
        return None
    kind = _KINDS["usage"] if found.endswith("discount") else _KINDS.get(found)
    if kind is None:
        raise CellError(BadReason.UNSUPPORTED, "a line item type that says what the line costs", cell)
    return kind


def _tag_key(column: str) -> str:
    """`resourceTags/user:Team`, `resource_tags_user_team`, `user_team` -> what the user calls it; `aws:` stays."""
    for prefix in ("resourceTags/", "resource_tags_"):
        column = column.removeprefix(prefix)
    for prefix in ("user:", "user_"):
        if column.startswith(prefix):
            return column.removeprefix(prefix)
    return column
