"""How messages are taken from the outbox: which are due, what each is to say, what it makes needless."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, case, func, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.alerts import AlertEvent, EventType
from service.core.notices import Member
from service.digests.content import Digest
from service.digests.expiry import ExpiryWarning
from service.digests.letter import Content
from service.store.coalescing import Plan, Row, as_told, plan
from service.store.documents import decode_record
from service.store.store import Delivery, Letter, LetterDelivery
from service.store.tables import deliveries, events, letters

# A literal, since neither database uses a partial index for a parameter.
PENDING: ColumnElement[str] = literal_column("'pending'")
# What the message is to its receiver.
TOLD_AS = func.coalesce(deliveries.c.told_as, events.c.type)
_TYPE = TOLD_AS.label("type")
_decode_members = msgspec.json.Decoder(tuple[Member, ...]).decode


def told_event_of(row: Any) -> AlertEvent:
    """What a receiver is told, which of what it hears late is not what happened last."""
    event = event_of(row)
    return event if row.told_as in (None, row.happened) else as_told(event, event.type)


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


@cache
def due_now(*, of_one_receiver: bool) -> Select[Any]:
    """Rows that may be sent now: pending, due, the oldest of their receiver and alert, and none of these leased.

    Parameters: `now`, `limit`, and `receiver` if it is of one. Kept, since building it costs more than running it.
    """
    older = deliveries.alias("older")
    now = bindparam("now", type_=deliveries.c.next_attempt_at.type)
    # Asked as a scalar and not as NOT EXISTS: PostgreSQL may turn that one into a join, and with the statistics of a
    # young table it chose one that took 100 s for 10,000 rows. This is one index look-up for each row it looks at.
    # A leased one counts as the oldest of all: an older message that was revived must not be sent beside it.
    first = (
        select(func.min(case((older.c.lease_until > now, -1), else_=older.c.seq)))
        .where(
            older.c.receiver == deliveries.c.receiver,
            older.c.alert_id == deliveries.c.alert_id,
            older.c.state == PENDING,
        )
        .scalar_subquery()
    )
    due = and_(deliveries.c.state == PENDING, deliveries.c.next_attempt_at <= now, deliveries.c.seq == first)
    if of_one_receiver:
        due = and_(due, deliveries.c.receiver == bindparam("receiver", type_=deliveries.c.receiver.type))
    return (
        select(deliveries.c.id, deliveries.c.alert_id, deliveries.c.seq)
        .where(due)
        .order_by(deliveries.c.next_attempt_at, deliveries.c.seq)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(of=deliveries, skip_locked=True)
    )


async def plans_of(connection: AsyncConnection, receiver: str, alert_ids: Sequence[str]) -> list[Plan]:
    """What to send of each alert."""
    found = await connection.execute(
        select(
            deliveries.c.alert_id,
            deliveries.c.id,
            deliveries.c.seq,
            deliveries.c.state,
            _TYPE,
            deliveries.c.remote_id,
        )
        .join(events, events.c.seq == deliveries.c.seq)
        .where(deliveries.c.receiver == receiver, deliveries.c.alert_id.in_(alert_ids))
        .order_by(deliveries.c.seq)
    )
    rows: dict[str, list[Row]] = {}
    for row in found:
        rows.setdefault(row.alert_id, []).append(Row(row.id, row.seq, row.state, EventType(row.type), row.remote_id))
    return [plan(rows[alert_id]) for alert_id in alert_ids]


async def supersede(connection: AsyncConnection, ids: Sequence[str], now: datetime) -> None:
    if ids:
        done = update(deliveries).where(deliveries.c.id.in_(ids))
        await connection.execute(
            done.values(state="superseded", delivered_at=now, last_error=None, leased_by=None, lease_until=None)
        )


async def as_planned(connection: AsyncConnection, claimed: Sequence[Delivery], plans: Sequence[Plan]) -> list[Delivery]:
    """With what is known of the other side, and the event that is to be told where it is not the row's own."""
    of = {plan.send: plan for plan in plans}
    newer = [of[one.id].says for one in claimed if of[one.id].says != one.event.seq]
    found = {}
    if newer:
        rows = await connection.execute(select(events).where(events.c.seq.in_(newer)))
        found = {row.seq: event_of(row) for row in rows}
    return [_told_by(of[one.id], one, found) for one in claimed]


