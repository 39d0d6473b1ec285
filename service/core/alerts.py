"""What an anomaly becomes: the messages on the alerts topic, and what the store and the API hand out."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from connectors.facts import Basis, FeedbackVerdict


class AlertStatus(StrEnum):
    """What detection says. Acknowledging and resolving by hand is kept beside it (see AlertRecord)."""

    FIRING = "firing"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"
    """The facts were restated and the episode is gone."""


class AlertKind(StrEnum):
    SPIKE = "spike"
    DROP = "drop"
    NEW_SPEND = "new_spend"
    """Far above what its peers cost, by a series that has no past of its own."""
    MISSING = "missing"
    """No facts at all, of a series that usually has them in every period, although its source is complete. Not a fall:
    how much was spent is not known."""


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Point(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One bucket of the series behind an alert, as a chart draws it; the band is absent while warming up."""

    at: datetime
    actual: float
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    abnormal: bool = False


class DriverType(StrEnum):
    """Why a driver's cost is another. A driver may have several entries, which lead from what it cost before to now."""

    PRICE = "price"
    """The same quantity at another price."""
    QUANTITY = "quantity"
    """More or less of it, at the price of before."""
    NEW = "new"
    GONE = "gone"
    RETAGGED = "retagged"
    """Came from, or went to, another value of the same tag; the resource is the same."""
    OTHER = "other"
    """The source tells no quantity, or too little of the days before; and what no driver explains."""


class DriverChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one driver contributes to `actual - expected` of the worst bucket: the changes of an alert add up to that.
    What no driver explains stands in an entry with labels {"other": "true"}.

    quantity_before, quantity, unit: of price and quantity entries. counterpart: the other tag value of retagged ones.
    type: None in alerts of versions before it was told."""

    labels: dict[str, str]
    change: float
    before: float
    now: float
    type: DriverType | None = None
    quantity_before: float | None = None
    quantity: float | None = None
    unit: str | None = None
    counterpart: str | None = None


class Alert(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One episode of consecutive abnormal buckets of one series.

    id: deterministic (series, kind, the bucket it was first told from): a replay makes the same.
    version: rises with every change of the alert; the store keeps the highest.
    labels: what people route by: tag or dimension name to value, e.g. {"team": "search"}, plus `metric`, `grain`.
    starts_at, ends_at: first bucket's start and last bucket's end; ends_at is None while firing.
    judged_at: event time at which it first fired.
    actual, expected, lower, upper: of the worst bucket of the episode, in `unit`.
    impact: sum of (actual - expected) over the episode: the money at stake; negative for drops.
    score: of the worst bucket, 0.5 on the bound, 1 never seen.
    reason: one sentence a person understands. action: what to do next.
    feedback: what a person said of it, as far as detection has heard of it.
    history: up to 64 latest buckets, for the chart.
    """

    id: str
    version: int
    status: AlertStatus
    kind: AlertKind
    severity: Severity
    tenant: str
    series: str
    labels: dict[str, str]
    metric: str
    unit: str
    grain: str
    basis: Basis
    detector: str
    starts_at: datetime
    ends_at: datetime | None
    judged_at: datetime
    actual: float
    expected: float
    lower: float
    upper: float
    score: float
    impact: float
    buckets: int
    drivers: tuple[DriverChange, ...]
    reason: str
    action: str
    history: tuple[Point, ...] = ()
    feedback: FeedbackVerdict | None = None


class AlertState(StrEnum):
    """What a person sees: detection's status joined with what people did. How it moves: service/core/transitions.py."""

    PENDING = "pending"
    """Seen, and nobody told yet."""
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    """Open, but a silence matches, and nobody looks after it."""
    RESOLVED = "resolved"
    EXPECTED = "expected"
    """Over, since a person or a plan said that it was meant."""
    WITHDRAWN = "withdrawn"

    @property
    def is_over(self) -> bool:
        return self in _OVER


_OVER = frozenset((AlertState.RESOLVED, AlertState.EXPECTED, AlertState.WITHDRAWN))
COUNTED = (AlertState.PENDING, AlertState.FIRING, AlertState.ACKNOWLEDGED)
"""What counts as open where alerts and money are summed up. Silenced ones are open, too, and listed apart."""


class AlertRecord(Struct, frozen=True, kw_only=True):
    """An alert as the store keeps it.

    seq: number of its last event; orders the live stream.
    acknowledged_until: when the acknowledgement ends by itself; None for never.
    resolved_by: who ended it, a person or a plan; None when detection did.
    held_back: beyond an alert budget: nobody was told.
    assigned_to: whose task it is, as people named them.
    silenced_by: ids of the silences that match, while it is open.
    inhibited_by: id of the alert that is told in its place, since it is the same money or a rule says so.
    pending_since: since when it has been waiting for people to be told; None once they were to be.
    reopened_at: when it last came back after an end that people had seen; None when it never did.
    """

    alert: Alert
    state: AlertState
    seq: int
    created_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_until: datetime | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    held_back: bool = False
    assigned_to: str | None = None
    silenced_by: tuple[str, ...] = ()
    inhibited_by: str | None = None
    pending_since: datetime | None = None
    reopened_at: datetime | None = None


class EventType(StrEnum):
    PENDING = "pending"
    """Detection has found it, or it is back; nobody told yet."""
    OPENED = "opened"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"
    ACK_EXPIRED = "ack_expired"
    """The time is over for which somebody wanted to look after it."""
    ASSIGNED = "assigned"
    """Also to nobody: see `assigned_to` of the record."""
    COMMENTED = "commented"
    SILENCED = "silenced"
    """Other silences match than before, and at least one."""
    UNSILENCED = "unsilenced"
    INHIBITED = "inhibited"
    """Another alert is told in its place, or none any more: see `inhibited_by` of the record."""
    RESOLVED = "resolved"
    EXPECTED = "expected"
    WITHDRAWN = "withdrawn"
    REOPENED = "reopened"
    FEEDBACK = "feedback"
    """A person said what it was; the comment begins with the verdict."""


class AlertEvent(Struct, frozen=True, kw_only=True):
    """One change of an alert: an entry of the audit trail and of the live stream.

    seq: rises without gaps being skipped by readers: events become visible in the order of their numbers.
    actor: `detection`, or the user who did it.
    """

    seq: int
    at: datetime
    type: EventType
    actor: str
    comment: str
    record: AlertRecord
