"""What a receiver's people did, in SQL: which alert they mean, whether it was heard before, what it changes.

All of it is one transaction, which begins with the lock of whoever changes alerts: of two requests with the same event
the second finds the first's row.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core import deeds
from service.core.alerts import AlertRecord, EventType
from service.core.inbound import MAX_AGE, Heard, Inbound, Known, Outcome, decide
from service.core.markers import marker_of
from service.store.claiming import TOLD_AS
from service.store.coalescing import OPENS_OR_ENDS
from service.store.documents import searchable
from service.store.recording import Recording
from service.store.tables import deliveries, events, inbound_events, notices, remotes

_REMEMBERED = 2 * MAX_AGE
_UNFINISHED = ("pending", "dead")


async def hear(
    connection: AsyncConnection, recording: Recording, receiver: str, said: Inbound, *, actor: str, at: datetime
) -> Heard:
    """The transaction is the caller's."""
    await recording.begin(())
    if await _was_heard(connection, receiver, said):
        return Heard(outcome=Outcome.DUPLICATE)
    alert_id = await _alert_of(connection, receiver, said)
    if alert_id is None:
        return Heard(outcome=Outcome.UNKNOWN_ALERT)
    await recording.load([alert_id])
    record = recording.current(alert_id)
    assert record is not None
    kept = await _kept(connection, receiver, alert_id)
    decision = decide(record, said, _known(kept), actor=actor, now=at)
    # A message on its way may yet take the other side elsewhere; then it is told after all, and in the end agrees.
    origin = receiver if said.shown and not await _is_being_told(connection, receiver, alert_id) else None
    for change in decision.changes:
        await _answer_for_members(recording, record, change.kind, actor=actor, comment=said.comment, at=at)
        recording.change(change.kind, change.record, at=at, actor=actor, comment=said.comment, origin=origin)
    await recording.flush()
    await _keep(connection, receiver, alert_id, decision.known, also=said.also, is_new=kept is None)
    await _remember(connection, receiver, said, at)
    if decision.retell:
        await _retell(connection, receiver, alert_id, at)
    return Heard(outcome=decision.outcome, events=tuple(recording.events), record=recording.current(alert_id))


async def _answer_for_members(
    recording: Recording,
    head: AlertRecord,
    kind: EventType,
    *,
    actor: str,
    comment: str,
    at: datetime,
) -> None:
    """Who answers for the alert that is told answers for those that it is told in place of, as on the dashboard."""
    match kind:
        case EventType.RESOLVED:
            deed = deeds.resolve(actor=actor, comment=comment, at=at, cascade=True)
        case EventType.ACKNOWLEDGED:
            deed = deeds.acknowledge(actor=actor, comment=comment, at=at, until=None, cascade=True)
        case _:
            return
    for record, words in deed.changes(head, await recording.load_members(head.alert.id))[:-1]:
        recording.change(kind, record, at=at, actor=actor, comment=words)


async def _was_heard(connection: AsyncConnection, receiver: str, said: Inbound) -> bool:
    key = inbound_events.c.receiver == receiver, inbound_events.c.event_id == searchable(said.event_id)
    return (await connection.execute(select(inbound_events.c.event_id).where(*key))).first() is not None


async def _remember(connection: AsyncConnection, receiver: str, said: Inbound, at: datetime) -> None:
    await connection.execute(delete(inbound_events).where(inbound_events.c.heard_at < at - _REMEMBERED))
    row = {"receiver": receiver, "event_id": searchable(said.event_id), "heard_at": at}
    await connection.execute(insert(inbound_events).values(row))


