"""The store without a database, for tests of what is built on it; it keeps the contracts of tests/contracts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from service.core.alerts import COUNTED, Alert, AlertEvent, AlertRecord, AlertState, EventType, Severity
from service.core.budget import BudgetState
from service.core.deeds import Deed
from service.core.inbound import Heard, Inbound, Known, Outcome, decide
from service.core.markers import marker_of
from service.core.notices import Notice, Routes, notice_of, to_tell
from service.core.silences import Silence, SilenceError, SilenceState, check, state_of
from service.core.transitions import DETECTION, TIME, acknowledgement_over, detected
from service.store.coalescing import OPENS_OR_ENDS, Row, plan
from service.store.people import ByPeople
from service.store.silences import SilenceNotFoundError
from service.store.store import (
    BY_PEOPLE,
    LATELY,
    MAX_PAGE,
    AlertNotFoundError,
    AlertQuery,
    BadCursorError,
    Delivery,
    DeliveryPage,
    DeliveryQuery,
    LetterDelivery,
    Page,
    Summary,
    named_last,
)
from service.web.filters import matches
from tests.clock import FakeClock


def nobody(alert: Alert) -> Sequence[str]:
    """Routes no alert to anybody."""
    return ()


@dataclass(slots=True)
class MemoryDatabase:
    """What a store keeps. told: alert id -> receiver -> its last notice. leases: delivery id -> worker and end.

    heard: receiver and event id. known: receiver and alert id -> the ticket there. also: receiver and another name of
    the ticket -> alert id.
    """

    records: dict[str, AlertRecord] = field(default_factory=dict)
    events: list[AlertEvent] = field(default_factory=list)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    told: dict[str, dict[str, Notice]] = field(default_factory=dict)
    leases: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    heard: set[tuple[str, str]] = field(default_factory=set)
    known: dict[tuple[str, str], Known] = field(default_factory=dict)
    also: dict[tuple[str, str], str] = field(default_factory=dict)


class MemorySilences:
    """SilenceStore in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, Silence] = {}

    async def add_silence(self, draft: Silence) -> Silence:
        silence = replace(draft, id=f"s{len(self.kept) + 1}")
        check(silence)
        self.kept[silence.id] = silence
        return silence

    async def silence(self, silence_id: str) -> Silence:
        if silence_id not in self.kept:
            raise SilenceNotFoundError(silence_id)
        return self.kept[silence_id]

    async def change_silence(
        self, silence_id: str, *, ends_at: datetime, comment: str, amount_per_day: float | None, at: datetime
    ) -> Silence:
        known = await self.silence(silence_id)
        if state_of(known, at) is SilenceState.EXPIRED:
            raise SilenceError("id", "it has expired; make a new one")
        changed = replace(known, ends_at=ends_at, comment=comment, amount_per_day=amount_per_day, updated_at=at)
        check(changed)
        self.kept[silence_id] = changed
        return changed

    async def expire_silence(self, silence_id: str, *, at: datetime) -> Silence:
        known = await self.silence(silence_id)
        if state_of(known, at) is not SilenceState.EXPIRED:
            self.kept[silence_id] = replace(known, expired_at=at, updated_at=at)
        return self.kept[silence_id]

    async def silences(self, *, at: datetime, state: SilenceState | None = None, limit: int = 500) -> list[Silence]:
        found = [one for one in self.kept.values() if state is None or state_of(one, at) is state]
        return sorted(found, key=lambda one: one.until, reverse=True)[:limit]


