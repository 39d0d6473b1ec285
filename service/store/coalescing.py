"""Which of an alert's waiting messages is sent to a receiver for which the newest says all. Pure.

- What opens an alert is sent as it is, so that what opened and ended while the receiver was away is told of, too.
- Of what waits after it, the newest is sent, up to the next opening; the others are superseded.
- A message that is sent again after newer ones were (a dead one that somebody revived), or after the receiver itself
  told us of something newer, says what the newest says: an old state must not come back. It still opens again what it
  was to open again, unless that is over by now.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from service.core.alerts import AlertEvent, EventType
from service.core.board import DISPATCH

_OPENINGS = frozenset({EventType.OPENED, EventType.REOPENED})
OPENS_OR_ENDS = frozenset({*_OPENINGS, EventType.RESOLVED, EventType.EXPECTED, EventType.WITHDRAWN})
"""What says whether a ticket is to be open."""


class Row(NamedTuple):
    """A message of one alert to one receiver. seq: of its event. remote_id: what the other side called it then."""

    id: str
    seq: int
    state: str
    event: EventType
    remote_id: str | None = None

    @property
    def opens(self) -> bool:
        return self.event in _OPENINGS


class Plan(NamedTuple):
    """send: the row to mark. says: the number of the event to tell of. superseded: rows that need not be sent.
    reopens: one of them opens the alert again."""

    send: str
    says: int
    superseded: tuple[str, ...]
    remote_id: str | None
    reopens: bool = False

    def tells(self, event: AlertEvent) -> AlertEvent:
        """event: the one that it says."""
        if self.reopens and event.type not in OPENS_OR_ENDS and not event.record.state.is_over:
            return as_told(event, EventType.REOPENED)
        return event


def as_told(event: AlertEvent, kind: EventType) -> AlertEvent:
    """An event that shows how the alert is now, as a message of another kind: who made it did not do what is told."""
    return replace(event, type=kind, actor=DISPATCH, comment="")


def plan(rows: Sequence[Row]) -> Plan:
    """rows: all of one alert and receiver, oldest first, at least one of them pending."""
    waiting = [row for row in rows if row.state == "pending"]
    head = waiting[0]
    remote_id = next((row.remote_id for row in reversed(rows) if row.remote_id is not None), None)
    if any(row.seq > head.seq and row.state in ("delivered", "dead", "known") for row in rows):
        return _of(waiting, says=rows[-1].seq, remote_id=remote_id)
    if head.opens:
        return Plan(head.id, head.seq, (), remote_id, head.event is EventType.REOPENED)
    group = [head]
    for row in waiting[1:]:
        if row.opens:
            break
        group.append(row)
    return _of(group, says=group[-1].seq, remote_id=remote_id)


def _of(group: Sequence[Row], *, says: int, remote_id: str | None) -> Plan:
    reopens = any(row.event is EventType.REOPENED for row in group)
    return Plan(group[-1].id, says, tuple(row.id for row in group[:-1]), remote_id, reopens)
