"""How an alert's state moves: what detection says joined with what people did.

| state now            | detection: firing | detection: resolved | detection: withdrawn |
|----------------------|-------------------|---------------------|----------------------|
| (new)                | opened            | resolved            | withdrawn            |
| firing               | updated           | resolved            | withdrawn            |
| acknowledged         | updated, stays    | resolved            | withdrawn            |
| resolved             | reopened          | updated, stays      | withdrawn            |
| resolved by a person | updated, stays    | updated, stays      | withdrawn            |
| withdrawn            | reopened          | resolved            | updated, stays       |

What a person resolved stays resolved for this episode (the next episode has another id); when its facts are withdrawn
it says so, and when they come back it is resolved again. A reopened alert has to be acknowledged anew.
"""

from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from service.core.alerts import Alert, AlertRecord, AlertState, AlertStatus, EventType

DETECTION = "detection"
"""The actor of events that no person caused."""

_TERMS = {
    AlertStatus.FIRING: (EventType.OPENED, AlertState.FIRING),
    AlertStatus.RESOLVED: (EventType.RESOLVED, AlertState.RESOLVED),
    AlertStatus.WITHDRAWN: (EventType.WITHDRAWN, AlertState.WITHDRAWN),
}


def detected(current: AlertRecord | None, alert: Alert, *, at: datetime) -> tuple[EventType, AlertRecord] | None:
    """What a new version from detection makes of the record; None when it is not newer than what is kept.

    The record's `seq` is left for whoever numbers the events.
    """
    if current is None:
        event, state = _TERMS[alert.status]
        ended = at if state is AlertState.RESOLVED else None
        return event, AlertRecord(
            alert=alert, state=state, seq=0, created_at=at, updated_at=at, resolved_at=ended, resolved_by=None
        )
    if alert.version <= current.alert.version:
        return None
    event, state = _move(current, alert.status)
    record = replace(current, alert=alert, state=state, updated_at=at)
    match event:
        case EventType.REOPENED:
            record = replace(record, acknowledged_at=None, acknowledged_by=None, resolved_at=None, resolved_by=None)
        case EventType.RESOLVED:
            # Back from withdrawn: whoever had resolved it before has still done so.
            record = replace(record, resolved_at=current.resolved_at if current.resolved_by else at)
        case _:
            pass
    return event, record


def _move(current: AlertRecord, status: AlertStatus) -> tuple[EventType, AlertState]:
    by_hand = current.resolved_by is not None
    match current.state:
        case AlertState.FIRING | AlertState.ACKNOWLEDGED:
            return (EventType.UPDATED, current.state) if status is AlertStatus.FIRING else _TERMS[status]
        case AlertState.RESOLVED:
            if status is AlertStatus.WITHDRAWN:
                return _TERMS[status]
            if status is AlertStatus.FIRING and not by_hand:
                return EventType.REOPENED, AlertState.FIRING
            return EventType.UPDATED, AlertState.RESOLVED
        case AlertState.WITHDRAWN:
            if status is AlertStatus.WITHDRAWN:
                return EventType.UPDATED, AlertState.WITHDRAWN
            if status is AlertStatus.RESOLVED or by_hand:
                return _TERMS[AlertStatus.RESOLVED]
            return EventType.REOPENED, AlertState.FIRING
        case never:
            assert_never(never)


def acknowledged(current: AlertRecord, *, actor: str, at: datetime) -> AlertRecord | None:
    """None when it was acknowledged or over already."""
    if current.state is not AlertState.FIRING:
        return None
    return replace(current, state=AlertState.ACKNOWLEDGED, updated_at=at, acknowledged_at=at, acknowledged_by=actor)


def commented(current: AlertRecord, *, actor: str, at: datetime) -> AlertRecord:
    """A person said something of it: nothing changes by that alone."""
    del actor
    return replace(current, updated_at=at)


def resolved(current: AlertRecord, *, actor: str, at: datetime) -> AlertRecord | None:
    """None when it was over already."""
    if current.state not in (AlertState.FIRING, AlertState.ACKNOWLEDGED):
        return None
    return replace(current, state=AlertState.RESOLVED, updated_at=at, resolved_at=at, resolved_by=actor)
