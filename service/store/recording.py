"""One transaction's worth of changes to alerts: records, events, notices and outbox rows together.

What has been told of goes on at once. What is to be told for the first time, or again, waits for the dispatch if there
is one (service/store/dispatching.py).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.alerts import Alert, AlertEvent, AlertRecord, AlertState, EventType
from service.core.budget import PageBook, longest
from service.core.notices import Factors, Notice, Routes, has_grown, same_steps, to_tell
from service.core.routing import severity_rank
from service.core.transitions import DETECTION
from service.settings import Budget
from service.store.database import EVENT_SEQ, chunks, execute_many, last_seq
from service.store.documents import read_records, searchable
from service.store.notifying import Notifying
from service.store.paging import load_pages, save_pages
from service.store.tables import LABEL_LENGTH, alert_labels, alerts, counters, events

_OPENINGS = frozenset({EventType.PENDING, EventType.OPENED, EventType.REOPENED})


class Recording:
    """Begin with `begin`, which takes the lock; change any number of alerts; `flush` once.

    routes: whom an alert is routed to. receivers: those that exist; None means all of them. wait: how long what opens
    waits for the dispatch; None: there is none, and people are told by the change itself.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        routes: Routes,
        receivers: Collection[str] | None,
        budgets: Sequence[Budget] = (),
        *,
        wait: timedelta | None = None,
        factors: Factors = same_steps,
    ) -> None:
        self._budgets = budgets
        self._connection = connection
        self._routes = routes
        self._receivers = receivers
        self._wait = wait
        self._factors = factors
        self._seq = 0
        self._kept: dict[str, AlertRecord] = {}
        self._records: dict[str, AlertRecord] = {}
        self.notifying = Notifying(connection, receivers)
        self.book = PageBook(())
        self.events: list[AlertEvent] = []
        self._latest: dict[str, AlertEvent] = {}

    async def open_book(self, alerts: Iterable[Alert]) -> None:
        """Read what the alert budgets need to know of *alerts*; after `begin`."""
        oldest = min((alert.judged_at for alert in alerts), default=None)
        if self._budgets and oldest is not None:
            entries = await load_pages(self._connection, oldest - longest(self._budgets))
            self.book = PageBook(self._budgets, entries)

    async def begin(self, alert_ids: Iterable[str]) -> None:
        """Lock, then read what is kept of these alerts."""
        self._seq = await last_seq(self._connection, lock=True)
        await self.load(alert_ids)

    async def load(self, alert_ids: Iterable[str]) -> None:
        """Read what is kept of these alerts, too; after `begin`."""
        wanted = sorted(set(alert_ids))
        self._kept.update(await read_records(self._connection, wanted))
        await self.notifying.read(wanted)

    async def load_members(self, head_id: str) -> list[AlertRecord]:
        """The alerts that this one is told in place of, read as by `load`."""
        ids = select(alerts.c.id).where(alerts.c.inhibited_by == head_id).order_by(alerts.c.id)
        members = (await self._connection.execute(ids)).scalars().all()
        await self.load(members)
        return [self.known(alert_id) for alert_id in members]

    async def take(self, records: Iterable[AlertRecord]) -> None:
        """Instead of reading them: records that were read under the lock already."""
        self._kept.update((record.alert.id, record) for record in records)
        await self.notifying.read(sorted(self._kept))

    @property
    def seq(self) -> int:
        """Number of the last event."""
        return self._seq

    def current(self, alert_id: str) -> AlertRecord | None:
        return self._records.get(alert_id) or self._kept.get(alert_id)

    def known(self, alert_id: str) -> AlertRecord:
        """Raises KeyError for one that was not read."""
        return self._records.get(alert_id) or self._kept[alert_id]

    def change(
        self,
        kind: EventType,
        record: AlertRecord,
        *,
        at: datetime,
        actor: str = DETECTION,
        comment: str = "",
        origin: str | None = None,
    ) -> None:
        """Add one event; *record* is what it makes of the alert. Tell those who are to hear of it at once.

        origin: the receiver it came from, which knows it.
        """
        alert_id = record.alert.id
        before = self.current(alert_id)
        tell = kind
        if self._wait is None and self._asks_the_budget(kind, record, before):
            held = not self.book.ask(record.alert)
            tell = EventType.OPENED if record.held_back and not held else kind
            record = replace(record, held_back=held)
        event = self.add(kind, record, at=at, actor=actor, comment=comment)
        told = self.notifying.told(alert_id)
        names = to_tell(
            tell,
            event.record,
            before=None if before is None else before.alert,
            told=told,
            routes=self._routes,
            factors=self._factors,
        )
        if record.state.is_over:
            self.notifying.end(alert_id, free_at=at + (self._wait or timedelta()))
        elif self._wait is not None:
            names = self._let_wait(event, names, told, at)
            # Who has opened it again need not be told so by the dispatch.
            if origin is not None and origin in told and kind is EventType.REOPENED:
                names.append(origin)
        if record.held_back:
            return
        # Detection only speaks in new versions. Who did it is no help: people may take any name.
        by_hand = before is not None and before.alert.version == record.alert.version
        for receiver in names:
            self.notifying.tell(event, receiver, at=at, by_hand=by_hand, is_known=receiver == origin)

    def add(
        self, kind: EventType, record: AlertRecord, *, at: datetime, actor: str = DETECTION, comment: str = ""
    ) -> AlertEvent:
        """Add one event of which nobody is told by this."""
        self._seq += 1
        record = replace(record, seq=self._seq)
        self._records[record.alert.id] = record
        lean = replace(record, alert=replace(record.alert, history=()))
        event = AlertEvent(seq=self._seq, at=at, type=kind, actor=actor, comment=comment, record=lean)
        self.events.append(event)
        self._latest[record.alert.id] = event
        return event

    def tell(self, alert_id: str, receiver: str, kind: EventType, *, at: datetime) -> None:
        """Tell of an alert as it is now. kind: what the message is to this receiver."""
        record = self.known(alert_id)
        event = self._latest.get(alert_id)
        if event is None:  # nothing new: the receiver hears late of what happened before
            event = AlertEvent(seq=record.seq, at=at, type=kind, actor=DETECTION, comment="", record=record)
        self.notifying.tell(event, receiver, at=at, by_hand=True, told_as=kind)

    def join(self, alert_id: str, receiver: str, lead: str, *, at: datetime) -> None:
        self.notifying.join(self.known(alert_id), receiver, lead, at=at)

    def _let_wait(self, event: AlertEvent, names: Sequence[str], told: Mapping[str, Notice], at: datetime) -> list[str]:
        """Leave to the dispatch what it has to decide; returns who is told at once."""
        assert self._wait is not None
        record = event.record
        if event.type in _OPENINGS:
            self.notifying.wait(record.alert.id, since=at, due_at=at + self._wait)
            return []
        if record.pending_since is not None:
            if event.type is EventType.ACK_EXPIRED:
                self.notifying.wait(record.alert.id, since=at, due_at=at)
            return []
        grown = any(has_grown(record.alert, notice) for notice in self.notifying.led(record.alert.id))
        worse = event.type is EventType.UPDATED and (record.held_back or grown)
        if worse or any(name not in told for name in names):
            self.notifying.wait(record.alert.id, since=at, due_at=at)
        return [name for name in names if name in told and not told[name].ended]

    def _asks_the_budget(self, kind: EventType, record: AlertRecord, before: AlertRecord | None) -> bool:
        """Where people would be told that an alert is open, or one that was held back has become worse."""
        if not self._budgets or (self._receivers and not self._routes(record.alert)):
            return False
        if kind is EventType.UPDATED:
            worse = before is not None and severity_rank(record.alert.severity) > severity_rank(before.alert.severity)
            return record.held_back and worse and record.state is AlertState.FIRING
        return kind in (EventType.OPENED, EventType.REOPENED)

    async def flush(self) -> None:
        """Write everything. The transaction is the caller's."""
        new = [record for alert_id, record in self._records.items() if alert_id not in self._kept]
        old = [record for alert_id, record in self._records.items() if alert_id in self._kept]
        await execute_many(self._connection, insert(alerts), [_alert_row(record) for record in new])
        change = update(alerts).where(alerts.c.id == bindparam("key"))
        await execute_many(self._connection, change, [{"key": record.alert.id, **_changing(record)} for record in old])
        relabelled = [record.alert for record in old if record.alert.labels != self._kept[record.alert.id].alert.labels]
        for ids in chunks([alert.id for alert in relabelled]):
            await self._connection.execute(delete(alert_labels).where(alert_labels.c.alert_id.in_(ids)))
        labelled = (*(record.alert for record in new), *relabelled)
        await execute_many(
            self._connection, insert(alert_labels), [row for alert in labelled for row in _label_rows(alert)]
        )
        await execute_many(self._connection, insert(events), [_event_row(event) for event in self.events])
        await self.notifying.flush()
        await save_pages(self._connection, self.book.changed)
        await self._connection.execute(update(counters).where(counters.c.name == EVENT_SEQ).values(value=self._seq))


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _changing(record: AlertRecord) -> dict[str, Any]:
    alert = record.alert
    return {
        "version": alert.version,
        "seq": record.seq,
        "state": record.state.value,
        "severity": alert.severity.value,
        "reason": searchable(alert.reason),
        "impact": alert.impact,
        "updated_at": record.updated_at,
        "assigned_to": None if record.assigned_to is None else searchable(record.assigned_to),
        "inhibited_by": record.inhibited_by,
        "acknowledged_until": record.acknowledged_until,
        "document": _text(record),
    }


def _alert_row(record: AlertRecord) -> dict[str, Any]:
    alert = record.alert
    return {
        "id": alert.id,
        "tenant": searchable(alert.tenant),
        "series": searchable(alert.series),
        "unit": searchable(alert.unit),
        "created_at": record.created_at,
        **_changing(record),
    }


def _label_rows(alert: Alert) -> list[dict[str, Any]]:
    # Two names may become one by the cut; the first wins, as it would in the document's order.
    labels: dict[str, str] = {}
    for name, value in alert.labels.items():
        labels.setdefault(searchable(name, LABEL_LENGTH), searchable(value, LABEL_LENGTH))
    return [{"alert_id": alert.id, "name": name, "value": value} for name, value in labels.items()]


def _event_row(event: AlertEvent) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "alert_id": event.record.alert.id,
        "at": event.at,
        "type": event.type.value,
        "actor": searchable(event.actor),
        "comment": searchable(event.comment),
        "document": _text(event.record),
    }
