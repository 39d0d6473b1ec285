"""How an alert's state moves: what detection says joined with what people, silences and time did. Pure and total.

Detection's word, each with a new version of the alert:

| state now              | firing              | resolved                | withdrawn        |
|------------------------|---------------------|-------------------------|------------------|
| (new)                  | opened              | resolved                | withdrawn        |
| pending                | updated, stays      | updated, stays          | withdrawn        |
| firing                 | updated             | resolved                | withdrawn        |
| acknowledged           | updated, stays      | resolved                | withdrawn        |
| silenced               | updated, stays      | resolved                | withdrawn        |
| resolved               | reopened            | updated, stays          | withdrawn        |
| resolved by a person   | updated, stays      | updated, stays          | withdrawn        |
| expected, by feedback  | reopened            | updated, stays          | withdrawn        |
| expected, by a plan    | updated, stays      | updated, stays          | withdrawn        |
| withdrawn              | reopened            | resolved                | updated, stays   |

- Whoever opens alerts as pending gets the event `pending` and that state in place of `opened` and `reopened`; `opened`
  (below) is what follows when people are to be told.
- What ends by itself while it is pending stays so until people have been told of it: the money was spent (`ended`).
- What is resolved and carries the feedback `expected` ends as `expected` in place of `resolved`. Feedback that changes
  after the end moves it between the two with `updated`.
- What a person resolved stays resolved for this episode (the next episode has another id); when its facts are withdrawn
  it says so, and when they come back it is resolved again. What a plan expected is asked of the plan again then.
- A reopened alert has to be acknowledged anew, and is asked anew whether it is silenced or inhibited.

Everybody else's word. What is not in the table changes nothing, and the function says None:

| word                 | pending      | firing       | acknowledged    | silenced     | resolved, expected |
|----------------------|--------------|--------------|-----------------|--------------|--------------------|
| opened               | firing       |              |                 |              |                    |
| acknowledged         | acknowledged | acknowledged | for longer, ... | acknowledged |                    |
| acknowledgement_over |              |              | as before it    |              |                    |
| silenced             | silenced     | silenced     | stays           | by others    |                    |
| unsilenced           |              |              | stays           | as before it |                    |
| inhibited            | stays        | stays        | stays           | stays        |                    |
| resolved             | resolved     | resolved     | resolved        | resolved     |                    |
| expected             | expected     | expected     | expected        | expected     |                    |
| reopened             |              |              |                 |              | firing, if by hand |
| assigned, commented  | stays        | stays        | stays           | stays        | stays              |

What is withdrawn can be assigned and commented, too, and nothing else.

An open alert's state follows from its record: acknowledged while somebody looks after it, else silenced while a silence
matches, else pending while nobody is to be told, else firing. So an end of one uncovers what was below it, and what
was acknowledged or silenced while pending is pending again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from connectors.facts import FeedbackVerdict
from service.core.alerts import Alert, AlertRecord, AlertState, AlertStatus, EventType

DETECTION = "detection"
"""The actor of events that no person caused."""
TIME = "time"
"""The actor of what a moment that has come brings about."""

_ENDS = {
    AlertState.RESOLVED: EventType.RESOLVED,
    AlertState.EXPECTED: EventType.EXPECTED,
    AlertState.WITHDRAWN: EventType.WITHDRAWN,
}


def detected(
    current: AlertRecord | None, alert: Alert, *, at: datetime, pending: bool = False
) -> tuple[EventType, AlertRecord] | None:
    """What a new version from detection makes of the record; None when it is not newer than what is kept.

    pending: people are told later; what opens, or comes back, does so as pending.
    The record's `seq` is left for whoever numbers the events.
    """
    if current is None:
        record = AlertRecord(alert=alert, state=AlertState.FIRING, seq=0, created_at=at, updated_at=at)
        if alert.status is AlertStatus.FIRING:
            waiting = replace(record, pending_since=at if pending else None)
            return EventType.PENDING if pending else EventType.OPENED, _open(waiting)
        return _ended(record, _end_of(alert), at=at)
    if alert.version <= current.alert.version:
        return None
    record = replace(current, alert=alert, updated_at=at)
    match current.state:
        case AlertState.PENDING | AlertState.FIRING | AlertState.ACKNOWLEDGED | AlertState.SILENCED:
            goes_on = alert.status is AlertStatus.FIRING
            unheard = current.state is AlertState.PENDING and _end_of(alert) is AlertState.RESOLVED
            if goes_on or unheard:
                return EventType.UPDATED, record
            return _ended(record, _end_of(alert), at=at)
        case AlertState.RESOLVED | AlertState.EXPECTED:
            return _after_its_end(record, at=at, pending=pending)
        case AlertState.WITHDRAWN:
            return _after_withdrawal(record, at=at, pending=pending)
        case never:
            assert_never(never)


def _after_its_end(record: AlertRecord, *, at: datetime, pending: bool) -> tuple[EventType, AlertRecord]:
    """record: with the new version, and still in its old state."""
    if record.alert.status is AlertStatus.WITHDRAWN:
        if record.state is AlertState.EXPECTED:
            # Not for ever, as a person's word: should the facts come back, the plan may have changed.
            record = replace(record, resolved_by=None)
        return _ended(record, AlertState.WITHDRAWN, at=at)
    if record.alert.status is AlertStatus.FIRING:
        return (EventType.UPDATED, record) if record.resolved_by else _back(record, at=at, pending=pending)
    by_a_plan = record.state is AlertState.EXPECTED and record.resolved_by is not None
    state = AlertState.EXPECTED if by_a_plan else _end_of(record.alert)
    return EventType.UPDATED, replace(record, state=state)


def _after_withdrawal(record: AlertRecord, *, at: datetime, pending: bool) -> tuple[EventType, AlertRecord]:
    if record.alert.status is AlertStatus.WITHDRAWN:
        return EventType.UPDATED, record
    if record.resolved_by is not None:
        # Whoever had resolved it before has still done so.
        return _ended(record, _end_of(record.alert), at=record.resolved_at or at)
    if record.alert.status is AlertStatus.RESOLVED:
        return _ended(record, _end_of(record.alert), at=at)
    return _back(record, at=at, pending=pending)


def _end_of(alert: Alert) -> AlertState:
    """How it ends, if it does."""
    if alert.status is AlertStatus.WITHDRAWN:
        return AlertState.WITHDRAWN
    meant = alert.status is AlertStatus.RESOLVED and alert.feedback is FeedbackVerdict.EXPECTED
    return AlertState.EXPECTED if meant else AlertState.RESOLVED


def _ended(record: AlertRecord, state: AlertState, *, at: datetime) -> tuple[EventType, AlertRecord]:
    resolved_at = record.resolved_at if state is AlertState.WITHDRAWN else at
    return _ENDS[state], replace(record, state=state, acknowledged_until=None, resolved_at=resolved_at)


def _back(record: AlertRecord, *, at: datetime, pending: bool) -> tuple[EventType, AlertRecord]:
    """Open again, with nothing left of what was said of it before."""
    record = replace(
        record,
        acknowledged_at=None,
        acknowledged_by=None,
        acknowledged_until=None,
        resolved_at=None,
        resolved_by=None,
        silenced_by=(),
        inhibited_by=None,
        pending_since=at if pending else None,
        # Of one that ended while it was pending nobody has heard: for people it begins now.
        reopened_at=at if record.pending_since is None else record.reopened_at,
    )
    if pending:
        return EventType.PENDING, _open(record)
    return _opening(record), _open(record)


def _opening(record: AlertRecord) -> EventType:
    """As what people are told of it."""
    return EventType.OPENED if record.reopened_at is None else EventType.REOPENED


def _open(record: AlertRecord) -> AlertRecord:
    """With the state that follows from what is known of it."""
    if record.acknowledged_at is not None:
        state = AlertState.ACKNOWLEDGED
    elif record.silenced_by:
        state = AlertState.SILENCED
    else:
        state = AlertState.FIRING if record.pending_since is None else AlertState.PENDING
    return replace(record, state=state)


def opened(current: AlertRecord, *, at: datetime) -> tuple[EventType, AlertRecord] | None:
    """People are told now: `opened`, or `reopened` if they were in an earlier life. None when it is not pending."""
    if current.state is not AlertState.PENDING:
        return None
    return _opening(current), _open(replace(current, pending_since=None, updated_at=at))


def ended(current: AlertRecord, *, at: datetime) -> AlertRecord | None:
    """What detection has ended while it was pending is over now. None where it has not, or it was over already."""
    if current.state.is_over or current.alert.status is not AlertStatus.RESOLVED:
        return None
    return _ended(replace(current, updated_at=at), AlertState.RESOLVED, at=at)[1]


def acknowledged(
    current: AlertRecord, *, actor: str, at: datetime, until: datetime | None = None
) -> AlertRecord | None:
    """Somebody looks after it. until: for how long; None until it ends.

    None when it is over, was acknowledged until then already, or *until* is not in the future.
    """
    if current.state.is_over or (until is not None and until <= at):
        return None
    if current.state is AlertState.ACKNOWLEDGED and current.acknowledged_until == until:
        return None
    return _open(replace(current, updated_at=at, acknowledged_at=at, acknowledged_by=actor, acknowledged_until=until))


def acknowledgement_over(current: AlertRecord, *, at: datetime) -> AlertRecord | None:
    """The event `ack_expired`. None when it is not acknowledged, or for longer."""
    until = current.acknowledged_until
    if current.state is not AlertState.ACKNOWLEDGED or until is None or until > at:
        return None
    return _open(replace(current, updated_at=at, acknowledged_at=None, acknowledged_by=None, acknowledged_until=None))


def silenced(current: AlertRecord, *, by: Sequence[str], at: datetime) -> AlertRecord | None:
    """by: ids of the silences that match now; none lifts them, as `unsilenced`. None when nothing changes by it."""
    if current.state.is_over or current.silenced_by == tuple(by):
        return None
    return _open(replace(current, updated_at=at, silenced_by=tuple(by)))


def inhibited(current: AlertRecord, *, by: str | None, at: datetime) -> AlertRecord | None:
    """by: id of the alert that is told in its place; None frees it. None when it is over, or nothing changes."""
    if current.state.is_over or current.inhibited_by == by:
        return None
    return replace(current, updated_at=at, inhibited_by=by)


def assigned(current: AlertRecord, *, actor: str, at: datetime, to: str | None) -> AlertRecord | None:
    """to: whose task it is now, also of what is over; None is nobody's. None when it was so already."""
    del actor
    return None if current.assigned_to == to else replace(current, updated_at=at, assigned_to=to)


