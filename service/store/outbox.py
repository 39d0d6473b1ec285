"""The outbox in SQL: rows written beside the events (recording.py), worked through by `spendwatch deliver`.

A row is pending until it is delivered, dead or superseded. A claim leases it; when the lease ends without an outcome,
because the process died, the next claim takes it over under the same id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, bindparam, func, or_, select, update

from service.store.claiming import (
    PENDING,
    as_planned,
    delivery_of,
    due_now,
    letter_delivery_of,
    letters_due,
    plans_of,
    supersede,
    with_either,
    with_event,
    with_letter,
)
from service.store.coalescing import Plan
from service.store.combining import Combiner
from service.store.database import Database
from service.store.documents import searchable
from service.store.store import (
    MAX_PAGE,
    AlertNotFoundError,
    BadCursorError,
    Delivery,
    DeliveryPage,
    DeliveryQuery,
    LetterDelivery,
)
from service.store.tables import alerts, deliveries

_MAX_ERROR = 2048
_REVIVED_AFTER = timedelta(seconds=1)


class SqlOutbox:
    """The Outbox protocol. Several processes may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._marks = Combiner(self._write)

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
        async with self._database.writing() as connection:
            parameters = {"now": now, "limit": limit} | ({} if receiver is None else {"receiver": receiver})
            heads = (await connection.execute(due_now(of_one_receiver=receiver is not None), parameters)).all()
            if not heads:
                return []
            plans = [Plan(head.id, head.seq, (), None) for head in heads]
            if newest_only and receiver is not None:
                plans = await plans_of(connection, receiver, [head.alert_id for head in heads])
            ids = [plan.send for plan in plans]
            await supersede(connection, [row for plan in plans for row in plan.superseded], now)
            await connection.execute(
                update(deliveries)
                .where(deliveries.c.id.in_(ids))
                .values(
                    leased_by=worker,
                    lease_until=now + timedelta(seconds=lease_seconds),
                    attempts=deliveries.c.attempts + 1,
                )
            )
            rows = await connection.execute(with_event().where(deliveries.c.id.in_(ids)).order_by(deliveries.c.seq))
            claimed = [delivery_of(row) for row in rows]
            return await as_planned(connection, claimed, plans) if newest_only else claimed

    async def claim_letters(
        self, *, worker: str, now: datetime, lease_seconds: float, limit: int, receiver: str
    ) -> list[LetterDelivery]:
        parameters = {"now": now, "limit": limit, "receiver": receiver}
        async with self._database.reading() as connection:
            # There is hardly ever one, and a writer would hold up the others to find that out.
            if (await connection.execute(letters_due(locked=False), parameters)).first() is None:
                return []
        async with self._database.writing() as connection:
            ids = [row.id for row in await connection.execute(letters_due(locked=True), parameters)]
            claiming = update(deliveries).where(deliveries.c.id.in_(ids))
            until = now + timedelta(seconds=lease_seconds)
            await connection.execute(
                claiming.values(leased_by=worker, lease_until=until, attempts=deliveries.c.attempts + 1)
            )
            rows = await connection.execute(with_letter().where(deliveries.c.id.in_(ids)).order_by(deliveries.c.id))
            return [letter_delivery_of(row) for row in rows]

    async def delivered(self, delivery_id: str, *, at: datetime, remote_id: str | None = None) -> None:
        await self._marks.add(_Mark(_DELIVERED, {"row": delivery_id, "at": at, "remote": remote_id}))

    async def retry(
        self,
        delivery_id: str,
        *,
        error: str,
        next_attempt_at: datetime,
        worker: str | None = None,
        remote_id: str | None = None,
    ) -> None:
        values = {"row": delivery_id, "at": next_attempt_at, "error": searchable(error, _MAX_ERROR), "worker": worker}
        await self._marks.add(_Mark(_RETRY, {**values, "remote": remote_id}))

    async def dead(
        self, delivery_id: str, *, error: str, at: datetime, worker: str | None = None, remote_id: str | None = None
    ) -> None:
        values = {"row": delivery_id, "at": at, "error": searchable(error, _MAX_ERROR), "worker": worker}
        await self._marks.add(_Mark(_DEAD, {**values, "remote": remote_id}))

    async def hasten(self, receiver: str, *, at: datetime) -> None:
        waits = and_(deliveries.c.receiver == receiver, deliveries.c.state == PENDING)
        later = and_(deliveries.c.next_attempt_at > at, deliveries.c.lease_until.is_(None))
        async with self._database.writing() as connection:
            await connection.execute(update(deliveries).where(waits, later).values(next_attempt_at=at))

    async def revive(self, *, at: datetime, receiver: str | None = None, delivery_id: str | None = None) -> int:
        which = [deliveries.c.state == "dead"]
        which += [deliveries.c.receiver == receiver] if receiver is not None else []
        which += [deliveries.c.id == delivery_id] if delivery_id is not None else []
        # A moment later: who is claiming a newer message of the same alert just now has then committed its lease.
        values = {"state": "pending", "attempts": 0, "created_at": at, "next_attempt_at": at + _REVIVED_AFTER}
        async with self._database.writing() as connection:
            return (await connection.execute(update(deliveries).where(*which).values(**values))).rowcount

    async def deliveries(self, query: DeliveryQuery) -> DeliveryPage:
        limit = max(1, min(query.limit, MAX_PAGE))
        found = with_either().order_by(deliveries.c.seq.desc(), deliveries.c.id.desc()).limit(limit + 1)
        if query.state is not None:
            found = found.where(deliveries.c.state == query.state)
        if query.receiver is not None:
            found = found.where(deliveries.c.receiver == query.receiver)
        if query.cursor is not None:
            seq, row = _cursor(query.cursor)
            found = found.where(or_(deliveries.c.seq < seq, and_(deliveries.c.seq == seq, deliveries.c.id < row)))
        async with self._database.reading() as connection:
            rows = (await connection.execute(found)).all()
        items = [delivery_of(row) if row.letter_id is None else letter_delivery_of(row) for row in rows]
        more = len(items) > limit
        last = items[limit - 1] if more else None
        cursor = None if last is None else f"{_seq_of(last)}.{last.id}"
        return DeliveryPage(items=tuple(items[:limit]), next_cursor=cursor)

    async def deliveries_of(self, alert_id: str) -> list[Delivery]:
        async with self._database.reading() as connection:
            found = await connection.execute(select(alerts.c.id).where(alerts.c.id == searchable(alert_id)))
            if found.first() is None:
                raise AlertNotFoundError(alert_id)
            query = with_event().where(deliveries.c.alert_id == alert_id)
            rows = await connection.execute(query.order_by(deliveries.c.seq, deliveries.c.receiver))
            return [delivery_of(row) for row in rows]

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
# What was known of the other side stays known.
_remote = func.coalesce(bindparam("remote", type_=deliveries.c.remote_id.type), deliveries.c.remote_id)
_HELD = and_(deliveries.c.state == PENDING, or_(_worker.is_(None), deliveries.c.leased_by == _worker))

# Delivered also when it is dead by now: it has arrived, which is what counts.
_DELIVERED = _marking(
    deliveries.c.state != "delivered",
    state="delivered",
    delivered_at=_at,
    remote_id=_remote,
    last_error=None,
)
_RETRY = _marking(_HELD, last_error=bindparam("error"), next_attempt_at=_at, remote_id=_remote)
_DEAD = _marking(_HELD, last_error=bindparam("error"), next_attempt_at=_at, remote_id=_remote, state="dead")


def _seq_of(delivery: Delivery | LetterDelivery) -> int:
    return delivery.event.seq if isinstance(delivery, Delivery) else delivery.seq


def _cursor(text: str) -> tuple[int, str]:
    seq, _, row = text.partition(".")
    if not seq.isascii() or not seq.isdecimal() or len(seq) > 18 or not row:
        raise BadCursorError(text)
    return int(seq), searchable(row)
