"""One transaction's worth of changes to alerts: records, events, notices and outbox rows together."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.alerts import Alert, AlertEvent, AlertRecord, AlertState, EventType, Severity
from service.core.budget import PageBook, longest
from service.core.notices import Notice, Routes, notice_of, to_tell
from service.core.routing import severity_rank
from service.core.transitions import DETECTION
from service.settings import Budget
from service.store.database import EVENT_SEQ, last_seq
from service.store.paging import load_pages, save_pages
from service.store.tables import LABEL_LENGTH, alert_labels, alerts, counters, deliveries, events, notices

_IN_LENGTH = 500
"""Values in one IN list: well below the parameter limits of both databases."""

decode_record = msgspec.json.Decoder(AlertRecord).decode


def searchable(text: str, length: int | None = None) -> str:
    """Text for a column: PostgreSQL refuses NUL, which JSON may carry (and the document keeps)."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:length]


def delivery_id(event: AlertEvent, receiver: str, *, by_hand: bool) -> str:
    """The same for the same message, also when the store is rebuilt from Kafka and events get other numbers.

    Detection makes one event per version of an alert; what people do (*by_hand*) is told apart by the event's number.
    """
    alert = event.record.alert
    what = f"s{event.seq}" if by_hand else f"v{alert.version}"
    return "msg_" + hashlib.sha256(f"{alert.id}\n{what}\n{receiver}".encode()).hexdigest()[:32]


class Recording:
    """Begin with `begin`, which takes the lock; `change` any number of times; `flush` once.

    routes: whom an alert is routed to. receivers: those that exist; None means all of them.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        routes: Routes,
        receivers: Collection[str] | None,
        budgets: Sequence[Budget] = (),
    ) -> None:
        self._budgets = budgets
        self._book = PageBook(())
        self._connection = connection
        self._routes = routes
        self._receivers = receivers
        self._seq = 0
        self._kept: dict[str, AlertRecord] = {}
        self._records: dict[str, AlertRecord] = {}
        self._told: dict[str, dict[str, Notice]] = {}
        self._kept_notices: dict[tuple[str, str], Notice] = {}
        self._deliveries: list[dict[str, Any]] = []
        self.events: list[AlertEvent] = []

    async def open_book(self, alerts: Iterable[Alert]) -> None:
        """Read what the alert budgets need to know of *alerts*; after `begin`."""
        oldest = min((alert.judged_at for alert in alerts), default=None)
        if self._budgets and oldest is not None:
            entries = await load_pages(self._connection, oldest - longest(self._budgets))
            self._book = PageBook(self._budgets, entries)

    async def begin(self, alert_ids: Iterable[str]) -> None:
        """Lock, then read what is kept of these alerts."""
        self._seq = await last_seq(self._connection, lock=True)
        for ids in _chunks(sorted(set(alert_ids))):
            rows = await self._connection.execute(select(alerts.c.id, alerts.c.document).where(alerts.c.id.in_(ids)))
            self._kept.update((row.id, decode_record(row.document)) for row in rows)
            rows = await self._connection.execute(select(notices).where(notices.c.alert_id.in_(ids)))
            for row in rows:
                notice = Notice(severity=Severity(row.severity), impact=row.impact)
                self._kept_notices[row.alert_id, row.receiver] = notice
                self._told.setdefault(row.alert_id, {})[row.receiver] = notice

    def current(self, alert_id: str) -> AlertRecord | None:
        return self._records.get(alert_id) or self._kept.get(alert_id)

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
        """Add one event; *record* is what it makes of the alert. origin: the receiver it came from, which knows it."""
        alert = record.alert
        before = self.current(alert.id)
        tell = kind
        if self._asks_the_budget(kind, record, before):
            held = not self._book.ask(alert)
            tell = EventType.OPENED if record.held_back and not held else kind
            record = replace(record, held_back=held)
        self._seq += 1
        record = replace(record, seq=self._seq)
        self._records[alert.id] = record
        lean = replace(record, alert=replace(alert, history=()))
        event = AlertEvent(seq=self._seq, at=at, type=kind, actor=actor, comment=comment, record=lean)
        self.events.append(event)
        # Detection only speaks in new versions. Who did it is no help: people may take any name.
        by_hand = before is not None and before.alert.version == alert.version
        told = self._told.setdefault(alert.id, {})
        if record.held_back:
            return
        for receiver in to_tell(tell, record, before=before.alert if before else None, told=told, routes=self._routes):
            # One that was told and is no longer configured has nobody to send to it.
            if self._receivers is None or receiver in self._receivers:
                told[receiver] = notice_of(alert)
                row = _delivery_row(event, receiver, by_hand=by_hand)
                if receiver == origin:
                    row |= {"state": "known", "delivered_at": at}
                self._deliveries.append(row)

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
        if not self.events:
            return
        new = [record for alert_id, record in self._records.items() if alert_id not in self._kept]
        old = [record for alert_id, record in self._records.items() if alert_id in self._kept]
        await self._many(insert(alerts), [_alert_row(record) for record in new])
        change = update(alerts).where(alerts.c.id == bindparam("key"))
        await self._many(change, [{"key": record.alert.id, **_changing(record)} for record in old])
        relabelled = [record.alert for record in old if record.alert.labels != self._kept[record.alert.id].alert.labels]
        for ids in _chunks([alert.id for alert in relabelled]):
            await self._connection.execute(delete(alert_labels).where(alert_labels.c.alert_id.in_(ids)))
        labelled = (*(record.alert for record in new), *relabelled)
        await self._many(insert(alert_labels), [row for alert in labelled for row in _label_rows(alert)])
        await self._many(insert(events), [_event_row(event) for event in self.events])
        await self._flush_notices()
        await self._many(insert(deliveries), self._deliveries)
        await save_pages(self._connection, self._book.changed)
        await self._connection.execute(update(counters).where(counters.c.name == EVENT_SEQ).values(value=self._seq))

    async def _flush_notices(self) -> None:
        now = {(alert_id, name): notice for alert_id, told in self._told.items() for name, notice in told.items()}
        rows = [
            {"alert": alert_id, "name": name, "severity": notice.severity.value, "impact": notice.impact}
            for (alert_id, name), notice in now.items()
            if self._kept_notices.get((alert_id, name)) != notice
        ]
        known = [row for row in rows if (row["alert"], row["name"]) in self._kept_notices]
        unknown = [row for row in rows if (row["alert"], row["name"]) not in self._kept_notices]
        key = (notices.c.alert_id == bindparam("alert"), notices.c.receiver == bindparam("name"))
        await self._many(update(notices).where(*key), known)
        await self._many(insert(notices).values(alert_id=bindparam("alert"), receiver=bindparam("name")), unknown)

    async def _many(self, statement: Any, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            await self._connection.execute(statement, rows)


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _IN_LENGTH] for start in range(0, len(values), _IN_LENGTH))


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


def _delivery_row(event: AlertEvent, receiver: str, *, by_hand: bool) -> dict[str, Any]:
    return {
        "id": delivery_id(event, receiver, by_hand=by_hand),
        "receiver": receiver,
        "alert_id": event.record.alert.id,
        "seq": event.seq,
        "state": "pending",
        "attempts": 0,
        "created_at": event.at,
        "next_attempt_at": event.at,
        "delivered_at": None,
    }
