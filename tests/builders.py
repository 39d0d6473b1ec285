"""Facts, alerts and their events, of which a test states only what matters."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from msgspec.structs import replace

from connectors.facts import Basis, Fact
from service.core.alerts import (
    Alert,
    AlertEvent,
    AlertKind,
    AlertRecord,
    AlertState,
    AlertStatus,
    DriverChange,
    DriverType,
    EventType,
    Point,
    Severity,
)
from tests.clock import NOON

_START = NOON - timedelta(hours=12)
_STATES = {
    EventType.PENDING: AlertState.PENDING,
    EventType.ACKNOWLEDGED: AlertState.ACKNOWLEDGED,
    EventType.SILENCED: AlertState.SILENCED,
    EventType.RESOLVED: AlertState.RESOLVED,
    EventType.EXPECTED: AlertState.EXPECTED,
    EventType.WITHDRAWN: AlertState.WITHDRAWN,
}


def make_fact(**changes: object) -> Fact:
    """One team's cost of a day, 12.40 USD, in the seventh revision of a bill."""
    fact = Fact(
        series="default/effective_cost/USD/1d/tag:team=search",
        charge_period_start="2024-09-18T00:00:00Z",
        value=12.4,
        origin="billing:2024-09",
        revision=7,
    )
    return replace(fact, **changes)


def make_alert(alert_id: str = "a1", version: int = 1, *, team: str = "search", **changes: object) -> Alert:
    """A spike of one team's daily cost: 412.50 USD where about 120 were expected."""
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
        starts_at=_START,
        ends_at=None,
        judged_at=_START + timedelta(hours=6),
        actual=412.5,
        expected=120.0,
        lower=95.0,
        upper=145.0,
        score=0.97,
        impact=292.5,
        buckets=1,
        drivers=(
            DriverChange(
                labels={"service_name": "Amazon EC2"},
                change=260.0,
                before=80.0,
                now=340.0,
                type=DriverType.QUANTITY,
            ),
            DriverChange(labels={"other": "true"}, change=32.5, before=40.0, now=72.5, type=DriverType.OTHER),
        ),
        reason=f"Team {team} cost 412.50 USD on 2024-09-18, 3.4 times what was expected.",
        action="Look at the instances started since 2024-09-17.",
        history=make_history(days_before=0),
    )
    return replace(alert, **changes)


def make_history(*, days_before: int) -> tuple[Point, ...]:
    """The worst day of `make_alert` after so many ordinary ones."""
    ordinary = (
        Point(at=_START - timedelta(days=days), actual=118.0 + days % 7, expected=120.0, lower=95.0, upper=145.0)
        for days in range(days_before, 0, -1)
    )
    return (*ordinary, Point(at=_START, actual=412.5, expected=120.0, lower=95.0, upper=145.0, abnormal=True))


def resolved(alert_id: str = "a1", version: int = 2, **changes: object) -> Alert:
    return replace(make_alert(alert_id, version), status=AlertStatus.RESOLVED, ends_at=NOON, **changes)


def withdrawn(alert_id: str = "a1", version: int = 2, **changes: object) -> Alert:
    return replace(make_alert(alert_id, version), status=AlertStatus.WITHDRAWN, **changes)


def event_of(alert: Alert, event_type: EventType = EventType.OPENED, *, seq: int = 7) -> AlertEvent:
    """What happened to an alert; without its chart, as all events are."""
    record = AlertRecord(
        alert=replace(alert, history=()),
        state=_STATES.get(event_type, AlertState.FIRING),
        seq=seq,
        created_at=NOON,
        updated_at=NOON,
    )
    return AlertEvent(seq=seq, at=NOON, type=event_type, actor="detection", comment="", record=record)


def make_event(event_type: EventType = EventType.OPENED, *, seq: int = 7, **changes: object) -> AlertEvent:
    """What happened to `make_alert(**changes)`."""
    return event_of(make_alert(**changes), event_type, seq=seq)  # type: ignore[arg-type]  # any field of an alert


def everyone(*receivers: str) -> Callable[[Alert], Sequence[str]]:
    """Routes every alert to the same receivers."""
    return lambda _alert: receivers
