"""The dispatch in SQL: what is due is decided and written down in one transaction.

Several processes may do so; the lock on the events makes them take turns, and what one has decided is no longer due for
the next. It costs next to nothing while nothing is due and nothing has changed.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.alerts import AlertEvent, AlertRecord, AlertState, AlertStatus, EventType
from service.core.board import DISPATCH, Board, Outcome, Rules, Tell
from service.core.budget import PageBook
from service.core.dispatch import dispatch
from service.core.hearing import MAX_LINGER, is_planned, lingers_until
from service.core.incidents import member_text
from service.core.silences import Silence, open_now
from service.core.transitions import DETECTION
from service.store.database import Database, last_seq
from service.store.documents import read_records
from service.store.recording import Recording
from service.store.silences import load_silences, version_of
from service.store.tables import alerts, waiting

_OPEN = [state.value for state in AlertState if not state.is_over]
_AT_ONCE = 500
"""Alerts that are decided about in one transaction: others wait for the lock meanwhile."""
_PLANNED_FOR = timedelta(days=62)
"""So long after it was last heard of, a planned alert may still turn out to be more than was planned."""
_DECIDED = frozenset({EventType.OPENED, EventType.REOPENED, EventType.INHIBITED})
"""Who is told of these is what the dispatch has decided."""
_NAMED = 5

NewRecording = Callable[[AsyncConnection], Recording]
RulesFor = Callable[[PageBook, Sequence[Silence]], Rules]


class Dispatching:
    """recording: for a transaction. rules: given the book of the alert budgets and the silences; asked anew each time.
    heard_for: what was over so long ago when it was found is told to nobody.
    """

    def __init__(
        self, database: Database, recording: NewRecording, rules: RulesFor, *, heard_for: timedelta = timedelta(days=3)
    ) -> None:
        self._heard_for = heard_for
        self._database = database
        self._recording = recording
        self._rules = rules
        self._open: dict[str, AlertRecord] = {}
        self._over: dict[str, AlertRecord] = {}
        self._silences: Sequence[Silence] = ()
        self._silences_version: int | None = None
        self._looked_at: tuple[object, ...] | None = None
        self.lag = timedelta()
        """For how long the oldest decision had been due when it was last looked."""

    async def run(self, now: datetime) -> list[AlertEvent]:
        """Decide about what is due at *now*, and what is silenced; returns the events that came of it.

        Raises StoreUnavailableError.
        """
        if not await self._has_work(now):
            return []
        try:
            return await self._decide(now)
        except BaseException:
            self._looked_at = None  # nothing of it is written: all of it is looked at again
            raise

    async def _decide(self, now: datetime) -> list[AlertEvent]:
        async with self._database.writing() as connection:
            recording = self._recording(connection)
            await recording.begin(())
            due = await self._due(connection, now)
            records = await self._open_alerts(connection, now)
            lingering = await self._lingering(connection, now)
            await recording.take([*records.values(), *lingering.values()])
            await recording.open_book(records[alert_id].alert for alert_id in due if alert_id in records)
            board = Board(
                records=records,
                notices=recording.notifying.all(),
                waiting=due,
                lingering=lingering,
                heard_since=now - self._heard_for,
            )
            outcome = dispatch(board, self._rules(recording.book, self._silences), now=now)
            _write(outcome, recording, due, now)
            await recording.flush()
            if self._looked_at is not None:
                self._looked_at = (recording.seq, *self._looked_at[1:])
            return recording.events

    async def _has_work(self, now: datetime) -> bool:
        async with self._database.reading() as connection:
            oldest = await connection.scalar(select(func.min(waiting.c.due_at)))
            self.lag = max(now - oldest, timedelta()) if oldest is not None else timedelta()
            quieted = await self._read_silences(connection, now)
            # Silences and plans are about all that is open, also about what has just changed.
            seen = (await last_seq(connection), *quieted)
        changed = seen != self._looked_at
        self._looked_at = seen
        return changed or (oldest is not None and oldest <= now)

    async def _read_silences(self, connection: AsyncConnection, now: datetime) -> tuple[object, ...]:
        """What has to be the same for everything to be silenced as before."""
        version = await version_of(connection)
        if version != self._silences_version:
            self._silences = await load_silences(connection, now, since=now - _PLANNED_FOR)
            self._silences_version = version
        return version, open_now(self._silences, now)

    async def _due(self, connection: AsyncConnection, now: datetime) -> dict[str, datetime]:
        query = select(waiting).where(waiting.c.due_at <= now).order_by(waiting.c.due_at).limit(_AT_ONCE)
        return {row.alert_id: row.since for row in await connection.execute(query)}

    async def _open_alerts(self, connection: AsyncConnection, now: datetime) -> dict[str, AlertRecord]:
        """What is open, and what is over since it was planned while it goes on."""
        planned = and_(alerts.c.state == AlertState.EXPECTED.value, alerts.c.updated_at > now - _PLANNED_FOR)
        found = await self._read(connection, or_(alerts.c.state.in_(_OPEN), planned), self._open)
        return {key: record for key, record in found.items() if _is_open(record)}

    async def _lingering(self, connection: AsyncConnection, now: datetime) -> dict[str, AlertRecord]:
        """What is over and may still stand for what comes in late."""
        resolved = alerts.c.state == AlertState.RESOLVED.value
        found = await self._read(connection, and_(resolved, alerts.c.updated_at > now - MAX_LINGER), self._over)
        return {key: record for key, record in found.items() if now < lingers_until(record)}

    async def _read(
        self, connection: AsyncConnection, which: ColumnElement[bool], seen: dict[str, AlertRecord]
    ) -> dict[str, AlertRecord]:
        """Decoded only where it has changed since it was last *seen*, which is brought up to date."""
        there = {row.id: row.seq for row in await connection.execute(select(alerts.c.id, alerts.c.seq).where(which))}
        changed = {key for key, seq in there.items() if key not in seen or seen[key].seq != seq}
        found = {key: seen[key] for key in there if key in seen and key not in changed}
        found.update(await read_records(connection, changed))
        seen.clear()
        seen.update(found)
        return found


def _is_open(record: AlertRecord) -> bool:
    return not record.state.is_over or (is_planned(record) and record.alert.status is AlertStatus.FIRING)


def _write(outcome: Outcome, recording: Recording, due: Mapping[str, datetime], now: datetime) -> None:
    for change in outcome.changes:
        if change.kind in _DECIDED:
            recording.add(change.kind, change.record, at=now, actor=DISPATCH, comment=change.comment)
        else:
            recording.change(change.kind, change.record, at=now, actor=DISPATCH, comment=change.comment)
    for join in outcome.joins:
        recording.join(join.alert_id, join.receiver, join.lead, at=now)
    for tell in outcome.tells:
        if tell.kind is EventType.UPDATED:
            recording.add(
                tell.kind, recording.known(tell.alert_id), at=now, actor=DISPATCH, comment=_also(recording, tell)
            )
        recording.tell(tell.alert_id, tell.receiver, tell.kind, at=now)
    for record in outcome.ends:
        recording.change(EventType.RESOLVED, record, at=now, actor=DETECTION)
    for alert_id in due:
        recording.notifying.done_waiting(alert_id)
    for alert_id, at in outcome.again.items():
        recording.notifying.wait(alert_id, since=due.get(alert_id, now), due_at=at)


def _also(recording: Recording, tell: Tell) -> str:
    """What the message adds, for the audit trail."""
    named = [member_text(recording.known(alert_id).alert) for alert_id in tell.members[:_NAMED]]
    more = len(tell.members) - len(named)
    return "also: " + "; ".join([*named, *([f"and {more} more"] if more else [])])
