"""What another system says of an alert, and what follows from it: a ticket closed there, a page acknowledged, a button.

- Everything is heard once (`event_id`); the store keeps what it has heard.
- States are heard in the order in which they arose there: what is older than the last one known is outdated.
- Our own edits, which the other side tells us of like everybody's, change nothing here. They show where the other side
  stands: when it is elsewhere than we are, and the last thing that happened here came from there, then our edit
  overtook it, and it is told after all (`retell`).
- What came from a receiver is not told back to it; it knows. A pressed button, which changes nothing there, is.

So whatever is echoed, and in whatever order, it comes to rest: an echo makes no event, and a change that came from a
receiver makes at most one message to it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from service.core.alerts import AlertEvent, AlertRecord, EventType
from service.core.transitions import acknowledged, assigned, commented, reopened, resolved

MAX_AGE = timedelta(days=3)
"""What happened longer ago is not heard any more: a request that somebody kept must not work for ever. Longer than any
sender is known to repeat, shorter than events are remembered."""

MAX_SKEW = timedelta(minutes=5)
"""A clock that is further ahead counts as so far ahead, or all that follows would be outdated until then."""


class Action(StrEnum):
    OPEN = "open"
    """It is open there, and nobody works on it: it was opened, or opened again."""
    ACKNOWLEDGE = "acknowledge"
    """It is open there, and somebody works on it."""
    CLOSE = "close"
    ASSIGN = "assign"
    COMMENT = "comment"
    EXPECTED = "expected"
    """Somebody says that the spend was meant."""


STATES = frozenset({Action.OPEN, Action.ACKNOWLEDGE, Action.CLOSE})
"""What says where the other side's ticket stands."""


class Inbound(Struct, frozen=True, kw_only=True):
    """One thing that one sender says of one alert.

    event_id: the same when it is sent again. remote_ids, marker, alert_id: what it may name the alert by: the other
    side's names for its ticket, the mark we left on it, our own id. also: a name that only later events use.
    at: when it happened, by the other side's clock; None is now. actor: who did it there.
    ours: no person did it, but we, or a machine. was_over: whether the ticket was closed before; None is not known.
    comment: of a person, with any action. reply_url: where an answer to that person goes. shown: whether it is seen on
    the other side without us.
    """

    event_id: str
    action: Action
    actor: str = ""
    at: datetime | None = None
    ours: bool = False
    remote_ids: tuple[str, ...] = ()
    marker: str | None = None
    alert_id: str | None = None
    also: str | None = None
    was_over: bool | None = None
    assignee: str | None = None
    comment: str = ""
    reply_url: str | None = None
    shown: bool = True


class Outcome(StrEnum):
    """What became of something that was sent to us; also the label of the metric."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    """It was so already, or the alert's state does not allow it."""
    DUPLICATE = "duplicate"
    OUTDATED = "outdated"
    OURS = "ours"
    IGNORED = "ignored"
    """Of no interest: another kind of event."""
    UNKNOWN_ALERT = "unknown_alert"
    REFUSED = "refused"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"
    """The store or the broker was away: the sender may repeat it."""


class Known(Struct, frozen=True, kw_only=True):
    """What was last heard of the state of a ticket on the other side. at, assigned_at: by its clock."""

    at: datetime | None = None
    is_over: bool | None = None
    assigned_at: datetime | None = None


class Change(Struct, frozen=True, kw_only=True):
    kind: EventType
    record: AlertRecord


class Decision(Struct, frozen=True, kw_only=True):
    """changes: one after the other. known: from now on. retell: as above."""

    outcome: Outcome
    known: Known
    changes: tuple[Change, ...] = ()
    retell: bool = False


class Heard(Struct, frozen=True, kw_only=True):
    """What the store made of it. record: what the alert is now; None where no alert is meant."""

    outcome: Outcome
    events: tuple[AlertEvent, ...] = ()
    record: AlertRecord | None = None


def decide(record: AlertRecord, said: Inbound, known: Known, *, actor: str, now: datetime) -> Decision:
    """record: the alert as it is. actor: who did it, as the audit trail names them."""
    at = min(said.at or now, now + MAX_SKEW)
    last = known.assigned_at if said.action is Action.ASSIGN else known.at if said.action in STATES else None
    if now - at > MAX_AGE or (last is not None and at < last):
        overtaken = now - at <= MAX_AGE and not said.ours and said.was_over and known.is_over is False
        if not overtaken or said.action is Action.CLOSE or not record.state.is_over:
            return Decision(outcome=Outcome.OUTDATED, known=known)
        # A person opened it again, and what came after it there, and was heard before it, left it open.
        back = tuple(_change(EventType.REOPENED, reopened(record, actor=actor, at=now)))
        return Decision(outcome=Outcome.APPLIED if back else Outcome.OUTDATED, known=known, changes=back)
    # Last heard of as closed, it was opened in between, whatever this event says.
    was_over = True if known.is_over else said.was_over if said.was_over is not None else known.is_over
    known = _known(known, said, at)
    if said.ours:
        astray = said.action in STATES and known.is_over is not record.state.is_over
        return Decision(outcome=Outcome.OURS, known=known, retell=astray)
    changes = tuple(_changes(record, said, was_over=was_over, actor=actor, at=now))
    return Decision(outcome=Outcome.APPLIED if changes else Outcome.UNCHANGED, known=known, changes=changes)


def _known(known: Known, said: Inbound, at: datetime) -> Known:
    if said.action in STATES:
        return replace(known, at=at, is_over=said.action is Action.CLOSE)
    return replace(known, assigned_at=at) if said.action is Action.ASSIGN else known


def _changes(
    record: AlertRecord, said: Inbound, *, was_over: bool | None, actor: str, at: datetime
) -> Sequence[Change]:
    """was_over: whether the ticket was closed before, None if nobody knows: opening what was open reopens nothing."""
    match said.action:
        case Action.CLOSE:
            return _change(EventType.RESOLVED, resolved(record, actor=actor, at=at))
        case Action.OPEN:
            return () if was_over is False else _change(EventType.REOPENED, reopened(record, actor=actor, at=at))
        case Action.ACKNOWLEDGE:
            back = _change(EventType.REOPENED, reopened(record, actor=actor, at=at)) if was_over else ()
            now = back[-1].record if back else record
            if now.acknowledged_at is not None:
                return back  # whoever looks after it here goes on doing so
            return (*back, *_change(EventType.ACKNOWLEDGED, acknowledged(now, actor=actor, at=at)))
        case Action.ASSIGN:
            return _change(EventType.ASSIGNED, assigned(record, actor=actor, at=at, to=said.assignee))
        case Action.COMMENT:
            return _change(EventType.COMMENTED, commented(record, actor=actor, at=at))
        case Action.EXPECTED:
            return ()  # goes to detection, which answers with a version of the alert


def _change(kind: EventType, record: AlertRecord | None) -> Sequence[Change]:
    return () if record is None else (Change(kind=kind, record=record),)
