"""What a receiver is told: an alert's event as the body of a webhook. Pure; golden files pin it.

The shape is Standard Webhooks': type, timestamp of the event, data. It stays below MAX_BYTES whatever the alert
holds: first drivers go, then texts are cut shorter; the link leads to the rest.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

import msgspec
from msgspec import Struct

from connectors.facts import format_instant
from service.core.alerts import AlertEvent, DriverChange
from service.core.notices import Member

MAX_BYTES = 20_000
"""The size the Standard Webhooks specification recommends to stay under."""

_MAX_LABELS = 20


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


def _body(event: AlertEvent, public_url: str | None, members: Sequence[Member], limits: _Limits) -> dict[str, object]:
    record, alert = event.record, event.record.alert
    return {
        "type": event_type(event),
        "timestamp": format_instant(event.at),
        "data": {
            "id": alert.id,
            "version": alert.version,
            "link": alert_link(public_url, alert.id),
            "status": record.state.value,
            "severity": alert.severity.value,
            "kind": alert.kind.value,
            "tenant": _cut(alert.tenant, limits.label),
            "series": _cut(alert.series, 512),
            "labels": _labels(alert.labels, limits),
            "metric": _cut(alert.metric, limits.label),
            "unit": _cut(alert.unit, limits.label),
            "grain": alert.grain,
            "basis": alert.basis.value,
            "detector": _cut(alert.detector, limits.label),
            "starts_at": format_instant(alert.starts_at),
            "ends_at": _instant(alert.ends_at),
            "actual": _number(alert.actual),
            "expected": _number(alert.expected),
            "lower": _number(alert.lower),
            "upper": _number(alert.upper),
            "impact": _number(alert.impact),
            "score": _number(alert.score),
            "buckets": alert.buckets,
            "drivers": [_driver(driver, limits) for driver in alert.drivers[: limits.drivers]],
            "reason": _cut(alert.reason, limits.text),
            "action": _cut(alert.action, limits.text),
            "actor": _cut(event.actor, limits.label),
            "comment": _cut(event.comment, limits.text),
            "acknowledged_by": _cut_or_none(record.acknowledged_by, limits.label),
            "acknowledged_until": _instant(record.acknowledged_until),
            "assigned_to": _cut_or_none(record.assigned_to, limits.label),
            "members": [_member(one, limits) for one in members[: limits.members]],
            "resolved_by": _cut_or_none(record.resolved_by, limits.label),
        },
    }


def _member(member: Member, limits: _Limits) -> dict[str, object]:
    return {"id": member.alert_id or None, "text": _cut(member.text, limits.label)}


def _driver(driver: DriverChange, limits: _Limits) -> dict[str, object]:
    return {
        "labels": _labels(driver.labels, limits),
        **({} if driver.type is None else {"type": driver.type.value}),
        "change": _number(driver.change),
        "before": _number(driver.before),
        "now": _number(driver.now),
    }


def _labels(labels: Mapping[str, str], limits: _Limits) -> dict[str, str]:
    kept = list(labels.items())[:_MAX_LABELS]
    return {_cut(name, limits.label): _cut(value, limits.label) for name, value in kept}


def _number(value: float) -> float:
    """Amounts are exact to 1e-9; digits beyond it are noise of binary fractions."""
    return round(value, 9)


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _cut_or_none(text: str | None, length: int) -> str | None:
    return None if text is None else _cut(text, length)
