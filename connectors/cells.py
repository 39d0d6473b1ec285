"""One cell of a bill -> text, amount or instant.

Takes what CSV files hold (text) and what Parquet files hold (numbers, datetimes), and raises CellError, which says
what was expected; the reader adds which column it was.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import TypeVar

from connectors.connector import BadReason
from connectors.facts import MAX_ABS_VALUE
from connectors.instants import EARLIEST, LATEST, YEARS

K = TypeVar("K")
V = TypeVar("V")

NULLS = frozenset({"", "NULL", "Null", "null", "None"})
"""Spellings of null met in real files, although FOCUS allows the empty cell only; the 1.0 sample writes NULL."""

EXACT = Context(prec=96, traps=[InvalidOperation, Inexact])
"""Sums in this context are exact or raise: amounts have at most 13 digits before and DECIMALS after the point."""
DECIMALS = 40
_SMALLEST = Decimal(1).scaleb(-DECIMALS)
_ROUNDING = Context(prec=96)
MAX_AMOUNT = Decimal(int(MAX_ABS_VALUE))
MAX_QUANTITY = Decimal(10) ** 30

_CURRENCY = re.compile(r"[A-Za-z0-9_.:\-]{1,64}")  # what a series' unit may be
_GROUPED = re.compile(r"-?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)\.[0-9]+")
_MONTH_FIRST = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})")


class CellError(ValueError):
    """A cell that does not hold what its column must. found: a short form of the cell."""

    def __init__(self, reason: BadReason, expected: str, cell: object) -> None:
        self.found = describe(cell)
        super().__init__(f"expected {expected}, got {self.found}")
        self.reason = reason
        self.expected = expected


class Memo(dict[K, V]):
    """Remembers the result for each cell; bills repeat their dates, tags and names a thousand times.

    A dict with __missing__ costs 40 ns on a hit, lru_cache twice that. It starts afresh when it is full, so that a
    column of unique values costs memory for *limit* of them only.
    """

    def __init__(self, compute: Callable[[K], V], limit: int = 50_000) -> None:
        super().__init__()
        self._compute = compute
        self._limit = limit

    def __missing__(self, key: K) -> V:
        value = self._compute(key)
        if len(self) >= self._limit:
            self.clear()
        self[key] = value
        return value


def describe(cell: object) -> str:
    """The cell for an error message: at most 80 characters, with its type where that is not text."""
    shown = repr(cell)
    if len(shown) > 80:
        shown = shown[:77] + "..."
    return shown if isinstance(cell, str) or cell is None else f"{shown} ({type(cell).__name__})"


def text(cell: object) -> str | None:
    """The cell without surrounding spaces; None for every spelling of null."""
    if cell is None:
        return None
    stripped = (cell if isinstance(cell, str) else str(cell)).strip()
    return None if stripped in NULLS else stripped


def required_text(cell: object) -> str:
    found = text(cell)
    if found is None:
        raise CellError(BadReason.MISSING, "a value", cell)
    return found


def currency(cell: object) -> str:
    """An ISO 4217 code in capitals, or the name of a virtual currency as FOCUS 1.2 allows; at most 64 characters."""
    found = required_text(cell)
    if not _CURRENCY.fullmatch(found):
        raise CellError(BadReason.MALFORMED, "a currency code such as USD", cell)
    return found.upper() if len(found) == 3 else found


def number(cell: object, limit: Decimal = MAX_AMOUNT) -> Decimal | None:
    """A finite decimal within +-limit, E-notation included; None for null.

    Decimals beyond the 40th are rounded away: doubles of Parquet files end there, and sums stay exact.
    `$10,000.00 ` of the specification's examples is understood; `1,234` is not: in half of Europe it is 1.234.
    """
    value = _decimal(cell)
    if value is None:
        return None
    if not value.is_finite():
        raise CellError(BadReason.NOT_A_NUMBER, "a decimal number", cell)
    if not -limit <= value <= limit:
        raise CellError(BadReason.OUT_OF_RANGE, f"a number within +-{limit:.0E}", cell)
    # Only long texts and those with an exponent can have so many decimals, and as_tuple is slow.
    if not isinstance(cell, str) or len(cell) > DECIMALS or "e" in cell or "E" in cell:
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and exponent < -DECIMALS:
            return value.quantize(_SMALLEST, context=_ROUNDING)
    return value


def amount(cell: object) -> Decimal:
    """Like `number`, for columns that must not be null."""
    value = number(cell)
    if value is None:
        raise CellError(BadReason.MISSING, "a decimal number", cell)
    return value


def quantity(cell: object) -> Decimal | None:
    """`number` with a bound that bytes and tokens fit in, quick about empty cells."""
    return None if cell == "" or cell == "NULL" else number(cell, MAX_QUANTITY)


def _decimal(cell: object) -> Decimal | None:
    if isinstance(cell, str):
        # Decimal also takes 1_000 and the digits of every script; no bill writes those on purpose.
        try:
            value = Decimal(cell)
        except InvalidOperation:
            return _dressed(cell)
        if "_" not in cell and cell.isascii():
            return value
    elif cell is None or isinstance(cell, Decimal):
        return cell
    elif isinstance(cell, int | float) and not isinstance(cell, bool):
        return Decimal(repr(cell))
    raise CellError(BadReason.NOT_A_NUMBER, "a decimal number", cell)


def _dressed(cell: str) -> Decimal | None:
    """A number with a currency sign and thousands, or null in its words."""
    found = text(cell)
    if found is None:
        return None
    bare = found.replace("$", "", 1).strip()
    if not _GROUPED.fullmatch(bare):
        raise CellError(BadReason.NOT_A_NUMBER, "a decimal number", cell)
    return Decimal(bare.replace(",", ""))


def instant(cell: object) -> datetime:
    """An aware datetime in UTC. What names no zone is UTC, as FOCUS demands of all its dates.

    ISO 8601 with `T` or a space, with `Z`, ` UTC`, an offset or nothing, or a date alone; also the M/D/YY and M/D/YYYY
    of the specification's examples (month first, always).
    """
    if isinstance(cell, datetime):
        at = cell
    elif isinstance(cell, date):
        at = datetime(cell.year, cell.month, cell.day, tzinfo=UTC)
    else:
        found = text(cell)
        if found is None:
            raise CellError(BadReason.MISSING, "a date", cell)
        at = _parse(found, cell)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    if not EARLIEST <= at < LATEST:
        raise CellError(BadReason.OUT_OF_RANGE, f"a date in {YEARS}", cell)
    return at.astimezone(UTC)


def _parse(found: str, cell: object) -> datetime:
    try:
        if match := _MONTH_FIRST.fullmatch(found):
            month, day, year = (int(part) for part in match.groups())
            return datetime(year + 2000 if year < 100 else year, month, day, tzinfo=UTC)
        return datetime.fromisoformat(found.removesuffix(" UTC"))
    except ValueError:
        raise CellError(BadReason.NOT_A_DATE, "a date such as 2024-09-18T00:00:00Z", cell) from None
