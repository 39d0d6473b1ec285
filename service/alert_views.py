"""Alerts in a terminal: a list of them, and one with all that is known of it.

What people typed and what tags are called is cleaned, and never read as markup.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from service.alerts import Found, Listing, record_of
from service.console import SIGNS, clean, drivers, hanging, make_console, moment, numbers, severity_mark
from service.core.alerts import AlertRecord, AlertState, EventType, Severity
from service.core.wording import amount, who
from service.deliveries import STYLES as DELIVERY_STYLES

_WIDE = 100
"""Columns of a terminal from which on there is room for when and who beside the rest."""
_SEVERITIES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
}
_STATES = {AlertState.FIRING: "bold", AlertState.PENDING: "dim", AlertState.ACKNOWLEDGED: "yellow"}
_INDENT = 3


def show_list(listing: Listing, *, as_json: bool, console: Console | None = None) -> None:
    """A table; or one JSON object a line."""
    console = console or make_console()
    if as_json:
        for item in listing.items:
            _json(console, item)
        return
    if not listing.items:
        console.print("no such alerts", style="dim")
        return
    records = [record_of(item) for item in listing.items]
    console.print(_table(records, is_wide=console.width >= _WIDE))
    shown = len(listing.items)
    if listing.total > shown:
        console.print(f"{shown} of {listing.total} alerts; --limit shows more", style="dim")


def show_one(found: Found, *, base_url: str, as_json: bool, console: Console | None = None) -> None:
    """base_url: where the API answers, for links."""
    console = console or make_console()
    if as_json:
        parts = {"events": found.events, "deliveries": found.deliveries, "members": found.members}
        _json(console, {"alert": found.record, **parts})
        return
    record = record_of(found.record)
    for line in _lines(record, found, base_url):
        console.print(line)


def _table(records: Sequence[AlertRecord], *, is_wide: bool) -> Table:
    """Each alert in two lines, its id in the second; a narrow terminal has more of it there."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in _COLUMNS[is_wide]:
        justify: JustifyMethod = "right" if name.startswith("at stake") else "left"
        table.add_column(name, justify=justify, no_wrap=not name.startswith("series"), overflow="fold")
    for record in records:
        state, stake, since, people = _state(record), _stake(record), _since(record), _people(record)
        ends = [Text(since), Text(_short(people, 20))] if is_wide else []
        table.add_row(
            _severity(record),
            state if is_wide else _below(state, _short(people, 14)),
            _below(_series(record), clean(record.alert.id)),
            stake if is_wide else _below(stake, since),
            *ends,
        )
    return table


_COLUMNS = {
    True: ("severity", "state", "series, id", "at stake", "since (UTC)", "who"),
    False: ("severity", "state, who", "series, id", "at stake, since"),
}


def _below(first: Text, second: str) -> Text:
    return Text("\n").join([first, Text(second, style="dim")])


def _severity(record: AlertRecord) -> Text:
    alert = record.alert
    return Text(f"{SIGNS[alert.kind]} {alert.severity.value}", style=_SEVERITIES[alert.severity])


def _state(record: AlertRecord) -> Text:
    return Text(record.state.value, style=_STATES.get(record.state, "dim"))


def _series(record: AlertRecord) -> Text:
    return Text(_short(clean(who(record.alert.series)), 80))


def _stake(record: AlertRecord) -> Text:
    return Text(clean(amount(record.alert.impact, record.alert.unit, signed=True)))


def _since(record: AlertRecord) -> str:
    return moment(record.alert.starts_at, record.alert.grain).removesuffix("Z")


def _people(record: AlertRecord) -> str:
    """Whose task it is, or else who looks after it, or ended it."""
    by = record.resolved_by if record.state.is_over else record.acknowledged_by
    return clean(record.assigned_to or by or "")


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


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
    text = f"{clean(who(member.alert.series))}, {_stake(member)}, {member.state.value}"
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


def _json(console: Console, item: object) -> None:
    console.print(msgspec.json.encode(item).decode(), markup=False, highlight=False, soft_wrap=True)
