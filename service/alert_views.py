"""Alerts in a terminal: a list of them, and one with all that is known of it.

What people typed and what tags are called is cleaned, and never read as markup.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from service.alert_table import print_alerts
from service.alerts import Found, Listing, record_of
from service.console import clean, drivers, hanging, make_console, moment, numbers, severity_mark, write_json
from service.core.alerts import AlertRecord, AlertState, EventType
from service.core.wording import amount, who
from service.deliveries import STYLES as DELIVERY_STYLES

_INDENT = 3


def show_list(listing: Listing, *, as_json: bool, console: Console | None = None) -> None:
    """A table; or one JSON object a line."""
    console = console or make_console()
    if as_json:
        for item in listing.items:
            write_json(item, console)
        return
    if not listing.items:
        console.print("no such alerts", style="dim")
        return
    print_alerts([record_of(item) for item in listing.items], console)
    shown = len(listing.items)
    if listing.total > shown:
        console.print(f"{shown} of {listing.total} alerts; --limit shows more", style="dim")


def show_one(found: Found, *, base_url: str, as_json: bool, console: Console | None = None) -> None:
    """base_url: where the API answers, for links."""
    console = console or make_console()
    if as_json:
        parts = {"events": found.events, "deliveries": found.deliveries, "members": found.members}
        write_json({"alert": found.record, **parts}, console)
        return
    record = record_of(found.record)
    for line in _lines(record, found, base_url):
        console.print(line)


def _lines(record: AlertRecord, found: Found, base_url: str) -> list[RenderableType]:
    alert = record.alert
    head = severity_mark(alert)
    head.append(f" {clean(who(alert.series))} ", style="bold")
    head.append(f"{clean(alert.metric)} {moment(alert.starts_at, alert.grain)}", style="dim")
    lines: list[RenderableType] = [head, numbers(alert)]
    lines += [hanging(name, clean(text)) for name, text in (("why", alert.reason), ("next", alert.action)) if text]
    lines += drivers(alert, most=len(alert.drivers))
    lines.append(Text())
    lines += [hanging(name, clean(text)) for name, text in _particulars(record) if text]
    path = f"/alerts/{quote(alert.id, safe='')}"
    lines.append(hanging("page", f"{base_url.rstrip('/')}{path}"))
    lines += _section("Of the same money, told as part of it", [_member(item) for item in found.members])
    lines += _section("What happened", [_event(entry, alert.unit) for entry in found.events])
    lines += _section("Who was told", [_delivery(entry) for entry in found.deliveries] or [Text("nobody", "dim")])
    return lines


def _particulars(record: AlertRecord) -> list[tuple[str, str]]:
    alert = record.alert
    buckets = f"{alert.buckets} bucket{'' if alert.buckets == 1 else 's'} of {alert.grain}"
    ended = "" if alert.ends_at is None else f" until {moment(alert.ends_at, alert.grain)}"
    labels = ", ".join(f"{name}={value}" for name, value in sorted(alert.labels.items()))
    return [
        ("state", f"{record.state.value}{_why(record)}"),
        ("task of", record.assigned_to or "nobody"),
        ("since", f"{moment(alert.starts_at, alert.grain)}{ended}, {buckets}, {alert.basis.value}"),
        ("judged", f"by {alert.detector}, score {alert.score:.2f}, first at {_minute(alert.judged_at)}"),
        ("verdict", (alert.feedback.value.replace("_", " ") if alert.feedback else "")),
        ("part of", record.inhibited_by or ""),
        ("silence", ", ".join(record.silenced_by)),
        ("labels", labels),
        ("series", alert.series),
        ("id", f"{alert.id}, version {alert.version}"),
    ]


def _why(record: AlertRecord) -> str:
    """Who brought it there, and what goes with it."""
    text = ""
    if record.state is AlertState.ACKNOWLEDGED:
        text = f" by {record.acknowledged_by or 'somebody'}"
        text += f" at {_minute(record.acknowledged_at)}" if record.acknowledged_at else ""
        text += f", until {_minute(record.acknowledged_until)}" if record.acknowledged_until else ""
    elif record.state.is_over:
        text = f" by {record.resolved_by}" if record.resolved_by else ""
        text += f" at {_minute(record.resolved_at)}" if record.resolved_at else ""
    return text + (", held back by the alert budget: nobody was told" if record.held_back else "")


def _section(title: str, rows: Sequence[RenderableType]) -> list[RenderableType]:
    return [Text(), Text(f"   {title}", style="bold"), *rows] if rows else []


def _member(item: Mapping[str, Any]) -> RenderableType:
    member = record_of(item)
    stake = amount(member.alert.impact, member.alert.unit, signed=True)
    text = clean(f"{who(member.alert.series)}, {stake}, {member.state.value}")
    return _row(clean(member.alert.id), Text(text), width=26)


def _event(entry: Mapping[str, Any], unit: str) -> RenderableType:
    text = Text(f"{str(entry['type']).replace('_', ' ')} ", style="bold")
    if entry["type"] == EventType.ASSIGNED:
        text.append(f"to {clean(entry['assigned_to'] or 'nobody')} ", style="not bold")
    text.append(f"by {clean(entry['actor'])}", style="not bold")
    if entry["type"] == EventType.ACKNOWLEDGED and entry["acknowledged_until"]:
        text.append(f" until {_instant(entry['acknowledged_until'])}", style="not bold")
    text.append(f", {entry['severity']}, {clean(amount(entry['impact'], unit, signed=True))}", style="not bold dim")
    if entry["comment"]:
        text.append(f"\n{clean(entry['comment'])}", style="not bold")
    return _row(_instant(entry["at"]), text)


def _delivery(entry: Mapping[str, Any]) -> RenderableType:
    state, tries = entry["state"], entry["attempts"]
    text = Text(f"{clean(entry['receiver'])} ", style="bold")
    text.append(f"{entry['event']}: ", style="not bold")
    text.append(state, style=f"not bold {DELIVERY_STYLES.get(state, '')}")
    text.append(f", {tries} attempt{'' if tries == 1 else 's'}", style="not bold dim")
    if state == "pending":
        text.append(f", next at {_instant(entry['next_attempt_at'])}", style="not bold dim")
    if entry["remote_id"]:
        text.append(f", {clean(entry['remote_id'])} there", style="not bold")
    if entry["last_error"] and state != "delivered":
        text.append(f"\n{clean(entry['last_error'])}", style="not bold dim")
    return _row(_instant(entry["delivered_at"] or entry["created_at"]), text)


def _row(first: str, text: Text, *, width: int = 17) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=_INDENT - 1)
    grid.add_column(width=width, no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    grid.add_row("", Text(first), text)
    return grid


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def _instant(text: str) -> str:
    """Of the API's JSON."""
    return _minute(msgspec.convert(text, datetime))
