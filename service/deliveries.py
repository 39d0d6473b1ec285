"""What was sent to receivers, in a terminal: lists messages and sends again what was given up, through the API."""

from typing import Any

from rich.console import Console
from rich.text import Text

from service.api_client import ApiClient, segment
from service.console import clean, make_console, write_json

_PATH = "/api/v1/deliveries"
STYLES = {"dead": "bold red", "pending": "yellow", "delivered": "green", "superseded": "dim", "known": "dim"}


def listed(api: ApiClient, *, state: str | None, receiver: str | None, limit: int) -> list[dict[str, Any]]:
    """Newest event first, at most *limit*. Raises ConfigError and UnavailableError."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(items) < limit:
        asked = {"state": state, "receiver": receiver, "cursor": cursor, "limit": min(limit - len(items), 500)}
        page = api.ask("GET", _PATH, params={key: value for key, value in asked.items() if value is not None})
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return items


def resend(api: ApiClient, *, delivery_id: str | None, receiver: str | None) -> int:
    """How many will be sent again: one, a receiver's, or all. Raises ConfigError and UnavailableError."""
    if delivery_id is not None:
        return int(api.ask("POST", f"{_PATH}/{segment(delivery_id)}/resend")["count"])
    body = {"all": True} if receiver is None else {"receiver": receiver}
    return int(api.ask("POST", f"{_PATH}/resend", json=body)["count"])


def show(items: list[dict[str, Any]], *, as_json: bool, console: Console | None = None) -> None:
    """One message a line, the reason below it; or one JSON object a line."""
    console = console or make_console()
    for item in items:
        if as_json:
            write_json(item, console)
            continue
        line = Text()
        line.append(f"{item['state']:<10} ", style=STYLES.get(item["state"], ""))
        line.append(f"{clean(item['receiver'])} ", style="bold")
        line.append(f"{_about(item)}, {item['attempts']} attempts, {item['id']}")
        if item.get("last_error"):
            line.append(f"\n           {clean(item['last_error'])}", style="dim")
        console.print(line, soft_wrap=True)
    if not items and not as_json:
        console.print("no such messages", style="dim")


def _about(item: dict[str, Any]) -> str:
    letter = item.get("letter")
    if letter is None:
        return f"{item['event']} of {clean(item['alert_id'])}"
    if letter.get("silence") is not None:
        return f"end of silence {clean(letter['silence'])}"
    of = "" if letter["value"] is None else f" of {clean(letter['value'])}"
    return f"digest {letter['digest']}{of}, due {letter['due_at']}"
