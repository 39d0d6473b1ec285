"""Alerts as a terminal shows them: what, who, actual against expected, money at stake, drivers, what to do next."""

import unicodedata
from datetime import datetime

from rich.console import Console, Group
from rich.text import Text

from service.core.alerts import Alert, AlertEvent, AlertKind, DriverChange, EventType, Severity

_COLOURS = {
    Severity.CRITICAL: "bold white on red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "bold yellow",
    Severity.LOW: "bold cyan",
}
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SHOWN_DRIVERS = 3
_WIDTH_ELSEWHERE = 120
_FIRST_LABEL = "service_name"
_NOT_WHO = ("metric", "grain")


def clean(text: str) -> str:
    """Tag values are anybody's text: nothing in them may move the cursor or change colours."""
    return "".join("?" if unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs") else char for char in text)


def amount(value: float, unit: str, *, signed: bool = False) -> str:
    """`1,234.56 USD`; large numbers of other units are shortened: `20.1 M bytes`."""
    return f"{number(value, unit, signed=signed)} {clean(unit)}"


def number(value: float, unit: str, *, signed: bool = False) -> str:
    value = value + 0.0 if value else 0.0  # no -0.00
    sign = "+" if signed and value >= 0 else ""
    if not is_money(unit):
        for factor, prefix in _PREFIXES:
            if abs(value) >= factor:
                return f"{sign}{value / factor:,.1f} {prefix}"
    digits = 2 if value == 0 or abs(value) >= 0.01 else 6
    return f"{sign}{value:,.{digits}f}"


def is_money(unit: str) -> bool:
    """Whether a unit is an ISO 4217 code, as FOCUS's BillingCurrency is."""
    return len(unit) == 3 and unit.isalpha() and unit.isupper()


def moment(at: datetime, grain: str) -> str:
    return f"{at:%Y-%m-%d}" if grain == "1d" else f"{at:%Y-%m-%d %H:%M}Z"


def who(alert: Alert) -> str:
    """`team=search`, or `total` where the whole tenant is meant."""
    labels = [f"{name}={value}" if value else name for name, value in alert.labels.items() if name not in _NOT_WHO]
    return clean(", ".join(labels))


def headline(event: AlertEvent) -> Text:
    alert = event.record.alert
    rise = alert.kind is not AlertKind.DROP
    text = Text()
    if event.type in (EventType.RESOLVED, EventType.WITHDRAWN):
        text.append(f" {event.type.value} ", style="green" if event.type is EventType.RESOLVED else "dim")
        text.append(f"{who(alert)} ", style="bold")
        text.append(f"{clean(alert.metric)} since {moment(alert.starts_at, alert.grain)}", style="dim")
        return text
    text.append(f" {'▲' if rise else '▼'} {alert.severity.value} ", style=_COLOURS[alert.severity])
    text.append(f" {who(alert)} ", style="bold")
    text.append(f"{clean(alert.metric)} ", style="dim")
    text.append(moment(alert.starts_at, alert.grain))
    if event.type is not EventType.OPENED:
        text.append(f"  {event.type.value}", style="dim")
    return text


def render(event: AlertEvent) -> Group:
    """The whole alert; a line only for what ended."""
    alert = event.record.alert
    lines = [headline(event)]
    if event.type in (EventType.OPENED, EventType.REOPENED, EventType.UPDATED):
        lines.append(_numbers(alert))
        lines += _drivers(alert)
        if alert.action:
            lines.append(_labelled("next", clean(alert.action)))
    return Group(*lines)


def make_console() -> Console:
    """Standard output; wide enough for whole lines where no terminal says how wide it is."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_ELSEWHERE)


def _numbers(alert: Alert) -> Text:
    lower, expected, upper = (number(value, alert.unit) for value in (alert.lower, alert.expected, alert.upper))
    text = Text("   ")
    text.append(amount(alert.actual, alert.unit), style="bold")
    text.append(
        f" against {expected} expected ({lower} to {upper}), {'at stake' if is_money(alert.unit) else 'in all'} "
    )
    text.append(number(alert.impact, alert.unit, signed=True), style="bold")
    return text


def _labelled(name: str, value: str) -> Text:
    text = Text("   ", no_wrap=True, overflow="ellipsis")
    text.append(f"{name:<8}", style="dim")
    text.append(value)
    return text


def _drivers(alert: Alert) -> list[Text]:
    """The largest changes, one a line, their amounts below one another."""
    largest = sorted(alert.drivers, key=lambda driver: -abs(driver.change))[:_SHOWN_DRIVERS]
    changes = [number(driver.change, alert.unit, signed=True) for driver in largest]
    width = max(map(len, changes), default=0)
    return [
        _labelled("" if place else "drivers", f"{change:>{width}}  {driver_name(driver)}")
        for place, (driver, change) in enumerate(zip(largest, changes, strict=True))
    ]


def driver_name(driver: DriverChange) -> str:
    """`Amazon EC2 i-0abc`: the service first, then what is in it."""
    if "other" in driver.labels:
        return "other"
    names = sorted(driver.labels, key=lambda label: label != _FIRST_LABEL)
    return clean(" ".join(driver.labels[name] for name in names))
