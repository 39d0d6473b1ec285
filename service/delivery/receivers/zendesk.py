"""Zendesk tickets: found again by external_id; a create is repeated under its Idempotency-Key, which is kept 2 hours.

Source: https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Unpack

import msgspec
from pydantic import JsonValue

from service.core.alerts import AlertState, EventType, Severity
from service.delivery.calls import Call
from service.delivery.http import in_path
from service.delivery.message import Message
from service.delivery.receivers.jira import credentials
from service.delivery.receivers.over_http import Steps, Wiring
from service.delivery.receivers.receiver import FailureReason
from service.delivery.receivers.tickets import TicketReceiver
from service.delivery.texts import cut, desk_html, fits, no_placeholders
from service.receiver_settings import ZendeskReceiver
from service.store.store import Delivery

_SUBJECT = 150
_COMMENT = 60_000
_CLOSED = "closed"
_PRIORITIES = {
    Severity.CRITICAL: "urgent",
    Severity.HIGH: "high",
    Severity.MEDIUM: "normal",
    Severity.LOW: "low",
}


class Zendesk(TicketReceiver):
    def __init__(self, config: ZendeskReceiver, **wiring: Unpack[Wiring]) -> None:
        assert config.token is not None
        user = None if config.user is None else f"{config.user}/token"
        desk = _Tickets(config.tags, config.fields)
        super().__init__(config, wiring, desk, credentials(user, config.token), escape=desk_html)


class _Tickets:
    """The Desk protocol."""

    def __init__(self, tags: Sequence[str], fields: Mapping[str, JsonValue]) -> None:
        self._tags = list(tags)
        self._fields = fields

    def find(self, message: Message) -> Steps[str | None]:
        answer = yield Call(
            method="GET", path="/api/v2/tickets.json", query={"external_id": message.marker}, reads=True
        )
        found = answer.checked().json().get("tickets")
        tickets = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        # A ticket that was closed lives on in the one that follows it up: the newest that is not closed.
        still = [one for one in tickets if one.get("status") != _CLOSED] or tickets
        return str(still[-1].get("id")) if still else None

    def open(self, delivery: Delivery, message: Message) -> Steps[str]:
        return (yield from self._create(delivery.id, message, {}))

    def move(self, ticket: str, message: Message) -> Steps[str | None]:
        path = f"/api/v2/tickets/{in_path(ticket)}.json"
        answer = yield Call(method="GET", path=path, reads=True)
        found = answer.checked().json().get("ticket")
        status = found.get("status") if isinstance(found, dict) else None
        if status == _CLOSED:
            # Closed for ever. What is back gets a ticket that follows it up; what is over needs none.
            if message.is_over:
                return None
            follows = {"via_followup_source_id": int(ticket)} if ticket.isdecimal() else {}
            return (yield from self._create(f"{message.marker}-{ticket}", message, follows))
        wanted = _status(message, status)
        change: dict[str, object] = {
            "subject": cut(no_placeholders(message.title), _SUBJECT),
            "priority": _PRIORITIES[message.severity],
        }
        if wanted is not None and wanted != status:
            change |= {"status": wanted, "comment": _comment([message.news], escaped=False)}
        elif message.event is EventType.ACK_EXPIRED:
            change["comment"] = _comment([message.news], escaped=False)
        elif message.event is EventType.UPDATED and message.state is AlertState.FIRING:
            change["comment"] = _described(message)
        (yield Call(method="PUT", path=path, body={"ticket": change})).checked()
        return None

    def _create(self, key: str, message: Message, more: Mapping[str, object]) -> Steps[str]:
        ticket = {
            **self._fields,
            "subject": cut(no_placeholders(message.title), _SUBJECT),
            "comment": _described(message),
            "priority": _PRIORITIES[message.severity],
            "type": "incident",
            "external_id": message.marker,
            "tags": self._tags,
            **more,
        }
        content = msgspec.json.encode({"ticket": ticket})
        # The same key with another body is refused: sent again after a change, it is another request.
        key = f"{key}-{hashlib.sha256(content).hexdigest()[:16]}"
        headers = {"idempotency-key": key}
        answer = yield Call(path="/api/v2/tickets.json", content=content, headers=headers, reads=True)
        found = answer.checked().json().get("ticket")
        if not isinstance(found, dict) or not found.get("id"):
            raise answer.failure("expected a ticket in the answer", retry=True, reason=FailureReason.SERVER_ERROR)
        return str(found["id"])


def _status(message: Message, status: object) -> str | None:
    if message.is_over:
        return "solved"
    if message.state is AlertState.ACKNOWLEDGED:
        return "open" if status == "new" else None
    return "open" if message.event is EventType.REOPENED and status == "solved" else None


def _described(message: Message) -> dict[str, object]:
    return _comment(message.lines(), escaped=message.text is not None)


def _comment(lines: Sequence[str], *, escaped: bool) -> dict[str, object]:
    """A private one: customers are not told what our cloud costs."""
    html = [line if escaped else desk_html(line) for line in lines]
    return {"html_body": fits(html, _COMMENT).replace("\n", "<br>"), "public": False}
