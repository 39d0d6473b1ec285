"""Silences in a terminal, through the API."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.text import Text

from service.api_client import ApiClient, segment
from service.clock import Clock
from service.console import clean, make_console, write_json
from service.core.silences import SilenceKind, usual_start

_PATH = "/api/v1/silences"
_STYLES = {"active": "yellow", "pending": "cyan", "expired": "dim"}


def listed(api: ApiClient, state: str | None) -> Sequence[Mapping[str, Any]]:
    """Raises ConfigError and UnavailableError, as all of these."""
    items: Sequence[Mapping[str, Any]] = api.ask("GET", _PATH, params={"state": state} if state else {})["items"]
    return items


def body_of(
    matchers: Sequence[str],
    *,
    owner: str,
    lasting: timedelta,
    comment: str,
    kind: str,
    amount_per_day: float | None,
    unit: str | None,
    clock: Clock,
) -> dict[str, Any]:
    """What the API is asked for, from `usual_start` on."""
    now = clock.now()
    return {
        "kind": kind,
        "matchers": list(matchers),
        "created_by": owner,
        "comment": comment,
        "starts_at": usual_start(SilenceKind(kind), now).isoformat(),
        "ends_at": (now + lasting).isoformat(),
        "amount_per_day": amount_per_day,
        "unit": unit,
    }


def add(api: ApiClient, body: Mapping[str, Any]) -> Mapping[str, Any]:
    return api.ask("POST", _PATH, json=body)


def preview(api: ApiClient, body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    items: Sequence[Mapping[str, Any]] = api.ask("POST", f"{_PATH}/preview", json=body)["items"]
    return items


def extend(api: ApiClient, silence_id: str, by: timedelta) -> Mapping[str, Any]:
    path = f"{_PATH}/{segment(silence_id)}"
    known = api.ask("GET", path)["silence"]
    ends_at = datetime.fromisoformat(known["ends_at"]) + by
    kept = {name: known[name] for name in ("comment", "amount_per_day")}
    return api.ask("PUT", path, json={"ends_at": ends_at.isoformat(), **kept})


def expire(api: ApiClient, silence_id: str) -> Mapping[str, Any]:
    return api.ask("DELETE", f"{_PATH}/{segment(silence_id)}")


def show(entries: Sequence[Mapping[str, Any]], *, as_json: bool, console: Console | None = None) -> None:
    """One silence a line, the comment below it; or one JSON object a line."""
    console = console or make_console()
    for entry in entries:
        if as_json:
            write_json(entry, console)
            continue
        one = entry["silence"]
        line = Text()
        line.append(f"{entry['state']:<8} ", style=_STYLES.get(entry["state"], ""))
        line.append(f"{one['id']} ", style="bold")
        line.append(f"{one['kind'].replace('_', ' ')} {clean(', '.join(one['matchers']))}")
        until = "always" if entry["fixed"] else f"until {one['expired_at'] or one['ends_at']}"
        line.append(f" by {clean(one['created_by'])} {until}")
        if entry["expires_soon"]:
            line.append("  ends soon", style="yellow")
        if one["comment"]:
            line.append(f"\n         {clean(one['comment'])}", style="dim")
        console.print(line, soft_wrap=True)
    if not entries and not as_json:
        console.print("no silences", style="dim")


def show_kept(items: Sequence[Mapping[str, Any]], console: Console | None = None) -> None:
    console = console or make_console()
    for item in items:
        text = f"{item['state']:<12} {clean(item['series'])}  {item['impact']:+,.2f} {clean(item['unit'])}"
        console.print(Text(text), soft_wrap=True)
    console.print(Text(f"it would keep {len(items)} open alerts now", style="dim"))
