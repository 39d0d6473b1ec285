"""ServiceNow: a business rule that sends what docs/two-way.md tells it to, with the secret in a header.

ServiceNow signs nothing; whoever knows the secret may say anything. What the rule sends is ours to define, so a field
may be missing in an instance that has not got it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from service.core.inbound import Action, Inbound
from service.core.markers import marker_in
from service.inbound.reading import MalformedError, from_iso, json_object, require_shared, text
from service.inbound.tickets import Desk
from service.inbound_settings import InboundTickets

STATES = {
    "1": Action.OPEN,
    "2": Action.ACKNOWLEDGE,
    "3": Action.ACKNOWLEDGE,
    "6": Action.CLOSE,
    "7": Action.CLOSE,
    "8": Action.CLOSE,
}
"""New, in progress, on hold, resolved, closed, cancelled: those of the base system."""
_HEAD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - [^\n]*\([^\n]*\)\n")
"""What stands above an entry of a journal."""


class ServiceNow:
    """The Sender protocol."""

    def __init__(self, config: InboundTickets) -> None:
        self._desk = Desk(config, STATES)

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        del body, now
        require_shared(headers, self._desk.secrets)

    def parse(self, body: bytes) -> Sequence[Inbound]:
        event = json_object(body)
        sys_id, at, count = text(event, "sys_id"), from_iso(text(event, "updated_on")), text(event, "mod_count")
        if not sys_id or at is None or not count.isdecimal():
            raise MalformedError("sys_id, mod_count and updated_on")
        user = text(event, "user")
        said = Inbound(
            event_id=f"{sys_id}.{count}",
            action=Action.COMMENT,
            # Its clock shows seconds; updates of the same second are told apart by their number.
            at=at + timedelta(microseconds=int(count) % 1_000_000),
            actor=user,
            ours=self._desk.is_ours(user),
            remote_ids=(sys_id,),
            marker=marker_in(text(event, "correlation_id")),
        )
        return [replace(one, event_id=f"{said.event_id}.{one.action}") for one in self._changes(event, said)]

    def _changes(self, event: object, said: Inbound) -> Iterator[Inbound]:
        before, state = text(event, "previous_state"), text(event, "state")
        action = self._desk.action_of(state, state)
        comment = _HEAD.sub("", text(event, "comment")).strip()
        moved = state != before and action is not None
        if moved and action is not None:
            was_over = self._desk.was_over(before, before) if before else False
            yield replace(said, action=action, was_over=was_over, comment=comment)
        if text(event, "assigned_to") != text(event, "previous_assigned_to"):
            yield replace(said, action=Action.ASSIGN, assignee=text(event, "assigned_to") or None)
        if comment and not moved:
            yield replace(said, comment=comment)
