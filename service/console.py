"""Alerts as a terminal shows them: what, who, actual against expected, money at stake, drivers, what to do next."""

import errno
import os
import unicodedata
from datetime import datetime

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from service.core.alerts import Alert, AlertEvent, AlertKind, DriverChange, EventType, Severity
from service.core.wording import amount, driver_name, driver_reason, is_money, number, who

_COLOURS = {
    Severity.CRITICAL: "bold white on red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "bold yellow",
    Severity.LOW: "bold cyan",
}
SEVERITY_STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
}
"""In tables."""
SIGNS = {AlertKind.SPIKE: "▲", AlertKind.NEW_SPEND: "▲", AlertKind.DROP: "▼", AlertKind.MISSING: "○"}
SHOWN_DRIVERS = 3
_INDENT = 11
_WIDTH_ELSEWHERE = 120


def clean(text: str) -> str:
    """Tag values are anybody's text: nothing in them may move the cursor or change colours."""
    return "".join("?" if unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs") else char for char in text)


def moment(at: datetime, grain: str) -> str:
    return f"{at:%Y-%m-%d}" if grain == "1d" else f"{at:%Y-%m-%d %H:%M}Z"


def severity_mark(alert: Alert) -> Text:
    return Text().append(f" {SIGNS[alert.kind]} {alert.severity.value} ", style=_COLOURS[alert.severity])


def headline(event: AlertEvent) -> Text:
    alert = event.record.alert
    text = Text()
    if event.type in (EventType.RESOLVED, EventType.EXPECTED, EventType.WITHDRAWN):
        text.append(f" {event.type.value} ", style="dim" if event.type is EventType.WITHDRAWN else "green")
        text.append(f"{clean(who(alert.series))} ", style="bold")
        text.append(f"{clean(alert.metric)} since {moment(alert.starts_at, alert.grain)}", style="dim")
        return text
    text.append_text(severity_mark(alert))
    text.append(f" {clean(who(alert.series))} ", style="bold")
    text.append(f"{clean(alert.metric)} ", style="dim")
    text.append(moment(alert.starts_at, alert.grain))
    if event.type is not EventType.OPENED:
        text.append(f"  {event.type.value}", style="dim")
    return text


def render(event: AlertEvent) -> Group:
    """The whole alert; a line only for what ended."""
    alert = event.record.alert
    lines: list[Text | Table] = [headline(event)]
    if event.type in (EventType.OPENED, EventType.REOPENED, EventType.UPDATED, EventType.INHIBITED):
        lines.append(numbers(alert))
        lines += drivers(alert)
        if alert.action:
            lines.append(hanging("next", clean(alert.action)))
    return Group(*lines)


def brief(event: AlertEvent) -> Text:
    """The alert in one line."""
    alert = event.record.alert
    text = headline(event)
    text.append(
        f"  {clean(amount(alert.actual, alert.unit))} against {number(alert.expected, alert.unit)}", style="dim"
    )
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def shortened(text: str, cells: int) -> str:
    """At most so many columns of a terminal; a wide character takes two."""
    return text if cell_len(text) <= cells else f"{set_cell_size(text, cells - 1).rstrip()}…"


class _Plain(Console):
    """Prints what it is given: `:key:` and `[red]` in a tag or a path are text, not signs of how to print it."""

    def __init__(self, *, width: int | None = None) -> None:
        super().__init__(width=width, highlight=False, markup=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """As any other write says it; Rich would end the process with 1, which means something else here."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def make_console(*, width_elsewhere: int = _WIDTH_ELSEWHERE) -> Console:
    """Standard output; wide enough for whole lines where no terminal says how wide it is."""
    console = _Plain()
    return console if console.is_terminal else _Plain(width=width_elsewhere)


def write_json(item: object, console: Console) -> None:
    """One line, past all that a console does to text: data stays as it is."""
    console.file.write(f"{msgspec.json.encode(item).decode()}\n")
    console.file.flush()


def numbers(alert: Alert) -> Text:
    lower, expected, upper = (number(value, alert.unit) for value in (alert.lower, alert.expected, alert.upper))
    text = Text("   ")
    text.append(clean(amount(alert.actual, alert.unit)), style="bold")
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


def hanging(name: str, value: str) -> Table:
    """A text that may need several lines, all of them indented."""
    grid = Table.grid()
    grid.add_column(width=_INDENT)
    grid.add_column(overflow="fold")
    grid.add_row(Text(f"   {name}", style="dim"), Text(value))
    return grid


def _named(driver: DriverChange) -> str:
    reason = driver_reason(driver)
    return f"{driver_name(driver.labels)}{', ' if reason else ''}{reason}"


def drivers(alert: Alert, most: int = SHOWN_DRIVERS) -> list[Text]:
    """The largest changes, one a line, their amounts below one another."""
    largest = sorted(alert.drivers, key=lambda driver: -abs(driver.change))[:most]
    changes = [number(driver.change, alert.unit, signed=True) for driver in largest]
    width = max(map(len, changes), default=0)
    return [
        _labelled("" if place else "drivers", f"{change:>{width}}  {clean(_named(driver))}")
        for place, (driver, change) in enumerate(zip(largest, changes, strict=True))
    ]
