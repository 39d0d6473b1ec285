"""What a receiver is told: an alert's event as the body of a webhook. Pure; golden files and a schema pin it.

The shape is Standard Webhooks': type, timestamp of the event, data. It stays below MAX_BYTES whatever the alert
holds: first drivers go, then texts are cut shorter; the link leads to the rest.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from connectors.facts import Basis
from service.core.alerts import AlertEvent, AlertKind, AlertState, DriverChange, DriverType, Severity
from service.core.notices import Member

MAX_BYTES = 20_000
"""The size the Standard Webhooks specification recommends to stay under."""

_MAX_LABELS = 20


class AnomalyDriver(Struct, frozen=True, kw_only=True):
    """What one driver contributes to `actual - expected`: the changes add up to it, as long as none is cut.

    type: left out where the source does not tell it."""

    labels: dict[str, str]
    type: DriverType | UnsetType = UNSET
    change: float
    before: float
    now: float


class AnomalyMember(Struct, frozen=True, kw_only=True):
    """An alert that is told with this one. id: null of those beyond the ones that are named."""

    id: str | None
    text: str


class AnomalyData(Struct, frozen=True, kw_only=True):
    """An alert as of the event. Texts come from tags, bills and people: treat them as untrusted.

    id: one ticket for each. version: rises with every change by detection. link: to the dashboard; null when nobody
    said where it is. starts_at, ends_at: of the episode; ends_at is null while it goes on. actual, expected, lower,
    upper: of its worst period, in `unit`. impact: the money at stake, summed over the episode; negative for falls.
    actor, comment: who caused the event, and what they said; `detection`, `dispatch` and `time` are no people.
    acknowledged_by: who looks after it; acknowledged_until: until when, null for good. assigned_to: whose task it is,
    null for nobody's. resolved_by: who ended it; null when detection did.
    """

    id: str
    version: int
    link: str | None
    status: AlertState
    severity: Severity
    kind: AlertKind
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
    actual: float
    expected: float
    lower: float
    upper: float
    impact: float
    score: float
    buckets: int
    drivers: tuple[AnomalyDriver, ...]
    reason: str
    action: str
    actor: str
    comment: str
    acknowledged_by: str | None
    acknowledged_until: datetime | None
    assigned_to: str | None
    members: tuple[AnomalyMember, ...]
    resolved_by: str | None


class AnomalyMessage(Struct, frozen=True, kw_only=True):
    """What a webhook is sent of an alert. type: `cost.anomaly.` and what happened, as `opened`. timestamp: when."""

    type: Annotated[str, Meta(pattern=r"^cost\.anomaly\.[a-z_]+$")]
    timestamp: datetime
    data: AnomalyData


class _Limits(Struct, frozen=True):
    drivers: int
    label: int
    text: int
    members: int


_STEPS = (_Limits(10, 256, 1000, 21), _Limits(5, 128, 500, 10), _Limits(2, 64, 250, 5), _Limits(0, 32, 120, 0))


def event_type(event: AlertEvent) -> str:
    """Dot-separated, as receivers filter by it: `cost.anomaly.opened`."""
    return f"cost.anomaly.{event.type.value}"


def alert_link(public_url: str | None, alert_id: str) -> str | None:
    """Where a person reads more; None when nobody said where the dashboard is."""
    return None if public_url is None else f"{public_url.rstrip('/')}/alerts/{quote(alert_id, safe='')}"


def body_of(event: AlertEvent, public_url: str | None, members: Sequence[Member] = ()) -> bytes:
    """JSON in UTF-8, below MAX_BYTES. Deterministic: all attempts send the same bytes."""
    for limits in _STEPS:
        body = msgspec.json.encode(_body(event, public_url, members, limits))
        if len(body) < MAX_BYTES:
            break
    return body


def _body(event: AlertEvent, public_url: str | None, members: Sequence[Member], limits: _Limits) -> AnomalyMessage:
    record, alert = event.record, event.record.alert
    data = AnomalyData(
        id=alert.id,
        version=alert.version,
        link=alert_link(public_url, alert.id),
        status=record.state,
        severity=alert.severity,
        kind=alert.kind,
        tenant=_cut(alert.tenant, limits.label),
        series=_cut(alert.series, 512),
        labels=_labels(alert.labels, limits),
        metric=_cut(alert.metric, limits.label),
        unit=_cut(alert.unit, limits.label),
        grain=alert.grain,
        basis=alert.basis,
        detector=_cut(alert.detector, limits.label),
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
        actual=_number(alert.actual),
        expected=_number(alert.expected),
        lower=_number(alert.lower),
        upper=_number(alert.upper),
        impact=_number(alert.impact),
        score=_number(alert.score),
        buckets=alert.buckets,
        drivers=tuple(_driver(driver, limits) for driver in alert.drivers[: limits.drivers]),
        reason=_cut(alert.reason, limits.text),
        action=_cut(alert.action, limits.text),
        actor=_cut(event.actor, limits.label),
        comment=_cut(event.comment, limits.text),
        acknowledged_by=_cut_or_none(record.acknowledged_by, limits.label),
        acknowledged_until=record.acknowledged_until,
        assigned_to=_cut_or_none(record.assigned_to, limits.label),
        members=tuple(_member(one, limits) for one in members[: limits.members]),
        resolved_by=_cut_or_none(record.resolved_by, limits.label),
    )
    return AnomalyMessage(type=event_type(event), timestamp=event.at, data=data)


def _member(member: Member, limits: _Limits) -> AnomalyMember:
    return AnomalyMember(id=member.alert_id or None, text=_cut(member.text, limits.label))


def _driver(driver: DriverChange, limits: _Limits) -> AnomalyDriver:
    return AnomalyDriver(
        labels=_labels(driver.labels, limits),
        type=UNSET if driver.type is None else driver.type,
        change=_number(driver.change),
        before=_number(driver.before),
        now=_number(driver.now),
    )


def _labels(labels: Mapping[str, str], limits: _Limits) -> dict[str, str]:
    kept = list(labels.items())[:_MAX_LABELS]
    return {_cut(name, limits.label): _cut(value, limits.label) for name, value in kept}


def _number(value: float) -> float:
    """Amounts are exact to 1e-9; digits beyond it are noise of binary fractions."""
    return round(value, 9)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _cut_or_none(text: str | None, length: int) -> str | None:
    return None if text is None else _cut(text, length)
