"""How numbers, money, tags and drivers are said to people: the same in sentences, on a terminal and on the dashboard.

Plain text. Tag values stand in it as they came: a terminal has to clean them, a page to escape them.
"""

import math
from collections.abc import Mapping

from connectors.series import TOTAL, SeriesKey, SeriesKeyError
from service.core.alerts import DriverChange, DriverType
from service.core.drivers import OTHER

_WHOLE_CURRENCIES = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"}
    | {"XAF", "XOF", "XPF"}
)
"""ISO 4217 currencies without a minor unit."""
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_ROUNDS_UP = 1 - 5e-6
"""999.995 k would be shown as 1,000.00 k: from there on it is 1.00 M."""
_MAX_DIGITS = 9
_NOTHING = 0.5 * 10**-_MAX_DIGITS
"""Amounts are exact to the nano-unit: what is smaller than half of one is zero."""
_SERVICE = "service_name"
_IDENTIFYING = ("resource_id", "resource_name", "sku_meter", "usage_type", "sku_id", "sub_account_id", "region_id")
_PLACES = ("sub_account_id", "region_id")
"""Left out of a name where a resource is in it, which is in one place only."""
_MAX_NAME = 120


def is_money(unit: str) -> bool:
    """Whether a unit looks like an ISO 4217 code, as FOCUS's BillingCurrency does."""
    return len(unit) == 3 and unit.isascii() and unit.isalpha() and unit.isupper()


def number(value: float, unit: str, *, signed: bool = False) -> str:
    """As `amount`, for where the unit stands beside it already.

    >>> number(1234.5, "USD"), number(0.0042, "USD"), number(20_480, "bytes"), number(12, "requests")
    ('1,234.50', '0.0042', '20.48 k', '12')
    """
    size = abs(value)
    if size < _NOTHING:
        value = size = 0.0  # no -0.00
    suffix = ""
    if not is_money(unit):
        for factor, prefix in _PREFIXES:
            if size >= factor * _ROUNDS_UP:
                size, suffix = size / factor, f" {prefix}"
                break
    whole = unit in _WHOLE_CURRENCIES if is_money(unit) else not suffix and size % 1 == 0
    digits = 0 if whole else 2
    if 0 < size < (1 if whole else 0.1):
        digits = min(_MAX_DIGITS, 1 - math.floor(math.log10(size)))  # two that say something
    sign = "-" if value < 0 else "+" if signed and value > 0 else ""
    return f"{sign}{size:,.{digits}f}{suffix}"


def amount(value: float, unit: str, *, signed: bool = False) -> str:
    """A value with its unit, in as many digits as a person reads.

    Money has the decimals of its currency, or two significant digits where it is smaller than they show; usage is
    shortened from a thousand on, and whole counts are shown whole. signed: a rise has a sign, too; zero has none.

    >>> amount(1234.5, "USD"), amount(-7, "EUR", signed=True), amount(0.0042, "USD"), amount(2e6, "bytes")
    ('1,234.50 USD', '-7.00 EUR', '0.0042 USD', '2.00 M bytes')
    """
    return f"{number(value, unit, signed=signed)} {unit}"


def whose(series: SeriesKey | str) -> tuple[str, str]:
    """Name and value of what a series is about: ("team", "search"); ("total", tenant) for the sum of a tenant.

    A text that is not the key of a series stands for itself, as ("series", text).
    """
    if isinstance(series, str):
        try:
            series = SeriesKey.parse(series)
        except SeriesKeyError:
            return "series", str(series)
    return (TOTAL, series.tenant) if series.dimension == TOTAL else series.label


def who(series: SeriesKey | str) -> str:
    """What a series is about, within a sentence: `team=search`, `the total of acme`. Endless values are cut."""
    name, value = whose(series)
    return f"the total of {value}" if name == TOTAL else f"{short(name)}={short(value)}"


def label_name(name: str) -> str:
    """A dimension or FOCUS column as a heading: `service`, `sub account id`.

    >>> label_name("service_name"), label_name("sub_account_id"), label_name("team")
    ('service', 'sub account id', 'team')
    """
    return name.removesuffix("_name").replace("_", " ")


def is_rest(labels: Mapping[str, str]) -> bool:
    """Whether a driver is what no other driver explains."""
    return labels == dict(OTHER)


def driver_labels(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """A driver's labels that have a value: the service first, then what identifies the thing, then the rest by name."""
    known = (_SERVICE, *_IDENTIFYING)
    names = [name for name in known if name in labels] + sorted(name for name in labels if name not in known)
    return [(name, labels[name]) for name in names if labels[name]]


def driver_name(labels: Mapping[str, str]) -> str:
    """`Amazon EC2 i-0abc`, in the order of `driver_labels`; `everything else` for what no other driver explains.

    >>> driver_name({"usage_type": "BoxUsage", "resource_id": "i-1", "service_name": "EC2"})
    'EC2 i-1 BoxUsage'
    """
    if is_rest(labels):
        return "everything else"
    is_placed = "resource_id" in labels or "resource_name" in labels
    words = [value for name, value in driver_labels(labels) if not (is_placed and name in _PLACES)]
    return short(" ".join(words) or "an unnamed driver")


def driver_reason(driver: DriverChange) -> str:
    """Why it costs another amount, in a word or two; empty where that is not known."""
    match driver.type:
        case DriverType.RETAGGED:
            return f"re-tagged, {'from' if driver.change > 0 else 'to'} {short(driver.counterpart or 'another value')}"
        case None | DriverType.OTHER:
            return ""
        case kind:
            return kind.value


def short(text: str) -> str:
    """At most 120 characters: enough for an ARN, and a sentence stays one."""
    return text if len(text) <= _MAX_NAME else text[: _MAX_NAME - 1] + "…"
