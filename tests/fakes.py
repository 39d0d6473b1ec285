"""Working stand-ins without I/O, for tests of what is built on them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from service.core.alerts import Alert, AlertEvent, AlertRecord, AlertState, AlertStatus, EventType, Severity
from service.store.store import AlertNotFoundError, AlertQuery, BadCursorError, Delivery, Page, Summary
from service.web.filters import matches

NOON = datetime(2024, 9, 18, 12, tzinfo=UTC)


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        self.at += by


class MemoryStore:
    """AlertStore and Outbox in dictionaries: a version replaces an older one, what a person did is kept while it fires.

    problem: raised by every method while it is set, as a database that is away would. Deliveries are put in by tests.
    """

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.problem: Exception | None = None
        self.records: dict[str, AlertRecord] = {}
        self.events: list[AlertEvent] = []
        self.deliveries: list[Delivery] = []

    async def record(self, alerts: Sequence[Alert]) -> list[AlertEvent]:
        self._check()
        now = self.clock.now()
        return [event for alert in alerts if (event := self._detected(alert, now))]

    async def get(self, alert_id: str) -> AlertRecord:
        self._check()
        try:
            return self.records[alert_id]
        except KeyError:
            raise AlertNotFoundError(alert_id) from None

    async def find(self, query: AlertQuery) -> Page:
        self._check()
        found = sorted((r for r in self.records.values() if matches(query, r)), key=lambda r: r.seq, reverse=True)
        after = found
        if query.cursor is not None:
            if not query.cursor.isdecimal():
                raise BadCursorError(query.cursor)
            after = [record for record in found if record.seq < int(query.cursor)]
        items = tuple(after[: query.limit])
        more = len(after) > len(items)
        return Page(items=items, next_cursor=str(items[-1].seq) if more else None, total=len(found))

    async def summary(self, tenant: str | None = None) -> Summary:
        self._check()
        records = [r for r in self.records.values() if tenant in (None, r.alert.tenant)]
        still_open = [r for r in records if r.state in (AlertState.FIRING, AlertState.ACKNOWLEDGED)]
        impact: dict[str, float] = {}
        for record in still_open:
            if record.alert.impact > 0:
                impact[record.alert.unit] = impact.get(record.alert.unit, 0.0) + record.alert.impact
        return Summary(
            states={state: sum(r.state is state for r in records) for state in AlertState},
            severities={severity: sum(r.alert.severity is severity for r in still_open) for severity in Severity},
            impact=impact,
        )

    async def acknowledge(self, alert_id: str, *, actor: str, comment: str, at: datetime) -> AlertEvent | None:
        record = await self.get(alert_id)
        if record.state is not AlertState.FIRING:
            return None
        record = replace(record, state=AlertState.ACKNOWLEDGED, acknowledged_at=at, acknowledged_by=actor)
        return self._change(EventType.ACKNOWLEDGED, record, at=at, actor=actor, comment=comment)

    async def resolve(self, alert_id: str, *, actor: str, comment: str, at: datetime) -> AlertEvent | None:
        record = await self.get(alert_id)
        if record.state not in (AlertState.FIRING, AlertState.ACKNOWLEDGED):
            return None
        record = replace(record, state=AlertState.RESOLVED, resolved_at=at, resolved_by=actor)
        return self._change(EventType.RESOLVED, record, at=at, actor=actor, comment=comment)

    async def events_of(self, alert_id: str) -> list[AlertEvent]:
        await self.get(alert_id)
        return [event for event in self.events if event.record.alert.id == alert_id]

    async def events_after(self, seq: int, limit: int) -> list[AlertEvent]:
        self._check()
        # Numbers begin with 1 and have no holes.
        return self.events[seq : seq + limit]

    async def last_seq(self) -> int:
        self._check()
        return len(self.events)

    async def claim(
        self, *, worker: str, now: datetime, lease_seconds: float, limit: int, receiver: str | None = None
    ) -> list[Delivery]:
        self._check()
        due = [d for d in self.deliveries if d.state == "pending" and d.next_attempt_at <= now]
        return [d for d in due if receiver in (None, d.receiver)][:limit]

    async def delivered(self, delivery_id: str, *, at: datetime, remote_id: str | None = None) -> None:
        self._set(delivery_id, lambda d: replace(d, state="delivered", delivered_at=at, remote_id=remote_id))

    async def retry(
        self, delivery_id: str, *, error: str, next_attempt_at: datetime, worker: str | None = None
    ) -> None:
        self._set(delivery_id, lambda d: replace(d, last_error=error, next_attempt_at=next_attempt_at))

    async def dead(self, delivery_id: str, *, error: str, at: datetime, worker: str | None = None) -> None:
        self._set(delivery_id, lambda d: replace(d, state="dead", last_error=error))

    async def deliveries_of(self, alert_id: str) -> list[Delivery]:
        self._check()
        return [delivery for delivery in self.deliveries if delivery.event.record.alert.id == alert_id]

    async def counts(self) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        for delivery in self.deliveries:
            states = counts.setdefault(delivery.receiver, {})
            states[delivery.state] = states.get(delivery.state, 0) + 1
        return counts

    def _detected(self, alert: Alert, now: datetime) -> AlertEvent | None:
        current = self.records.get(alert.id)
        if current is not None and alert.version <= current.alert.version:
            return None
        kind = {AlertStatus.RESOLVED: EventType.RESOLVED, AlertStatus.WITHDRAWN: EventType.WITHDRAWN}.get(alert.status)
        state = AlertState(alert.status.value)
        if current is None:
            record = AlertRecord(alert=alert, state=state, seq=0, created_at=now, updated_at=now)
            return self._change(kind or EventType.OPENED, record, at=now, actor="detection", comment="")
        if alert.status is AlertStatus.FIRING:
            state = current.state
        record = replace(current, alert=alert, state=state)
        return self._change(kind or EventType.UPDATED, record, at=now, actor="detection", comment="")

    def _change(self, kind: EventType, record: AlertRecord, *, at: datetime, actor: str, comment: str) -> AlertEvent:
        record = replace(record, seq=len(self.events) + 1, updated_at=at)
        self.records[record.alert.id] = record
        lean = replace(record, alert=replace(record.alert, history=()))
        event = AlertEvent(seq=record.seq, at=at, type=kind, actor=actor, comment=comment, record=lean)
        self.events.append(event)
        return event

    def _set(self, delivery_id: str, change: Callable[[Delivery], Delivery]) -> None:
        self._check()
        self.deliveries = [change(d) if d.id == delivery_id else d for d in self.deliveries]

    def _check(self) -> None:
        if self.problem is not None:
            raise self.problem