class MemoryStore(ByPeople):
    """AlertStore, Outbox and Inbox in dictionaries, with the states and the rules of notices that the real one has.

    problem: raised by every method while it is set, as a database that is away would. database: of another store, to
    open it again. Tests may put deliveries in with `add_delivery`.
    """

    def __init__(
        self, clock: FakeClock | None = None, *, routes: Routes = nobody, database: MemoryDatabase | None = None
    ) -> None:
        self.clock = clock or FakeClock()
        self.problem: Exception | None = None
        self.budget_states: list[BudgetState] = []
        self._routes = routes
        self._kept = database or MemoryDatabase()

    @property
    def events(self) -> list[AlertEvent]:
        return self._kept.events

    async def record(self, alerts: Sequence[Alert]) -> list[AlertEvent]:
        self._check()
        now = self.clock.now()
        changes = []
        for alert in alerts:
            change = detected(self._kept.records.get(alert.id), alert, at=now)
            if change is not None:
                changes.append(self._change(*change, at=now))
        return changes

    async def budgets(self) -> list[BudgetState]:
        self._check()
        return self.budget_states

    async def get(self, alert_id: str) -> AlertRecord:
        self._check()
        try:
            return self._kept.records[alert_id]
        except KeyError:
            raise AlertNotFoundError(alert_id) from None

    async def find(self, query: AlertQuery) -> Page:
        self._check()
        records = sorted(self._kept.records.values(), key=lambda record: record.seq, reverse=True)
        found = [record for record in records if matches(query, record)]
        if query.folded:
            heads = {record.alert.id for record in found if record.inhibited_by is None}
            found = [record for record in found if record.inhibited_by not in heads]
        after = found
        if query.cursor is not None:
            if not query.cursor.isdecimal():
                raise BadCursorError(query.cursor)
            after = [record for record in found if record.seq < int(query.cursor)]
        items = tuple(after[: max(1, min(query.limit, MAX_PAGE))])
        more = len(after) > len(items)
        return Page(items=items, next_cursor=str(items[-1].seq) if more else None, total=len(found))

    async def summary(self, tenant: str | None = None) -> Summary:
        self._check()
        records = [r for r in self._kept.records.values() if tenant in (None, r.alert.tenant)]
        still_open = [r for r in records if r.state in COUNTED]
        impact: dict[str, float] = {}
        for record in still_open:
            if record.alert.impact > 0:
                impact[record.alert.unit] = impact.get(record.alert.unit, 0.0) + record.alert.impact
        return Summary(
            states={state: sum(r.state is state for r in records) for state in AlertState},
            severities={severity: sum(r.alert.severity is severity for r in still_open) for severity in Severity},
            impact=impact,
        )

    async def expire_acknowledgements(self, now: datetime) -> list[AlertEvent]:
        self._check()
        over = [acknowledgement_over(record, at=now) for record in self._kept.records.values()]
        return [self._change(EventType.ACK_EXPIRED, record, at=now, actor=TIME) for record in over if record]

    async def inhibited(self, heads: Sequence[str]) -> list[AlertRecord]:
        self._check()
        found = [record for record in self._kept.records.values() if record.inhibited_by in heads]
        found.sort(key=lambda record: (-abs(record.alert.impact), record.alert.id))
        return [replace(record, alert=replace(record.alert, history=())) for record in found]

    async def people(self) -> list[str]:
        self._check()
        owners = [(one.seq, one.assigned_to) for one in self._kept.records.values() if one.assigned_to is not None]
        done = [(event.seq, event.actor) for event in self.events[-LATELY:] if event.type in BY_PEOPLE]
        return named_last(owners, done)

    def put(self, kind: EventType, record: AlertRecord, *, at: datetime) -> None:
        """A change that neither detection nor a person made, as the dispatch of alerts does."""
        self._change(kind, record, at=at)

    async def _do(self, alert_id: str, deed: Deed) -> AlertEvent | None:
        head = await self.get(alert_id)
        members = [record for record in self._kept.records.values() if record.inhibited_by == alert_id]
        events = [
            self._change(deed.kind, record, at=deed.at, actor=deed.actor, comment=comment)
            for record, comment in deed.changes(head, members)
        ]
        return events[-1] if events else None

    async def hear(self, receiver: str, said: Inbound, *, actor: str, at: datetime) -> Heard:
        self._check()
        if (receiver, said.event_id) in self._kept.heard:
            return Heard(outcome=Outcome.DUPLICATE)
        alert_id = self._meant(receiver, said)
        if alert_id is None:
            return Heard(outcome=Outcome.UNKNOWN_ALERT)
        record, key = self._kept.records[alert_id], (receiver, alert_id)
        decision = decide(record, said, self._kept.known.get(key, Known()), actor=actor, now=at)
        rows = [row for row in self._kept.deliveries.values() if (row.receiver, row.event.record.alert.id) == key]
        origin = receiver if said.shown and not any(row.state == "pending" for row in rows) else None
        events = tuple(
            self._change(one.kind, one.record, at=at, actor=actor, comment=said.comment, origin=origin)
            for one in decision.changes
        )
        self._kept.known[key] = decision.known
        self._kept.heard.add((receiver, said.event_id))
        if said.also is not None:
            self._kept.also[receiver, said.also] = alert_id
        sent = (row.event for row in rows if row.state != "known")
        last = max((event.seq for event in sent if event.type in OPENS_OR_ENDS), default=0)
        for row in rows:
            if decision.retell and row.event.seq > last:
                self.add_delivery(replace(row, state="pending", created_at=at, next_attempt_at=at, delivered_at=None))
        return Heard(outcome=decision.outcome, events=events, record=self._kept.records[alert_id])

    def _meant(self, receiver: str, said: Inbound) -> str | None:
        rows = sorted(self._kept.deliveries.values(), key=lambda row: row.event.seq)
        numbers = {
            row.event.record.alert.id: row.remote_id
            for row in rows
            if row.receiver == receiver and row.remote_id is not None
        }
        told = [alert_id for alert_id, notices in self._kept.told.items() if receiver in notices]
        for alert_id in told:
            if numbers.get(alert_id) in said.remote_ids:
                return alert_id
        if said.alert_id is not None:
            return said.alert_id if said.alert_id in told else None
        if said.also is not None and not said.remote_ids:
            return self._kept.also.get((receiver, said.also))
        return next((one for one in told if one not in numbers and marker_of(one) == said.marker), None)

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

    def add_delivery(self, delivery: Delivery) -> None:
        self._kept.deliveries[delivery.id] = delivery

    async def claim(
        self,
        *,
        worker: str,
        now: datetime,
        lease_seconds: float,
        limit: int,
        receiver: str | None = None,
        newest_only: bool = False,
    ) -> list[Delivery]:
        self._check()
        due = [d for d in self._first_pending(now) if receiver in (None, d.receiver) and d.next_attempt_at <= now]
        due.sort(key=lambda delivery: (delivery.next_attempt_at, delivery.event.seq))
        claimed = []
        for head in due[:limit]:
            chosen = self._planned(head, now) if newest_only else head
            self._kept.leases[chosen.id] = worker, now + timedelta(seconds=lease_seconds)
            self.add_delivery(replace(self._kept.deliveries[chosen.id], attempts=chosen.attempts + 1))
            claimed.append(replace(chosen, attempts=chosen.attempts + 1))
        return sorted(claimed, key=lambda delivery: delivery.event.seq)

    async def claim_letters(
        self, *, worker: str, now: datetime, lease_seconds: float, limit: int, receiver: str
    ) -> list[LetterDelivery]:
        return []  # it keeps none

    async def delivered(self, delivery_id: str, *, at: datetime, remote_id: str | None = None) -> None:
        self._check()
        delivery = self._kept.deliveries[delivery_id]
        if delivery.state != "delivered":
            remote = remote_id or delivery.remote_id
            self._settle(replace(delivery, state="delivered", delivered_at=at, remote_id=remote, last_error=None))

    async def retry(
        self,
        delivery_id: str,
        *,
        error: str,
        next_attempt_at: datetime,
        worker: str | None = None,
        remote_id: str | None = None,
    ) -> None:
        def later(row: Delivery) -> Delivery:
            remote = remote_id or row.remote_id
            return replace(row, last_error=error, next_attempt_at=next_attempt_at, remote_id=remote)

        self._give_back(delivery_id, worker, later)

    async def dead(
        self, delivery_id: str, *, error: str, at: datetime, worker: str | None = None, remote_id: str | None = None
    ) -> None:
        def given_up(row: Delivery) -> Delivery:
            return replace(row, state="dead", last_error=error, remote_id=remote_id or row.remote_id)

        self._give_back(delivery_id, worker, given_up)

    async def hasten(self, receiver: str, *, at: datetime) -> None:
        self._check()
        for row in list(self._kept.deliveries.values()):
            waits = row.receiver == receiver and row.state == "pending" and row.id not in self._kept.leases
            if waits and row.next_attempt_at > at:
                self.add_delivery(replace(row, next_attempt_at=at))

    async def revive(self, *, at: datetime, receiver: str | None = None, delivery_id: str | None = None) -> int:
        self._check()
        dead = [
            row
            for row in self._kept.deliveries.values()
            if row.state == "dead" and receiver in (None, row.receiver) and delivery_id in (None, row.id)
        ]
        for row in dead:
            next_at = at + timedelta(seconds=1)
            self.add_delivery(replace(row, state="pending", attempts=0, created_at=at, next_attempt_at=next_at))
        return len(dead)

    async def deliveries(self, query: DeliveryQuery) -> DeliveryPage:
        self._check()
        found = [
            row
            for row in self._kept.deliveries.values()
            if query.state in (None, row.state) and query.receiver in (None, row.receiver)
        ]
        found.sort(key=lambda row: (row.event.seq, row.id), reverse=True)
        if query.cursor is not None:
            seq, _, row_id = query.cursor.partition(".")
            if not seq.isdecimal() or not row_id:
                raise BadCursorError(query.cursor)
            found = [row for row in found if (row.event.seq, row.id) < (int(seq), row_id)]
        items = tuple(found[: max(1, min(query.limit, MAX_PAGE))])
        cursor = f"{items[-1].event.seq}.{items[-1].id}" if len(found) > len(items) else None
        return DeliveryPage(items=items, next_cursor=cursor)

    async def deliveries_of(self, alert_id: str) -> list[Delivery]:
        await self.get(alert_id)
        found = [d for d in self._kept.deliveries.values() if d.event.record.alert.id == alert_id]
        return sorted(found, key=lambda delivery: (delivery.event.seq, delivery.receiver))

    async def counts(self) -> dict[str, dict[str, int]]:
        self._check()
        counts: dict[str, dict[str, int]] = {}
        for delivery in self._kept.deliveries.values():
            states = counts.setdefault(delivery.receiver, {"pending": 0, "delivered": 0, "dead": 0})
            states[delivery.state] += 1
        return counts

    def _change(
        self,
        kind: EventType,
        record: AlertRecord,
        *,
        at: datetime,
        actor: str = DETECTION,
        comment: str = "",
        origin: str | None = None,
    ) -> AlertEvent:
        alert = record.alert
        before = self._kept.records.get(alert.id)
        record = replace(record, seq=len(self.events) + 1)
        self._kept.records[alert.id] = record
        lean = replace(record, alert=replace(alert, history=()))
        event = AlertEvent(seq=record.seq, at=at, type=kind, actor=actor, comment=comment, record=lean)
        self.events.append(event)
        told = self._kept.told.setdefault(alert.id, {})
        for receiver in to_tell(kind, record, before=before.alert if before else None, told=told, routes=self._routes):
            told[receiver] = notice_of(record, at)
            row = _delivery(event, receiver)
            self.add_delivery(replace(row, state="known", delivered_at=at) if receiver == origin else row)
        return event

    def _first_pending(self, now: datetime) -> list[Delivery]:
        """The oldest that waits, of each receiver and alert of which none is leased."""
        first: dict[tuple[str, str], Delivery] = {}
        leased = set()
        for delivery in self._kept.deliveries.values():
            key = delivery.receiver, delivery.event.record.alert.id
            _, until = self._kept.leases.get(delivery.id, ("", now))
            if delivery.state == "pending" and until > now:
                leased.add(key)
            if delivery.state == "pending" and (key not in first or delivery.event.seq < first[key].event.seq):
                first[key] = delivery
        return [delivery for key, delivery in first.items() if key not in leased]

    def _planned(self, head: Delivery, now: datetime) -> Delivery:
        key = head.receiver, head.event.record.alert.id
        same = [d for d in self._kept.deliveries.values() if (d.receiver, d.event.record.alert.id) == key]
        same.sort(key=lambda row: row.event.seq)
        planned = plan([Row(d.id, d.event.seq, d.state, d.event.type, d.remote_id) for d in same])
        for row_id in planned.superseded:
            row = self._kept.deliveries[row_id]
            self._settle(replace(row, state="superseded", delivered_at=now, last_error=None))
        event = next(row.event for row in same if row.event.seq == planned.says)
        row = self._kept.deliveries[planned.send]
        return replace(row, event=planned.tells(event), remote_id=planned.remote_id)

    def _give_back(self, delivery_id: str, worker: str | None, change: Callable[[Delivery], Delivery]) -> None:
        self._check()
        delivery = self._kept.deliveries[delivery_id]
        holder, _ = self._kept.leases.get(delivery_id, (None, None))
        if delivery.state == "pending" and worker in (None, holder):
            self._settle(change(delivery))

    def _settle(self, delivery: Delivery) -> None:
        self.add_delivery(delivery)
        self._kept.leases.pop(delivery.id, None)

    def _check(self) -> None:
        if self.problem is not None:
            raise self.problem


def _delivery(event: AlertEvent, receiver: str) -> Delivery:
    return Delivery(
        id=f"msg_{event.seq}_{receiver}",
        receiver=receiver,
        event=event,
        attempts=0,
        created_at=event.at,
        next_attempt_at=event.at,
        state="pending",
    )
