"""Which events are worth a message, and to whom.

- opened, reopened: everyone whose route matches, and everyone who was told of this alert before.
- acknowledged, resolved, expected, withdrawn: only those who were told that it is open. An end without a beginning is
  noise, and so is what happens to an alert, however often it was told before, while it is pending (again).
- ack_expired: those too, unless it is silenced by now.
- updated: those who were told, when its severity is above what they were last told, or its impact at least twice that
  (`renotify_factor`); and, while it is open, those whose route matches this version but did not match the last one (a
  route with `severity>=high` hears of a risen alert at once). Not once a person has resolved it or said what it was,
  nor while it is pending, silenced or withdrawn.
- pending, assigned, commented, silenced, unsilenced, inhibited, feedback: nobody. They stand in the audit trail.

So a receiver or route that is added later is not told of old alerts, until something new happens to them.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from service.core.alerts import Alert, AlertRecord, AlertState, EventType, Severity
from service.core.labels import severity_rank

Routes = Callable[[Alert], Sequence[str]]
Factors = Callable[[Alert], Mapping[str, float]]
"""Of an alert: receiver -> by which factor its impact has to grow to be news."""

IMPACT_STEP = 2.0
"""An update is news when the money at stake has grown by this factor since the last message, unless a route says
otherwise (`renotify_factor`)."""


class Notice(Struct, frozen=True, kw_only=True):
    """What a receiver knows of an alert.

    severity, impact: as it was last told, at told_at (None: before that was written down). lead: it hears of the alert
    through the message of this other one only (service/core/dispatch.py). ended: it was told that the alert is over.
    """

    severity: Severity
    impact: float
    told_at: datetime | None = None
    lead: str | None = None
    ended: bool = False

    @property
    def is_told(self) -> bool:
        """Whether the receiver has the alert open, in a message of its own."""
        return self.lead is None and not self.ended


def notice_of(record: AlertRecord, at: datetime) -> Notice:
    alert = record.alert
    return Notice(severity=alert.severity, impact=alert.impact, told_at=at, ended=record.state.is_over)


class Member(Struct, frozen=True, kw_only=True):
    """An alert that a receiver hears of through another one's message. text: one line; of tags, so untrusted."""

    alert_id: str
    text: str


def same_steps(_alert: Alert) -> Mapping[str, float]:
    """IMPACT_STEP for every receiver."""
    return {}


def to_tell(
    event: EventType,
    record: AlertRecord,
    *,
    before: Alert | None,
    told: Mapping[str, Notice],
    routes: Routes,
    factors: Factors = same_steps,
) -> list[str]:
    """Receivers that get a message about *event*.

    before: the version of the alert that was kept until now. told: receiver -> its last notice of this alert.
    """
    alert = record.alert
    match event:
        case EventType.OPENED | EventType.REOPENED:
            return list(dict.fromkeys((*routes(alert), *told)))
        case EventType.ACKNOWLEDGED | EventType.RESOLVED | EventType.EXPECTED | EventType.WITHDRAWN:
            return [] if record.pending_since is not None else list(told)
        case EventType.ACK_EXPIRED:
            return list(told) if record.state is AlertState.FIRING else []
        case (
            EventType.PENDING
            | EventType.ASSIGNED
            | EventType.COMMENTED
            | EventType.SILENCED
            | EventType.UNSILENCED
            | EventType.INHIBITED
        ):
            return []
        case EventType.FEEDBACK:
            return []  # what comes of it is told when detection has heard of it
        case EventType.UPDATED:
            if record.state is AlertState.WITHDRAWN or record.resolved_by is not None or alert.feedback is not None:
                return []
            if record.pending_since is not None or record.silenced_by:
                return []
            steps = factors(alert)
            news = [name for name, notice in told.items() if has_grown(alert, notice, steps.get(name, IMPACT_STEP))]
            if record.state is AlertState.RESOLVED:
                return news
            matched_before = set(routes(before)) if before is not None else set()
            return news + [name for name in routes(alert) if name not in told and name not in matched_before]


def has_grown(alert: Alert, last: Notice, step: float = IMPACT_STEP) -> bool:
    """Whether it is worse than its receiver knows: of a higher severity, or *step* times the money."""
    if severity_rank(alert.severity) > severity_rank(last.severity):
        return True
    return abs(alert.impact) >= step * abs(last.impact) and abs(alert.impact) > abs(last.impact)
