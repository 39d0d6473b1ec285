"""What a replay says to a person: alerts or differences as a table, and what was read."""

from collections.abc import Container, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.console import clean, moment
from service.core.alerts import Alert, AlertKind, AlertStatus, Severity
from service.core.wording import amount, driver_name, is_rest, number, who
from service.replay.difference import Change, Difference
from service.replay.rows import Row

_COLOURS = {Severity.CRITICAL: "bold red", Severity.HIGH: "red", Severity.MEDIUM: "yellow", Severity.LOW: "cyan"}
_CHANGES = {Change.GAINED: ("+", "red"), Change.LOST: ("-", "green"), Change.MOVED: ("~", "yellow")}
_WIDTH_ELSEWHERE = 150


def console_for(*, stderr: bool = False) -> Console:
    """Wide enough for whole lines where no terminal says how wide it is."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=_WIDTH_ELSEWHERE)


def alerts_table(alerts: Sequence[Alert], held: Container[str] = ()) -> Table:
    """held: ids of those that an alert budget holds back."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("since", "severity", "what"):
        table.add_column(name, no_wrap=True)
    table.add_column("who", overflow="ellipsis", max_width=40, no_wrap=True)
    for name in ("actual", "expected", "at stake"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("mostly", overflow="ellipsis", max_width=48, no_wrap=True)
    for alert in alerts:
        style = "dim" if alert.status is AlertStatus.WITHDRAWN else ""
        table.add_row(
            moment(alert.starts_at, alert.grain),
            Text(alert.severity.value, style=style or _COLOURS[alert.severity]),
            f"{'▼' if alert.kind is AlertKind.DROP else '▲'} {alert.kind.value}",
            clean(_who(alert)),
            clean(amount(alert.actual, alert.unit)),
            number(alert.expected, alert.unit),
            number(alert.impact, alert.unit, signed=True),
            f"{_status(alert)}, held back" if alert.id in held else _status(alert),
            clean(_mostly(alert)),
            style=style,
        )
    return table


def differences_table(found: Sequence[Difference]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "since", "what", "who"):
        table.add_column(name, overflow="ellipsis", max_width=44)
    table.add_column("money", justify="right", no_wrap=True)
    table.add_column("before")
    for one in found:
        if one.change is Change.SAME:
            continue
        row = one.after or one.before
        assert row is not None
        sign, colour = _CHANGES[one.change]
        table.add_row(
            Text(f"{sign} {one.change.value}", style=colour),
            f"{row.starts_at:%Y-%m-%d %H:%M}",
            row.kind.value,
            clean(who(one.series)),
            number(one.money, one.currency, signed=True),
            _before(one.before) if one.change is Change.MOVED and one.before is not None else "",
        )
    return table


def totals(found: Sequence[Difference]) -> list[str]:
    """One line a kind of change: how many, and their money by currency."""
    lines = []
    for change in Change:
        some = [one for one in found if one.change is change]
        money: dict[str, float] = {}
        for one in some:
            money[one.currency] = money.get(one.currency, 0.0) + one.money
        told = ", ".join(amount(value, unit, signed=True) for unit, value in sorted(money.items()) if value)
        lines.append(f"{change.value:<7}{len(some):>6,}  {told}".rstrip())
    return lines


def _who(alert: Alert) -> str:
    plain = who(alert.series)
    return plain if "." not in alert.metric else f"{plain} {alert.metric.partition('.')[2]}"


def _status(alert: Alert) -> str:
    if alert.buckets > 1 and alert.status is not AlertStatus.WITHDRAWN:
        return f"{alert.status.value}, {alert.buckets} periods"
    return alert.status.value


def _mostly(alert: Alert) -> str:
    named = [driver for driver in alert.drivers if not is_rest(driver.labels)]
    if not named:
        return ""
    largest = max(named, key=lambda driver: abs(driver.change))
    return f"{number(largest.change, alert.unit, signed=True)} {driver_name(largest.labels)}"


def _before(row: Row) -> str:
    return f"{row.kind.value} since {row.starts_at:%Y-%m-%d %H:%M}, judged {row.judged_at:%Y-%m-%d %H:%M}"