def commented(current: AlertRecord, *, actor: str, at: datetime) -> AlertRecord:
    """A person said something of it: nothing changes by that alone."""
    del actor
    return replace(current, updated_at=at)


def resolved(current: AlertRecord, *, actor: str, at: datetime) -> AlertRecord | None:
    """None when it was over already."""
    if current.state.is_over:
        return None
    _, record = _ended(current, AlertState.RESOLVED, at=at)
    return replace(record, updated_at=at, resolved_by=actor)


def expected(current: AlertRecord, *, actor: str, at: datetime) -> AlertRecord | None:
    """A plan covers it; what a person expects is feedback, and comes from detection. None when it was over already."""
    if current.state.is_over:
        return None
    _, record = _ended(current, AlertState.EXPECTED, at=at)
    return replace(record, updated_at=at, resolved_by=actor)


def reopened(current: AlertRecord, *, actor: str, at: datetime) -> AlertRecord | None:
    """Takes back what a person resolved or a plan expected. None when neither did, or it has ended meanwhile anyway:
    what detection has ended only detection opens again.
    """
    del actor
    goes_on = current.alert.status is AlertStatus.FIRING
    if not current.state.is_over or current.resolved_by is None or not goes_on:
        return None
    return replace(_back(current, at=at, pending=False)[1], updated_at=at)
