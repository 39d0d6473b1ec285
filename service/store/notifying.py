"""What receivers know of alerts and are sent: notices, outbox rows and waiting marks of one transaction."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.alerts import AlertEvent, AlertRecord, AlertState, EventType, Severity
from service.core.board import EVERYBODY
from service.core.incidents import member_text
from service.core.notices import Member, Notice, notice_of
from service.store.database import chunks, execute_many
from service.store.documents import decode_record
from service.store.tables import alerts, deliveries, notices, waiting

MAX_MEMBERS = 20
"""Named in one message; of more only their number is told."""


def notice_in(row: Any) -> Notice:
    return Notice(
        severity=Severity(row.severity),
        impact=row.impact,
        told_at=row.told_at,
        lead=row.lead,
        ended=bool(row.ended),
    )


def delivery_id(event: AlertEvent, receiver: str, *, by_hand: bool, told_as: EventType | None = None) -> str:
    """The same for the same message, also when the store is rebuilt from Kafka and events get other numbers.

    Detection makes one event per version of an alert; what people do (*by_hand*) is told apart by the event's number.
    What the dispatch opens (*told_as*) is opened once, whichever version it was by then.
    """
    alert = event.record.alert
    what = f"s{event.seq}" if by_hand else f"v{alert.version}"
    if told_as is EventType.OPENED:
        what = told_as.value
    return "msg_" + hashlib.sha256(f"{alert.id}\n{what}\n{receiver}".encode()).hexdigest()[:32]


class Notifying:
    """`read` what is known of the alerts in question; `tell`, `join`, `end` and `wait`; `flush` after the events.

    receivers: those that exist; None means all of them.
    """

    def __init__(self, connection: AsyncConnection, receivers: Collection[str] | None) -> None:
        self._connection = connection
        self._receivers = receivers
        self._kept: dict[tuple[str, str], Notice] = {}
        self._known: dict[str, dict[str, Notice]] = {}
        self._deliveries: list[dict[str, Any]] = []
        self._waiting: dict[str, tuple[datetime, datetime] | None] = {}
        self._freed: dict[str, datetime] = {}

    async def read(self, alert_ids: Sequence[str]) -> None:
        for ids in chunks(alert_ids):
            for row in await self._connection.execute(select(notices).where(notices.c.alert_id.in_(ids))):
                notice = notice_in(row)
                self._kept[row.alert_id, row.receiver] = notice
                self._known.setdefault(row.alert_id, {})[row.receiver] = notice

    def told(self, alert_id: str) -> Mapping[str, Notice]:
        """Receivers that were told of an alert by itself, whether it has ended for them or not."""
        known = self._known.get(alert_id, {})
        return {name: notice for name, notice in known.items() if notice.lead is None and name != EVERYBODY}

    def all(self) -> dict[tuple[str, str], Notice]:
        """Of everything that was read: (alert id, receiver) -> notice."""
        return dict(self._kept)

    def led(self, alert_id: str) -> list[Notice]:
        """Of receivers that hear of it through another alert."""
        return [notice for notice in self._known.get(alert_id, {}).values() if notice.lead is not None]

    def tell(
        self,
        event: AlertEvent,
        receiver: str,
        *,
        at: datetime,
        by_hand: bool,
        told_as: EventType | None = None,
        is_known: bool = False,
    ) -> None:
        """told_as: what the message is to its receiver where that may not be the event's own type. is_known: it came
        from the receiver, which is not sent it."""
        # One that was told and is no longer configured has nobody to send to it.
        if receiver != EVERYBODY and self._receivers is not None and receiver not in self._receivers:
            return
        alert_id = event.record.alert.id
        self._known.setdefault(alert_id, {})[receiver] = notice_of(event.record, at)
        if receiver == EVERYBODY:
            return
        self._deliveries.append(
            {
                "id": delivery_id(event, receiver, by_hand=by_hand, told_as=told_as),
                "receiver": receiver,
                "alert_id": alert_id,
                "seq": event.seq,
                "state": "known" if is_known else "pending",
                "attempts": 0,
                "created_at": at,
                "next_attempt_at": at,
                "delivered_at": at if is_known else None,
                "told_as": None if told_as is None else told_as.value,
            }
        )

    def join(self, record: AlertRecord, receiver: str, lead: str, *, at: datetime) -> None:
        """The receiver hears of the alert through the messages of *lead*."""
        notice = msgspec.structs.replace(notice_of(record, at), lead=lead)
        self._known.setdefault(record.alert.id, {})[receiver] = notice

    def end(self, alert_id: str, *, free_at: datetime) -> None:
        """The alert is over: whoever was to hear of others through it is looked at again at *free_at*."""
        known = self._known.get(alert_id, {})
        self._known[alert_id] = {name: msgspec.structs.replace(one, ended=True) for name, one in known.items()}
        self._waiting[alert_id] = None
        self._freed[alert_id] = free_at

    def wait(self, alert_id: str, *, since: datetime, due_at: datetime) -> None:
        self._waiting[alert_id] = (since, due_at)

    def done_waiting(self, alert_id: str) -> None:
        self._waiting[alert_id] = None

    async def flush(self) -> None:
        """Write everything; after the alerts and events that it speaks of. The transaction is the caller's."""
        await self._flush_notices()
        await self._free()
        await self._flush_waiting()
        await self._add_members()
        await execute_many(self._connection, insert(deliveries), self._deliveries)

    async def _flush_notices(self) -> None:
        now = {(alert_id, name): notice for alert_id, told in self._known.items() for name, notice in told.items()}
        changed = {key: notice for key, notice in now.items() if self._kept.get(key) != notice}
        rows = [_notice_row(key, notice) for key, notice in changed.items() if key in self._kept]
        key = (notices.c.alert_id == bindparam("alert"), notices.c.receiver == bindparam("name"))
        await execute_many(self._connection, update(notices).where(*key), rows)
        rows = [_notice_row(key, notice) for key, notice in changed.items() if key not in self._kept]
        await execute_many(
            self._connection, insert(notices).values(alert_id=bindparam("alert"), receiver=bindparam("name")), rows
        )

    async def _free(self) -> None:
        for leads in chunks(sorted(self._freed)):
            led = notices.c.lead.in_(leads)
            for row in await self._connection.execute(select(notices.c.alert_id, notices.c.lead).where(led)):
                if self._waiting.get(row.alert_id, ()) == ():
                    due_at = self._freed[row.lead]
                    self._waiting[row.alert_id] = (due_at, due_at)
            await self._connection.execute(delete(notices).where(led))

    async def _flush_waiting(self) -> None:
        for ids in chunks(sorted(self._waiting)):
            await self._connection.execute(delete(waiting).where(waiting.c.alert_id.in_(ids)))
        rows = [
            {"alert_id": alert_id, "since": mark[0], "due_at": mark[1]}
            for alert_id, mark in sorted(self._waiting.items())
            if mark is not None
        ]
        await execute_many(self._connection, insert(waiting), rows)

    async def _add_members(self) -> None:
        """Name in each message the alerts that its receiver hears of through it."""
        members: dict[tuple[str, str], list[Member]] = {}
        for leads in chunks(sorted({row["alert_id"] for row in self._deliveries})):
            found = await self._connection.execute(
                select(notices.c.lead, notices.c.receiver, alerts.c.document)
                .join(alerts, alerts.c.id == notices.c.alert_id)
                .where(
                    notices.c.lead.in_(leads),
                    alerts.c.state.not_in([state.value for state in AlertState if state.is_over]),
                )
                .order_by(alerts.c.id)
            )
            for row in found:
                alert = decode_record(row.document).alert
                one = Member(alert_id=alert.id, text=member_text(alert))
                members.setdefault((row.lead, row.receiver), []).append(one)
        for message in self._deliveries:
            message["members"] = _members_text(members.get((message["alert_id"], message["receiver"]), []))


def _notice_row(key: tuple[str, str], notice: Notice) -> dict[str, Any]:
    return {
        "alert": key[0],
        "name": key[1],
        "severity": notice.severity.value,
        "impact": notice.impact,
        "told_at": notice.told_at,
        "lead": notice.lead,
        "ended": notice.ended,
    }


def _members_text(members: Sequence[Member]) -> str | None:
    if not members:
        return None
    named: Iterable[Member] = members[:MAX_MEMBERS]
    if len(members) > MAX_MEMBERS:
        named = [*named, Member(alert_id="", text=f"and {len(members) - MAX_MEMBERS} more")]
    return msgspec.json.encode(tuple(named)).decode()