async def _alert_of(connection: AsyncConnection, receiver: str, said: Inbound) -> str | None:
    """By the ticket's number; while that is not known, by our id or mark, of what the receiver is being told."""
    if said.remote_ids:
        names = [searchable(name) for name in said.remote_ids]
        found = await _newest(connection, receiver, deliveries.c.remote_id.in_(names))
        if found is not None:
            # A ticket that another one follows says nothing any more.
            newest = await _newest(connection, receiver, deliveries.c.alert_id == found.alert_id)
            return str(found.alert_id) if newest is not None and newest.remote_id in names else None
    if said.alert_id is not None:
        key = notices.c.alert_id == searchable(said.alert_id), notices.c.receiver == receiver
        return (await connection.execute(select(notices.c.alert_id).where(*key))).scalar_one_or_none()
    if said.also is not None and not said.remote_ids:
        key = remotes.c.receiver == receiver, remotes.c.also == searchable(said.also)
        return (await connection.execute(select(remotes.c.alert_id).where(*key))).scalars().first()
    return None if said.marker is None else await _marked(connection, receiver, said.marker)


async def _newest(connection: AsyncConnection, receiver: str, which: Any) -> Any:
    known = and_(
        deliveries.c.receiver == receiver,
        deliveries.c.remote_id.is_not(None),
        deliveries.c.alert_id.is_not(None),
        which,
    )
    query = select(deliveries.c.alert_id, deliveries.c.remote_id).where(known)
    return (await connection.execute(query.order_by(deliveries.c.seq.desc()).limit(1))).first()


async def _marked(connection: AsyncConnection, receiver: str, marker: str) -> str | None:
    """Among the alerts whose ticket has no number yet: a mark that somebody copied to another ticket means nothing."""
    told = and_(
        deliveries.c.receiver == receiver, deliveries.c.state.in_(_UNFINISHED), deliveries.c.remote_id.is_(None)
    )
    ids: Sequence[str] = (
        (await connection.execute(select(deliveries.c.alert_id).where(told).distinct())).scalars().all()
    )
    found = next((alert_id for alert_id in ids if marker_of(alert_id) == marker), None)
    if found is None or await _newest(connection, receiver, deliveries.c.alert_id == found) is not None:
        return None
    return found


async def _kept(connection: AsyncConnection, receiver: str, alert_id: str) -> Any:
    key = remotes.c.receiver == receiver, remotes.c.alert_id == alert_id
    return (await connection.execute(select(remotes).where(*key))).first()


def _known(row: Any) -> Known:
    return Known() if row is None else Known(at=row.at, is_over=row.is_over, assigned_at=row.assigned_at)


async def _keep(
    connection: AsyncConnection, receiver: str, alert_id: str, known: Known, *, also: str | None, is_new: bool
) -> None:
    values: dict[str, object] = {"at": known.at, "is_over": known.is_over, "assigned_at": known.assigned_at}
    values |= {} if also is None else {"also": searchable(also)}
    if is_new:
        await connection.execute(insert(remotes).values(receiver=receiver, alert_id=alert_id, **values))
    else:
        key = remotes.c.receiver == receiver, remotes.c.alert_id == alert_id
        await connection.execute(update(remotes).where(*key).values(**values))


async def _is_being_told(connection: AsyncConnection, receiver: str, alert_id: str) -> bool:
    key = deliveries.c.receiver == receiver, deliveries.c.alert_id == alert_id, deliveries.c.state == "pending"
    return (await connection.execute(select(deliveries.c.id).where(*key).limit(1))).first() is not None


async def _retell(connection: AsyncConnection, receiver: str, alert_id: str, at: datetime) -> None:
    """Send what was not sent since it came from there, as far as nothing was sent after it that opened or ended it."""
    of_it = and_(deliveries.c.receiver == receiver, deliveries.c.alert_id == alert_id)
    settles = and_(deliveries.c.state != "known", TOLD_AS.in_([kind.value for kind in OPENS_OR_ENDS]))
    sent = select(func.coalesce(func.max(deliveries.c.seq), 0)).join(events, events.c.seq == deliveries.c.seq)
    last = (await connection.execute(sent.where(of_it, settles))).scalar_one()
    again = update(deliveries).where(of_it, deliveries.c.state == "known", deliveries.c.seq > last)
    await connection.execute(again.values(state="pending", created_at=at, next_attempt_at=at, delivered_at=None))
