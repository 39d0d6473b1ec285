"""Whether an alert is one that somebody may be told of."""

from datetime import datetime, timedelta

from service.core.alerts import AlertRecord, AlertState, AlertStatus

MAX_LINGER = timedelta(days=14)


def is_hearable(record: AlertRecord) -> bool:
    """Whether somebody may be told of it. What a person has taken while it was pending is in good hands."""
    if record.state is AlertState.ACKNOWLEDGED:
        return record.pending_since is None
    return record.state in (AlertState.PENDING, AlertState.FIRING)


def is_ending(record: AlertRecord) -> bool:
    """Whether detection has ended it, and it is only open since people are still to be told of it."""
    return not record.state.is_over and record.alert.status is AlertStatus.RESOLVED


def lingers_until(record: AlertRecord) -> datetime:
    """A wider series leaves its band later, and gets used to a new level later: an alert that is over stands for others
    of the same money for as long again as it lasted, at most two weeks."""
    alert = record.alert
    lasted = (alert.ends_at or alert.starts_at) - alert.starts_at
    return record.updated_at + min(lasted, MAX_LINGER)


def is_planned(record: AlertRecord) -> bool:
    """Whether it is only over because a plan covers it. (What a person expects, detection ends.)"""
    return record.state is AlertState.EXPECTED and record.resolved_by is not None
