from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from connectors.cells import EXACT, CellError, Memo, amount, currency, instant, number, quantity, text
from connectors.connector import BadReason


@pytest.mark.parametrize("cell", [None, "", "  ", "NULL", "null", "Null", " NULL ", "None"])
def test_every_spelling_of_null_is_null(cell: object) -> None:
    assert text(cell) is None
    assert number(cell) is None
    assert quantity(cell) is None


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0.00000080000", "0.00000080000"),
        (" -12.5 ", "-12.5"),
        ("35.2E-7", "0.00000352"),
        ("1e3", "1000"),
        ("$10,000.00 ", "10000.00"),
        ("$12.50", "12.50"),
        ("-$1,234,567.5", "-1234567.5"),
        (0.1, "0.1"),
        (7, "7"),
        (Decimal("1.10"), "1.10"),
        ("1000000000000", "1000000000000"),
    ],
)
def test_numbers_are_read_exactly(cell: object, value: str) -> None:
    assert amount(cell) == Decimal(value)


@pytest.mark.parametrize(
    "cell",
    ["12,5", "1,234", "1_000", "\u0661\u0662", "ten", "NaN", "Infinity", "-inf", "1 2", "1,23.4", True, b"1", [1]],
)
def test_what_is_no_plain_number_is_refused(cell: object) -> None:
    with pytest.raises(CellError) as caught:
        number(cell)
    assert caught.value.reason is BadReason.NOT_A_NUMBER


@pytest.mark.parametrize("cell", ["1000000000000.01", "-1e13", 1e300, "9" * 60])
def test_amounts_beyond_what_facts_carry_are_out_of_range(cell: object) -> None:
    with pytest.raises(CellError, match=r"expected a number within \+-1E\+12, got") as caught:
        amount(cell)
    assert caught.value.reason is BadReason.OUT_OF_RANGE


def test_a_missing_amount_is_missing() -> None:
    with pytest.raises(CellError, match="expected a decimal number, got 'NULL'") as caught:
        amount("NULL")
    assert caught.value.reason is BadReason.MISSING


@pytest.mark.parametrize("cell", [5e-324, "1e-300", "0." + "1" * 80])
def test_decimals_that_no_sum_could_hold_are_rounded_away(cell: object) -> None:
    assert EXACT.add(amount("1000000000000"), amount(cell)) >= 1_000_000_000_000


@pytest.mark.parametrize(
    "cell",
    [
        "2024-09-18T22:00:00Z",
        "2024-09-18 22:00:00",
        "2024-09-18T22:00:00",
        "2024-09-18T22:00:00.000Z",
        "2024-09-18 22:00:00 UTC",
        "2024-09-19T00:00:00+02:00",
        datetime(2024, 9, 18, 22),  # noqa: DTZ001  # Parquet files hold such ones
        datetime(2024, 9, 19, 0, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_every_way_to_write_an_instant_is_the_same_instant(cell: object) -> None:
    at = instant(cell)
    assert at == datetime(2024, 9, 18, 22, tzinfo=UTC)
    assert at.tzinfo is UTC


@pytest.mark.parametrize("cell", ["5/1/25", "05/01/2025", "5/1/2025", "2025-05-01", "20250501", date(2025, 5, 1)])
def test_dates_are_their_midnight_and_the_month_comes_first(cell: object) -> None:
    assert instant(cell) == datetime(2025, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", BadReason.MISSING),
        ("yesterday", BadReason.NOT_A_DATE),
        ("13/1/25", BadReason.NOT_A_DATE),
        ("2024-02-30", BadReason.NOT_A_DATE),
        ("1726696800", BadReason.NOT_A_DATE),
        ("1724-09-18", BadReason.OUT_OF_RANGE),
        ("2100-01-01", BadReason.OUT_OF_RANGE),
        ("2000-01-01T00:00:00+02:00", BadReason.OUT_OF_RANGE),
        ("9999-12-31T23:59:59-14:00", BadReason.OUT_OF_RANGE),
    ],
)
def test_what_is_no_date_says_why(cell: str, reason: BadReason) -> None:
    with pytest.raises(CellError) as caught:
        instant(cell)
    assert caught.value.reason is reason


def test_currency_codes_are_capitals_and_virtual_currencies_stay() -> None:
    assert currency(" usd ") == "USD"
    assert currency("Token") == "Token"
    with pytest.raises(CellError, match="expected a currency code such as USD, got 'US Dollar'"):
        currency("US Dollar")


def test_a_long_cell_is_shortened_in_messages() -> None:
    with pytest.raises(CellError) as caught:
        number("x" * 10_000)
    assert len(str(caught.value)) < 150


def test_a_memo_computes_once_and_stays_small() -> None:
    calls: list[int] = []

    def double(value: int) -> int:
        calls.append(value)
        return 2 * value

    memo = Memo(double, limit=3)
    assert [memo[n] for n in (1, 1, 2, 3, 4, 1)] == [2, 2, 4, 6, 8, 2]
    assert calls == [1, 2, 3, 4, 1]
    assert len(memo) <= 3
