"""Zendesk: webhooks that are subscribed to ticket events, signed.

`X-Zendesk-Webhook-Signature` is the base64 of HMAC-SHA256 over `X-Zendesk-Webhook-Signature-Timestamp` and the body.
Source: https://developer.zendesk.com/documentation/webhooks/verifying/ and its list of ticket events. Users are told by
their numbers only, except who wrote a comment.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from service.core.inbound import Action, Inbound
from service.core.markers import marker_in
from service.inbound.reading import (
    MalformedError,
    digests,
    from_iso,
    inner,
    json_object,
    require_match,
    require_recent,
    text,
)
from service.inbound.tickets import Desk
from service.inbound_settings import InboundTickets

SIGNATURE_HEADER = "x-zendesk-webhook-signature"
TIMESTAMP_HEADER = "x-zendesk-webhook-signature-timestamp"
EVENTS = "zen:event-type:ticket."
STATUSES = {
    "new": Action.OPEN,
    "open": Action.ACKNOWLEDGE,
    "pending": Action.ACKNOWLEDGE,
    "hold": Action.ACKNOWLEDGE,
    "solved": Action.CLOSE,
    "closed": Action.CLOSE,
}
_NOBODY = "-1"
"""The actor of what Zendesk does by itself, such as closing what was solved long ago."""


class Zendesk:
    """The Sender protocol."""

    def __init__(self, config: InboundTickets) -> None:
        self._desk = Desk(config, STATUSES)

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        timestamp = headers.get(TIMESTAMP_HEADER, "")
        expected = [base64.b64encode(one) for one in digests(self._desk.secrets, timestamp.encode() + body)]
        require_match([headers.get(SIGNATURE_HEADER, "")], expected)
        require_recent(from_iso(timestamp), now)

    def parse(self, body: bytes) -> Sequence[Inbound]:
        event = json_object(body)
        kind = text(event, "type")
        if not kind.startswith(EVENTS):
            return []
        ticket, at, event_id = text(event, "detail", "id"), from_iso(text(event, "time")), text(event, "id")
        if not ticket or at is None or not event_id:
            raise MalformedError("id, time and detail.id")
        actor = text(event, "detail", "actor_id")
        said = Inbound(
            event_id=event_id,
            action=Action.COMMENT,
            at=at,
            actor=actor,
            ours=actor == _NOBODY or self._desk.is_ours(actor),
            remote_ids=(ticket,),
            marker=marker_in(text(event, "detail", "external_id")),
        )
        return self._changes(event, kind.removeprefix(EVENTS), said)

    def _changes(self, event: object, kind: str, said: Inbound) -> Sequence[Inbound]:
        now, before = text(event, "event", "current"), text(event, "event", "previous")
        match kind:
            case "created":
                return [replace(said, action=Action.OPEN, was_over=False)]
            case "status_changed":
                action = self._desk.action_of(now, now)
                if action is None:
                    return []
                return [replace(said, action=action, was_over=self._desk.was_over(before, before))]
            case "agent_assignment_changed":
                return [replace(said, action=Action.ASSIGN, assignee=f"agent {now}" if now else None)]
            case "comment_added":
                author = inner(event, "event", "comment", "author")
                who = text(author, "id")
                return [
                    replace(
                        said,
                        actor=text(author, "name") or who,
                        ours=said.ours or self._desk.is_ours(who),
                        comment=text(event, "event", "comment", "body"),
                    )
                ]
        return []
