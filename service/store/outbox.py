"""The outbox in SQL: rows written beside the events (recording.py), worked through by `spendwatch deliver`.

A row is pending until it is delivered or dead. A claim leases it; when the lease ends without an outcome, because the
process died, the next claim takes it over under the same id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Update, and_, bindparam, func, literal_column, or_, select, update

from service.core.alerts import AlertEvent, EventType
from service.store.combining import Combiner
from service.store.database import Database
from service.store.recording import decode_record, searchable
from service.store.store import AlertNotFoundError, Delivery
from service.store.tables import alerts, deliveries, events

_MAX_ERROR = 2048
# A literal, since neither database uses a partial index for a parameter.
_PENDING: ColumnElement[str] = literal_column("'pending'")


def event_of(row: Any) -> AlertEvent:
    """An event from its row."""
    return AlertEvent(
        seq=row.seq,
        at=row.at,
        type=EventType(row.type),
        actor=row.actor,
        comment=row.comment,
        record=decode_record(row.document),
    )


class SqlOutbox:
    """The Outbox protocol. Several processes may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._marks = Combiner(self._write)

    async def claim(
        self, *, worker: str, now: datetime, lease_seconds: float, limit: int, receiver: str | None = None
    ) -> list[Delivery]:
        async with self._database.writing() as connection:
            ids = list((await connection.execute(_due(now, limit, receiver))).scalars())
            if not ids:
                return []
            await connection.execute(
                update(deliveries)
                .where(deliveries.c.id.in_(ids))
                .values(
                    leased_by=worker,
                    lease_until=now + timedelta(seconds=lease_seconds),
                    attempts=deliveries.c.attempts + 1,
                )
            )
            rows = await connection.execute(_with_event().where(deliveries.c.id.in_(ids)).order_by(deliveries.c.seq))
            return [_delivery_of(row) for row in rows]

    async def delivered(self, delivery_id: str, *, at: datetime, remote_id: str | None = None) -> None:
        await self._marks.add(_Mark(_DELIVERED, {"row": delivery_id, "at": at, "remote": remote_id}))

    async def retry(
        self, delivery_id: str, *, error: str, next_attempt_at: datetime, worker: str | None = None
    ) -> None:
        values = {"row": delivery_id, "at": next_attempt_at, "error": searchable(error, _MAX_ERROR), "worker": worker}
        await self._marks.add(_Mark(_RETRY, values))

    async def dead(self, delivery_id: str, *, error: str, at: datetime, worker: str | None = None) -> None:
        values = {"row": delivery_id, "at": at, "error": searchable(error, _MAX_ERROR), "worker": worker}
        await self._marks.add(_Mark(_DEAD, values))

    async def deliveries_of(self, alert_id: str) -> list[Delivery]:
        async with self._database.reading() as connection:
            found = await connection.execute(select(alerts.c.id).where(alerts.c.id == searchable(alert_id)))
            if found.first() is None:
                raise AlertNotFoundError(alert_id)
            query = _with_event().where(deliveries.c.alert_id == alert_id)
            rows = await connection.execute(query.order_by(deliveries.c.seq, deliveries.c.receiver))
            return [_delivery_of(row) for row in rows]

    async def counts(self) -> dict[str, dict[str, int]]:
        query = select(deliveries.c.receiver, deliveries.c.state, func.count()).group_by(
            deliveries.c.receiver, deliveries.c.state
        )
        async with self._database.reading() as connection:
            rows: Sequence[Any] = (await connection.execute(query)).all()
        counts: dict[str, dict[str, int]] = {}
        for receiver, state, number in rows:
            counts.setdefault(receiver, {"pending": 0, "delivered": 0, "dead": 0})[state] = number
        return counts

    async def _write(self, marks: Sequence["_Mark"]) -> None:
        # One execution per kind: they are about different rows, so their order among each other does not matter.
        async with self._database.writing() as connection:
            for statement in (_DELIVERED, _RETRY, _DEAD):
                rows = [mark.values for mark in marks if mark.statement is statement]
                if rows:
                    await connection.execute(statement, rows)


@dataclass(frozen=True, slots=True)
class _Mark:
    """What came of an attempt: one of the statements below, with its parameters."""

    statement: Update
    values: dict[str, object]


def _marking(*where: ColumnElement[bool], **values: object) -> Update:
    statement = update(deliveries).where(deliveries.c.id == bindparam("row"), *where)
    return statement.values(leased_by=None, lease_until=None, **values)


_at = bindparam("at", type_=deliveries.c.next_attempt_at.type)
_worker = bindparam("worker", type_=deliveries.c.leased_by.type)
_HELD = and_(deliveries.c.state == _PENDING, or_(_worker.is_(None), deliveries.c.leased_by == _worker))

# Delivered also when it is dead by now: it has arrived, which is what counts.
_DELIVERED = _marking(
    deliveries.c.state != "delivered",
    state="delivered",
    delivered_at=_at,
    remote_id=bindparam("remote", type_=deliveries.c.remote_id.type),
    last_error=None,
)
_RETRY = _marking(_HELD, last_error=bindparam("error"), next_attempt_at=_at)
_DEAD = _marking(_HELD, last_error=bindparam("error"), next_attempt_at=_at, state="dead")


def _due(now: datetime, limit: int, receiver: str | None) -> Select[Any]:
    """Ids of rows that may be sent now: pending, due, not leased, and the oldest of their receiver and alert."""
    older = deliveries.alias("older")
    # Asked as a scalar and not as NOT EXISTS: PostgreSQL may turn that one into a join, and with the statistics of a
    # young table it chose one that took 100 s for 10,000 rows. This is one index look-up for each row it looks at.
    first = (
        select(func.min(older.c.seq))
        .where(
            older.c.receiver == deliveries.c.receiver,
            older.c.alert_id == deliveries.c.alert_id,
            older.c.state == _PENDING,
        )
        .scalar_subquery()
    )
    free = or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= now)
    due = and_(deliveries.c.state == _PENDING, deliveries.c.next_attempt_at <= now, free, deliveries.c.seq == first)
    if receiver is not None:
        due = and_(due, deliveries.c.receiver == receiver)
    return (
        select(deliveries.c.id)
        .where(due)
        .order_by(deliveries.c.next_attempt_at, deliveries.c.seq)
        .limit(limit)
        .with_for_update(of=deliveries, skip_locked=True)
    )


def _with_event() -> Select[Any]:
    return select(
        deliveries,
        events.c.at,
        events.c.type,
        events.c.actor,
        events.c.comment,
        events.c.document,
    ).join(events, events.c.seq == deliveries.c.seq)


def _delivery_of(row: Any) -> Delivery:
    return Delivery(
        id=row.id,
        receiver=row.receiver,
        event=event_of(row),
        attempts=row.attempts,
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        state=row.state,
        last_error=row.last_error,
        delivered_at=row.delivered_at,
        remote_id=row.remote_id,
    )
