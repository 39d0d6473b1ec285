"""Freshdesk tickets: found again by a custom field or a tag, as Freshdesk knows no repetition.

Source: https://developers.freshdesk.com/api/#tickets
"""

from collections.abc import Mapping, Sequence
from typing import Unpack

from pydantic import JsonValue

from service.core.alerts import AlertState, EventType, Severity
from service.delivery.calls import Call
from service.delivery.credentials import Credentials, login
from service.delivery.http import in_path
from service.delivery.message import Message
from service.delivery.receivers.jira import key_of
from service.delivery.receivers.over_http import Steps, Wiring
from service.delivery.receivers.tickets import TicketReceiver
from service.delivery.texts import cut, desk_html, fits, no_placeholders
from service.receiver_settings import FreshdeskReceiver
from service.store.store import Delivery

_SUBJECT = 255
_DESCRIPTION = 60_000
_OPEN, _PENDING, _RESOLVED, _CLOSED = 2, 3, 4, 5
_PORTAL = 2
_PRIORITIES = {Severity.CRITICAL: 4, Severity.HIGH: 3, Severity.MEDIUM: 2, Severity.LOW: 1}


class Freshdesk(TicketReceiver):
    def __init__(self, config: FreshdeskReceiver, **wiring: Unpack[Wiring]) -> None:
        assert config.key is not None
        key = config.key.get_secret_value()
        headers, secrets = login(key, "X")
        desk = _Tickets(config.email, config.tags, config.marker_field, config.fields)
        super().__init__(config, wiring, desk, Credentials(headers, [key, *secrets]), escape=desk_html)


class _Tickets:
    """The Desk protocol."""

    def __init__(
        self, email: str, tags: Sequence[str], marker_field: str | None, fields: Mapping[str, JsonValue]
    ) -> None:
        self._email = email
        self._tags = tags
        self._marker_field = marker_field
        self._fields = fields

    def find(self, message: Message) -> Steps[str | None]:
        query = f"\"{self._marker_field or 'tag'}:'{message.marker}'\""
        answer = yield Call(method="GET", path="/api/v2/search/tickets", query={"query": query}, reads=True)
        found = answer.checked().json().get("results")
        tickets = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        return str(min(int(str(one["id"])) for one in tickets)) if tickets else None

    def open(self, delivery: Delivery, message: Message) -> Steps[str]:
        fields = dict(self._fields)
        tags = list(self._tags)
        if self._marker_field is None:
            tags.append(message.marker)
        else:
            given = fields.get("custom_fields")
            fields["custom_fields"] = {**(given if isinstance(given, dict) else {}), self._marker_field: message.marker}
        body = {
            **fields,
            **_described(message),
            "email": self._email,
            "status": _OPEN,
            "source": _PORTAL,
            "tags": tags,
        }
        answer = yield Call(path="/api/v2/tickets", body=body, reads=True)
        return key_of(answer.checked(), "id")

    def move(self, ticket: str, message: Message) -> Steps[str | None]:
        path = f"/api/v2/tickets/{in_path(ticket)}"
        status = (yield Call(method="GET", path=path, reads=True)).checked().json().get("status")
        wanted = _status(message, status)
        changes = wanted is not None and wanted != status
        body = {**_described(message), **({"status": wanted} if changes else {})}
        if changes:
            # Before the status: a repetition after it finds nothing to change, and says nothing twice.
            note = {"body": desk_html(message.news), "private": True}
            (yield Call(path=f"{path}/notes", body=note)).checked()
        (yield Call(method="PUT", path=path, body=body)).checked()
        return None


def _status(message: Message, status: object) -> int | None:
    if message.is_over:
        return None if status == _CLOSED else _RESOLVED
    if message.state is AlertState.ACKNOWLEDGED:
        return _PENDING if status == _OPEN else None
    if message.event is EventType.ACK_EXPIRED:
        return _OPEN if status == _PENDING else None
    reopens = message.event is EventType.REOPENED and status in (_RESOLVED, _CLOSED)
    return _OPEN if reopens else None


def _described(message: Message) -> dict[str, object]:
    html = [desk_html(line) for line in message.lines()] if message.text is None else message.lines()
    return {
        "subject": cut(no_placeholders(message.title), _SUBJECT),
        "description": fits(html, _DESCRIPTION).replace("\n", "<br>"),
        "priority": _PRIORITIES[message.severity],
    }