def _told_by(plan: Plan, one: Delivery, newer: Mapping[int, AlertEvent]) -> Delivery:
    event = newer.get(plan.says, one.event)
    return replace(one, event=plan.tells(event), remote_id=plan.remote_id)


def with_event() -> Select[Any]:
    """Messages about alerts."""
    return select(
        deliveries,
        events.c.at,
        _TYPE,
        events.c.type.label("happened"),
        events.c.actor,
        events.c.comment,
        events.c.document,
    ).join(events, and_(events.c.seq == deliveries.c.seq, deliveries.c.letter_id.is_(None)))


def with_either() -> Select[Any]:
    """Messages about alerts, and about letters."""
    of_alert = and_(events.c.seq == deliveries.c.seq, deliveries.c.letter_id.is_(None))
    return (
        select(
            deliveries,
            events.c.at,
            _TYPE,
            events.c.type.label("happened"),
            events.c.actor,
            events.c.comment,
            events.c.document,
            *_LETTER,
        )
        .outerjoin(events, of_alert)
        .outerjoin(letters, letters.c.id == deliveries.c.letter_id)
    )


def with_letter() -> Select[Any]:
    """Messages about letters."""
    return select(deliveries, *_LETTER).join(letters, letters.c.id == deliveries.c.letter_id)


@cache
def letters_due(*, locked: bool) -> Select[Any]:
    """Ids of letters that may be sent now. Parameters: `now`, `limit`, `receiver`."""
    now = bindparam("now", type_=deliveries.c.next_attempt_at.type)
    due = (
        select(deliveries.c.id)
        .where(
            deliveries.c.state == PENDING,
            deliveries.c.letter_id.is_not(None),
            deliveries.c.receiver == bindparam("receiver", type_=deliveries.c.receiver.type),
            deliveries.c.next_attempt_at <= now,
            or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= now),
        )
        .order_by(deliveries.c.next_attempt_at, deliveries.c.id)
        .limit(bindparam("limit", type_=Integer))
    )
    return due.with_for_update(of=deliveries, skip_locked=True) if locked else due


_LETTER = (
    letters.c.digest.label("letter_digest"),
    letters.c.value.label("letter_value"),
    letters.c.due_at.label("letter_due_at"),
    letters.c.document.label("letter_document"),
    letters.c.silence.label("letter_silence"),
)
_decode_digest = msgspec.json.Decoder(Digest).decode
_decode_warning = msgspec.json.Decoder(ExpiryWarning).decode


def letter_delivery_of(row: Any) -> LetterDelivery:
    content: Content = (
        _decode_digest(row.letter_document) if row.letter_silence is None else _decode_warning(row.letter_document)
    )
    letter = Letter(
        id=row.letter_id,
        digest=row.letter_digest or None,
        value=row.letter_value,
        due_at=row.letter_due_at,
        content=content,
        receivers=(row.receiver,),
    )
    return LetterDelivery(
        id=row.id,
        receiver=row.receiver,
        letter=letter,
        seq=row.seq,
        attempts=row.attempts,
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        state=row.state,
        last_error=row.last_error,
        delivered_at=row.delivered_at,
        remote_id=row.remote_id,
    )


def delivery_of(row: Any) -> Delivery:
    return Delivery(
        id=row.id,
        receiver=row.receiver,
        event=told_event_of(row),
        attempts=row.attempts,
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        state=row.state,
        last_error=row.last_error,
        delivered_at=row.delivered_at,
        remote_id=row.remote_id,
        members=() if row.members is None else _decode_members(row.members),
    )
