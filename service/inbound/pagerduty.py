"""PagerDuty: webhook subscriptions (V3), signed.

`X-PagerDuty-Signature` holds `v1=<hex of HMAC-SHA256 over the body>`, several separated by commas while the secret is
changed. Only what a user did is heard: our own events, and what PagerDuty does by itself, have another agent or none.
An incident's `incident_key` is our dedup key; its notes name it by its id alone, which the events before them tell.
Source: https://developer.pagerduty.com/docs/webhooks-overview
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from service.core.inbound import Action, Inbound
from service.inbound.reading import (
    MalformedError,
    digests,
    from_iso,
    inner,
    items,
    json_object,
    require_match,
    text,
)
from service.inbound_settings import Inbound as Config

SIGNATURE_HEADER = "x-pagerduty-signature"
STATES = {
    "incident.triggered": (Action.OPEN, None),
    "incident.reopened": (Action.OPEN, True),
    "incident.acknowledged": (Action.ACKNOWLEDGE, False),
    "incident.unacknowledged": (Action.OPEN, False),
    "incident.resolved": (Action.CLOSE, False),
}
"""Event -> what it says, and whether the incident was over before."""
_ASSIGNED = frozenset({"incident.reassigned", "incident.delegated"})
_NOTE = "incident.annotated"


class PagerDuty:
    """The Sender protocol."""

    def __init__(self, config: Config) -> None:
        self._secrets = config.secrets

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        del now
        given = [part.strip() for part in headers.get(SIGNATURE_HEADER, "").split(",")[:10]]
        require_match(given, [f"v1={digest.hex()}".encode() for digest in digests(self._secrets, body)])

    def parse(self, body: bytes) -> Sequence[Inbound]:
        event = inner(json_object(body), "event")
        kind, data = text(event, "event_type"), inner(event, "data")
        if kind not in STATES and kind not in _ASSIGNED and kind != _NOTE:
            return []
        at, event_id = from_iso(text(event, "occurred_at")), text(event, "id")
        incident = text(data, "incident", "id") if kind == _NOTE else text(data, "id")
        key = text(data, "incident_key")
        if at is None or not event_id or not incident:
            raise MalformedError("event.id, event.occurred_at and event.data.id")
        by_a_user = text(event, "agent", "type") == "user_reference"
        said = Inbound(
            event_id=event_id,
            action=Action.COMMENT,
            at=at,
            actor=text(event, "agent", "summary"),
            ours=not by_a_user,
            remote_ids=(key,) if key else (),
            alert_id=key or None,
            also=incident,
        )
        if kind == _NOTE:
            # Whoever writes a note may go unnamed; we write none.
            return [replace(said, ours=False, comment=text(data, "content"))]
        if kind in _ASSIGNED:
            names = ", ".join(filter(None, (text(one, "summary") for one in items(data, "assignees"))))
            return [replace(said, action=Action.ASSIGN, assignee=names or None)]
        action, was_over = STATES[kind]
        return [replace(said, action=action, was_over=was_over)]
