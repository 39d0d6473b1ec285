"""What a replay says to a person: alerts or differences as a table, and what was read."""

from collections.abc import Container, Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from service.console import SEVERITY_STYLES, SIGNS, clean, moment, shortened
from service.core.alerts import Alert, AlertStatus
from service.core.wording import amount, driver_name, is_rest, number, who
from service.replay.difference import Change, Difference
from service.replay.rows import Row

_CHANGES = {Change.GAINED: ("+", "red"), Change.LOST: ("-", "green"), Change.MOVED: ("~", "yellow")}
_WIDEST_NAME = 40
_NARROWEST = 16
_HEADINGS = ("since", "severity", "what", "who", "actual", "expected", "at stake", "status")
_NUMBERS = ("actual", "expected", "at stake")


def alerts_table(alerts: Sequence[Alert], held: Container[str] = (), *, width: int) -> Table:
    """held: ids of those that an alert budget holds back. width: what it may take; the drivers get what is left."""
    rows = [_cells(alert, is_held=alert.id in held) for alert in alerts]
    taken = sum(max(map(cell_len, column)) for column in zip(_HEADINGS, *rows, strict=True)) + 2 * len(_HEADINGS)
    room = width - taken
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in _HEADINGS:
        table.add_column(name, no_wrap=True, justify="right" if name in _NUMBERS else "left")
    if room >= _NARROWEST:
        table.add_column("mostly", no_wrap=True)
    for alert, cells in zip(alerts, rows, strict=True):
        style = "dim" if alert.status is AlertStatus.WITHDRAWN else ""
        since, severity, *others = cells
        mostly = [shortened(clean(_mostly(alert)), room)] if room >= _NARROWEST else []
        table.add_row(
            since, Text(severity, style=style or SEVERITY_STYLES[alert.severity]), *others, *mostly, style=style
        )
    return table


def _cells(alert: Alert, *, is_held: bool) -> tuple[str, ...]:
    """In the order of _HEADINGS."""
    return (
        moment(alert.starts_at, alert.grain),
        alert.severity.value,
        f"{SIGNS[alert.kind]} {alert.kind.value}",
        shortened(clean(_who(alert)), _WIDEST_NAME),
        clean(amount(alert.actual, alert.unit)),
        number(alert.expected, alert.unit),
        number(alert.impact, alert.unit, signed=True),
        f"{_status(alert)}, held back" if is_held else _status(alert),
    )


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
