"""ServiceNow incidents through the Table API: found again by correlation_id, which ServiceNow does not keep unique.

Source: https://docs.servicenow.com, "Table API". The field lists are the ones of the base system.
"""

from collections.abc import Mapping
from typing import Unpack

from pydantic import JsonValue

from service.core.alerts import AlertState, EventType, Severity
from service.delivery.calls import Call
from service.delivery.credentials import credentials_of
from service.delivery.http import in_path
from service.delivery.message import Message
from service.delivery.receivers.over_http import Steps, Wiring
from service.delivery.receivers.receiver import FailureReason
from service.delivery.receivers.tickets import TicketReceiver
from service.delivery.texts import cut, fits, journal
from service.receiver_settings import ServiceNowReceiver
from service.store.store import Delivery

_TABLE = "/api/now/table/incident"
_SHORT_DESCRIPTION = 160
_DESCRIPTION = 4000
_NEW, _IN_PROGRESS, _RESOLVED = "1", "2", "6"
_ENDED = frozenset({"6", "7", "8"})
"""Resolved, closed, cancelled."""
_URGENCY_IMPACT = {
    Severity.CRITICAL: ("1", "1"),
    Severity.HIGH: ("1", "2"),
    Severity.MEDIUM: ("2", "2"),
    Severity.LOW: ("3", "3"),
}


class ServiceNow(TicketReceiver):
    def __init__(self, config: ServiceNowReceiver, **wiring: Unpack[Wiring]) -> None:
        desk = _Incidents(config.fields, config.close_code)
        credentials = credentials_of(config.user, config.password, config.token)
        super().__init__(config, wiring, desk, credentials, escape=journal)


class _Incidents:
    """The Desk protocol: a ticket is a sys_id."""

    def __init__(self, fields: Mapping[str, JsonValue], close_code: str) -> None:
        self._fields = fields
        self._close_code = close_code

    def find(self, message: Message) -> Steps[str | None]:
        # The marker has no `^`, which would begin another condition.
        query = f"correlation_id={message.marker}^ORDERBYsys_created_on"
        asked = {"sysparm_query": query, "sysparm_fields": "sys_id,state", "sysparm_limit": "1"}
        answer = yield Call(method="GET", path=_TABLE, query=asked, reads=True)
        found = answer.checked().json().get("result")
        first = found[0] if isinstance(found, list) and found else None
        return str(first["sys_id"]) if isinstance(first, dict) and first.get("sys_id") else None

    def open(self, delivery: Delivery, message: Message) -> Steps[str]:
        body = {
            **self._fields,
            **_described(message),
            "correlation_id": message.marker,
            "correlation_display": "Spendwatch",
        }
        answer = yield Call(path=_TABLE, query={"sysparm_fields": "sys_id,number,state"}, body=body, reads=True)
        result = answer.checked().json().get("result")
        if not isinstance(result, dict) or not result.get("sys_id"):
            raise answer.failure("expected a sys_id in the answer", retry=True, reason=FailureReason.SERVER_ERROR)
        return str(result["sys_id"])

    def move(self, ticket: str, message: Message) -> Steps[str | None]:
        """One PATCH: what it is, what happened and where it stands go together, or not at all."""
        path = f"{_TABLE}/{in_path(ticket)}"
        asked = {"sysparm_fields": "sys_id,state"}
        answer = yield Call(method="GET", path=path, query=asked, reads=True)
        result = answer.checked().json().get("result")
        state = str(result.get("state")) if isinstance(result, dict) else ""
        body = _described(message)
        wanted = self._wanted(message, state)
        if wanted is not None and wanted["state"] != state:
            body |= {**wanted, "work_notes": journal(cut(message.news, _DESCRIPTION))}
        elif message.event is EventType.ACK_EXPIRED:
            body["work_notes"] = journal(cut(message.news, _DESCRIPTION))
        # What a person has closed is not written to any more: most instances refuse that.
        if state not in _ENDED or "state" in body:
            (yield Call(method="PATCH", path=path, query=asked, body=body)).checked()
        return None

    def _wanted(self, message: Message, state: str) -> dict[str, str] | None:
        """Where the incident belongs; None when it stands well where it is."""
        match message.state:
            case AlertState.RESOLVED | AlertState.EXPECTED | AlertState.WITHDRAWN:
                if state in _ENDED:
                    return None
                notes = journal(cut(message.news, _DESCRIPTION))
                return {"state": _RESOLVED, "close_code": self._close_code, "close_notes": notes}
            case AlertState.ACKNOWLEDGED:
                return {"state": _IN_PROGRESS} if state == _NEW else None
            case AlertState.PENDING | AlertState.FIRING | AlertState.SILENCED:
                reopens = message.event is EventType.REOPENED and state in _ENDED
                return {"state": _IN_PROGRESS} if reopens else None


def _described(message: Message) -> dict[str, object]:
    urgency, impact = _URGENCY_IMPACT[message.severity]
    lines = [journal(line) for line in message.lines()] if message.text is None else message.lines()
    return {
        "short_description": cut(journal(message.title), _SHORT_DESCRIPTION),
        "description": fits(lines, _DESCRIPTION),
        "urgency": urgency,
        "impact": impact,
    }
