"""Digests in SQL: what was spent, when a digest is due, and its letters in the outbox.

A digest is sent once however many processes look after it: its row says when it is due, and whoever moves that on
writes the letters in the same transaction.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.alerts import AlertRecord, AlertState
from service.core.spend import SpendStatement
from service.digests.expiry import ExpiryWarning
from service.digests.sums import DaySum
from service.store.database import insert_into, last_seq
from service.store.documents import decode_record, searchable
from service.store.outbox import SqlOutbox
from service.store.spending import forget_spend, load_sums, save_spend
from service.store.store import DigestState, Letter
from service.store.tables import alerts, deliveries, digests, letters


class SqlLetters(SqlOutbox):
    """The Letters protocol. All methods raise StoreUnavailableError when the database is away."""

    async def record_spend(self, statements: Sequence[SpendStatement]) -> None:
        async with self._database.writing() as connection:
            await save_spend(connection, statements)

    async def spend_sums(
        self, *, tenant: str, label: str, metric: str, since: datetime, until: datetime
    ) -> list[DaySum]:
        async with self._database.reading() as connection:
            return await load_sums(connection, tenant=tenant, label=label, metric=metric, since=since, until=until)

    async def alerts_since(self, tenant: str, since: datetime) -> list[AlertRecord]:
        is_open = alerts.c.state.in_([state.value for state in AlertState if not state.is_over])
        query = select(alerts.c.document).where(
            alerts.c.tenant == searchable(tenant), or_(is_open, alerts.c.updated_at > since)
        )
        async with self._database.reading() as connection:
            return [decode_record(row.document) for row in await connection.execute(query.order_by(alerts.c.seq))]

    async def digest_state(self, name: str, *, schedule: str, first: datetime) -> DigestState:
        known = select(digests).where(digests.c.name == name)
        async with self._database.reading() as connection:
            row = (await connection.execute(known)).first()
        if row is None or row.schedule != schedule:
            async with self._database.writing() as connection:
                new = insert_into(connection, digests).values(name=name, schedule=schedule, next_due=first)
                await connection.execute(new.on_conflict_do_nothing())
                other = update(digests).where(digests.c.name == name, digests.c.schedule != schedule)
                await connection.execute(other.values(schedule=schedule, next_due=first))
                row = (await connection.execute(known)).one()
        return DigestState(next_due=row.next_due, last_due=row.last_due)

    async def post(
        self, letters: Sequence[Letter], *, name: str, was: DigestState, becomes: DigestState, at: datetime
    ) -> bool:
        due = update(digests).where(digests.c.name == name, digests.c.next_due == was.next_due)
        async with self._database.writing() as connection:
            moved = await connection.execute(due.values(next_due=becomes.next_due, last_due=becomes.last_due))
            if not moved.rowcount:
                return False
            await put_letters(connection, letters, at)
            return True

    async def post_by_hand(self, letters: Sequence[Letter], *, at: datetime) -> None:
        async with self._database.writing() as connection:
            await put_letters(connection, letters, at)

    async def forget(self, *, spend_before: datetime, letters_before: datetime) -> None:
        async with self._database.writing() as connection:
            await forget_spend(connection, spend_before)
            await connection.execute(delete(letters).where(letters.c.created_at < letters_before))


async def put_letters(connection: AsyncConnection, new: Sequence[Letter], at: datetime) -> None:
    """Letters with their deliveries; one whose id is known is left as it is."""
    known = await connection.execute(select(letters.c.id).where(letters.c.id.in_([letter.id for letter in new])))
    ids = {row.id for row in known}  # a schedule that was changed back and forth asks for the same letter again
    new = [letter for letter in new if letter.id not in ids]
    if not new:
        return
    seq = await last_seq(connection)
    await connection.execute(insert(letters), [_letter_row(letter, at) for letter in new])
    rows = [_delivery_row(letter, receiver, seq, at) for letter in new for receiver in letter.receivers]
    if rows:
        await connection.execute(insert(deliveries), rows)


def _letter_row(letter: Letter, at: datetime) -> dict[str, object]:
    content = letter.content
    return {
        "id": letter.id,
        "digest": letter.digest or "",
        "silence": content.silence if isinstance(content, ExpiryWarning) else None,
        "value": None if letter.value is None else searchable(letter.value),
        "due_at": letter.due_at,
        "created_at": at,
        "document": msgspec.json.encode(content).decode(),
    }


def _delivery_row(letter: Letter, receiver: str, seq: int, at: datetime) -> dict[str, object]:
    return {
        "id": "msg_" + hashlib.sha256(f"{letter.id}\n{receiver}".encode()).hexdigest()[:32],
        "receiver": receiver,
        "letter_id": letter.id,
        "seq": seq,
        "state": "pending",
        "attempts": 0,
        "created_at": at,
        "next_attempt_at": at,
    }
