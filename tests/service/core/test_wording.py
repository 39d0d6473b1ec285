"""Numbers, money and names read the same wherever they are shown."""

import doctest

import pytest

from connectors.series import Grain, SeriesKey
from service.core import wording
from service.core.wording import amount, driver_labels, driver_name, is_money, is_rest, label_name, number, who, whose


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234.567, "USD", "1,234.57 USD"),
        (-1234.5, "USD", "-1,234.50 USD"),
        (1e9, "EUR", "1,000,000,000.00 EUR"),
        (0.0, "USD", "0.00 USD"),
        (-0.0, "USD", "0.00 USD"),
        (0.1, "USD", "0.10 USD"),
        (0.0421, "USD", "0.042 USD"),
        (-0.00421, "USD", "-0.0042 USD"),
        (0.0000123, "USD", "0.000012 USD"),
        (1e-9, "USD", "0.000000001 USD"),
        (1e-12, "USD", "0.00 USD"),
        (-1e-12, "USD", "0.00 USD"),
        (1234.5, "JPY", "1,234 JPY"),
        (0.42, "JPY", "0.42 JPY"),
        (0.0, "JPY", "0 JPY"),
    ],
)
def test_money_has_the_decimals_of_its_currency_or_two_that_say_something(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (87.5, "percent", "87.50 percent"),
        (12.0, "requests", "12 requests"),
        (-12.0, "requests", "-12 requests"),
        (0.0, "requests", "0 requests"),
        (0.0042, "seconds", "0.0042 seconds"),
        (999.0, "bytes", "999 bytes"),
        (1000.0, "bytes", "1.00 k bytes"),
        (20_480.0, "bytes", "20.48 k bytes"),
        (999_996.0, "bytes", "1.00 M bytes"),
        (-2_000_000.0, "bytes", "-2.00 M bytes"),
        (7.5e9, "tokens", "7.50 G tokens"),
        (1e12, "tokens", "1.00 T tokens"),
        (5e15, "tokens", "5,000.00 T tokens"),
        (1500.0, "USd", "1.50 k USd"),
    ],
)
def test_usage_is_shortened_and_whole_counts_are_whole(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(12.0, "USD", "+12.00"), (-12.0, "USD", "-12.00"), (0.0, "USD", "0.00"), (2048.0, "bytes", "+2.05 k")],
)
def test_a_rise_has_a_sign_and_zero_has_none(value: float, unit: str, text: str) -> None:
    assert number(value, unit, signed=True) == text


def test_money_is_told_by_its_currency_code() -> None:
    units = ("USD", "EUR", "percent", "usd", "bytes", "ÄÖÜ", "")
    assert [unit for unit in units if is_money(unit)] == ["USD", "EUR"]


def series(dimension: str, value: str = "") -> SeriesKey:
    return SeriesKey(
        tenant="acme", metric="effective_cost", unit="USD", grain=Grain.DAY, dimension=dimension, value=value
    )


@pytest.mark.parametrize(
    ("dimension", "value", "text"),
    [
        ("tag:team", "search", "team=search"),
        ("tag:team", "", "team="),
        ("service_name", "Amazon EC2", "service_name=Amazon EC2"),
        ("total", "", "the total of acme"),
        ("tag:team", "x" * 400, f"team={'x' * 119}…"),
    ],
)
def test_a_series_is_named_by_what_it_is_about(dimension: str, value: str, text: str) -> None:
    assert who(series(dimension, value)) == text
    assert who(str(series(dimension, value))) == text


def test_a_text_that_is_no_series_names_itself() -> None:
    assert whose("something else") == ("series", "something else")
    assert who("something else") == "series=something else"


def test_the_total_is_that_of_its_tenant() -> None:
    assert whose(series("total")) == ("total", "acme")


def test_columns_are_headings_without_underscores() -> None:
    assert [label_name(name) for name in ("service_name", "sub_account_id", "team")] == [
        "service",
        "sub account id",
        "team",
    ]


def test_a_driver_is_named_service_first_then_the_thing() -> None:
    labels = {"environment": "prod", "usage_type": "Box", "resource_id": "i-1", "region_id": "", "service_name": "EC2"}
    assert driver_name(labels) == "EC2 i-1 Box prod"
    assert driver_labels(labels)[0] == ("service_name", "EC2")


def test_a_driver_without_a_name_says_so() -> None:
    assert driver_name({}) == driver_name({"service_name": ""}) == "an unnamed driver"


def test_what_no_driver_explains_is_everything_else() -> None:
    assert driver_name({"other": "true"}) == "everything else"
    assert not is_rest({"other": "true", "service_name": "EC2"})


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(wording).failed == 0
