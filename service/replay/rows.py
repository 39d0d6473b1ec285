"""An alert as a replay prints it: one JSON object a line."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Struct

from service.core.alerts import Alert, AlertKind, AlertStatus, DriverChange, Severity

_encode = msgspec.json.Encoder().encode


class Row(Struct, frozen=True, kw_only=True):
    """labels: tag key or dimension -> value; `metric` with them where it is not the bill's usage (a tax, a purchase).
    judged_at: event time at which it first fired. The others are the alert's own (service/core/alerts.py)."""

    id: str
    kind: AlertKind
    status: AlertStatus
    severity: Severity
    labels: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None
    judged_at: datetime
    actual: float
    expected: float
    lower: float
    upper: float
    currency: str
    drivers: tuple[DriverChange, ...]


def row_of(alert: Alert) -> Row:
    plain = "." not in alert.metric
    hidden = ("grain", "metric") if plain else ("grain",)
    own = alert.series.split("/", 4)[-1].partition("=")[0].removeprefix("tag:")
    return Row(
        id=alert.id,
        kind=alert.kind,
        status=alert.status,
        severity=alert.severity,
        labels={name: value for name, value in alert.labels.items() if name not in hidden or name == own},
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
        judged_at=alert.judged_at,
        actual=alert.actual,
        expected=alert.expected,
        lower=alert.lower,
        upper=alert.upper,
        currency=alert.unit,
        drivers=alert.drivers,
    )


def json_line(alert: Alert) -> str:
    return _encode(row_of(alert)).decode()


def in_order(alerts: Iterable[Alert]) -> list[Alert]:
    """By the event time they fired at; alerts of equal times by series and kind."""
    return sorted(alerts, key=lambda alert: (alert.judged_at, alert.starts_at, alert.series, alert.kind.value))
