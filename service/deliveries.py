"""What was sent to receivers, in a terminal: lists messages and sends again what was given up, through the API."""

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
from rich.console import Console
from rich.text import Text

from service.console import clean, make_console
from service.errors import ConfigError, UnavailableError

_PATH = "/api/v1/deliveries"
_STYLES = {"dead": "bold red", "pending": "yellow", "delivered": "green", "superseded": "dim"}
_TIMEOUT_SECONDS = 30.0


class DeliveriesClient:
    """base_url: where the API answers. transport: for tests."""

    def __init__(self, base_url: str, *, token: str | None, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._base_url = base_url
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=_TIMEOUT_SECONDS, transport=transport)

    def __enter__(self) -> "DeliveriesClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def listed(self, *, state: str | None, receiver: str | None, limit: int) -> list[dict[str, Any]]:
        """Newest event first, at most *limit*. Raises ConfigError and UnavailableError."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(items) < limit:
            asked = {"state": state, "receiver": receiver, "cursor": cursor, "limit": min(limit - len(items), 500)}
            page = self._ask("GET", _PATH, params={name: value for name, value in asked.items() if value is not None})
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return items

    def resend(self, *, delivery_id: str | None, receiver: str | None) -> int:
        """How many will be sent again: one, a receiver's, or all. Raises ConfigError and UnavailableError."""
        if delivery_id is not None:
            return int(self._ask("POST", f"{_PATH}/{delivery_id}/resend")["count"])
        body = {"all": True} if receiver is None else {"receiver": receiver}
        return int(self._ask("POST", f"{_PATH}/resend", json=body)["count"])

    def _ask(self, method: str, path: str, **how: Any) -> Mapping[str, Any]:
        try:
            answer = self._client.request(method, path, **how)
        except httpx.HTTPError as error:
            raise UnavailableError(f"{self._base_url} does not answer: {type(error).__name__}") from None
        if answer.is_success:
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        problem = f"{self._base_url} answered {answer.status_code}: {_detail(answer)}"
        raise UnavailableError(problem) if answer.is_server_error else ConfigError(problem)


def _detail(answer: httpx.Response) -> str:
    try:
        return clean(str(msgspec.json.decode(answer.content, type=dict[str, Any])["detail"]))
    except (msgspec.DecodeError, KeyError):
        return answer.reason_phrase


def show(items: list[dict[str, Any]], *, as_json: bool, console: Console | None = None) -> None:
    """One message a line, the reason below it; or one JSON object a line."""
    console = console or make_console()
    for item in items:
        if as_json:
            console.print(msgspec.json.encode(item).decode(), markup=False, highlight=False, soft_wrap=True)
            continue
        line = Text()
        line.append(f"{item['state']:<10} ", style=_STYLES.get(item["state"], ""))
        line.append(f"{clean(item['receiver'])} ", style="bold")
        line.append(f"{item['event']} of {clean(item['alert_id'])}, {item['attempts']} attempts, {item['id']}")
        if item.get("last_error"):
            line.append(f"\n           {clean(item['last_error'])}", style="dim")
        console.print(line, soft_wrap=True)
    if not items and not as_json:
        console.print("no such messages", style="dim")
