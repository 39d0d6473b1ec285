"""Alerts of which a test states only what matters."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from connectors.facts import Basis
from service.core.alerts import Alert, AlertKind, AlertStatus, DriverChange, Point, Severity

NOON = datetime(2024, 9, 18, 12, tzinfo=UTC)


def make_alert(alert_id: str = "a1", version: int = 1, *, team: str = "search", **changes: object) -> Alert:
    """A spike of one team's daily cost: 412.50 USD where about 120 were expected."""
    start = NOON - timedelta(hours=12)
    alert = Alert(
        id=alert_id,
        version=version,
        status=AlertStatus.FIRING,
        kind=AlertKind.SPIKE,
        severity=Severity.MEDIUM,
        tenant="default",
        series=f"default/effective_cost/USD/1d/tag:team={team}",
        labels={"team": team, "metric": "effective_cost", "grain": "1d"},
        metric="effective_cost",
        unit="USD",
        grain="1d",
        basis=Basis.BILLED,
        detector="seasonal",
        starts_at=start,
        ends_at=None,
        judged_at=start + timedelta(hours=6),
        actual=412.5,
        expected=120.0,
        lower=95.0,
        upper=145.0,
        score=0.97,
        impact=292.5,
        buckets=1,
        drivers=(
            DriverChange(labels={"service_name": "Amazon EC2"}, change=260.0, before=80.0, now=340.0),
            DriverChange(labels={"other": "true"}, change=32.5, before=40.0, now=72.5),
        ),
        reason=f"Team {team} cost 412.50 USD on 2024-09-18, 3.4 times what was expected.",
        action="Look at the instances started since 2024-09-17.",
        history=(Point(at=start, actual=412.5, expected=120.0, lower=95.0, upper=145.0, abnormal=True),),
    )
    return replace(alert, **changes)


def resolved(alert_id: str = "a1", version: int = 2, **changes: object) -> Alert:
    return replace(make_alert(alert_id, version), status=AlertStatus.RESOLVED, ends_at=NOON, **changes)


def withdrawn(alert_id: str = "a1", version: int = 2, **changes: object) -> Alert:
    return replace(make_alert(alert_id, version), status=AlertStatus.WITHDRAWN, **changes)


def everyone(*receivers: str) -> "Everyone":
    return Everyone(receivers)


class Everyone:
    """Routes every alert to the same receivers."""

    def __init__(self, receivers: Sequence[str]) -> None:
        self._receivers = tuple(receivers)

    def __call__(self, alert: Alert) -> Sequence[str]:
        return self._receivers
