"""Alerts, events and the outbox in SQL: SQLite on one machine, PostgreSQL beyond it."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from sqlalchemy import select

from connectors.facts import FeedbackVerdict
from service.clock import Clock
from service.core.alerts import Alert, AlertEvent, AlertRecord, EventType
from service.core.budget import BudgetState, states
from service.core.inbound import Heard, Inbound
from service.core.notices import Routes
from service.core.transitions import acknowledged, commented, detected, resolved
from service.settings import Budget
from service.store import hearing, queries
from service.store.claiming import event_of
from service.store.database import STORE_ID, Database, last_seq, lock_schema
from service.store.outbox import SqlOutbox
from service.store.paging import load_pages
from service.store.recording import Recording, decode_record, searchable
from service.store.store import AlertNotFoundError, AlertQuery, Page, Summary
from service.store.tables import alerts, counters, events


class SqlStore(SqlOutbox):
    """The AlertStore, Outbox and Inbox protocols on one database.

    url: SQLAlchemy's, as in `settings.Store`. routes: receivers that an alert is for (service.core.routing.Router).
    receivers: names of all that are configured; nothing is written for others. None means no limit.
    budgets: how many alerts people are told of (service.core.budget).
    All methods raise StoreUnavailableError when the database is away.
    """

    def __init__(
        self,
        url: str,
        *,
        routes: Routes,
        clock: Clock,
        receivers: Collection[str] | None = None,
        budgets: Sequence[Budget] = (),
    ) -> None:
        """Opens nothing yet. Raises ConfigError for an address that is not one of ours."""
        super().__init__(Database(url))
        self._routes = routes
        self._budgets = tuple(budgets)
        self._clock = clock
        self._receivers = None if receivers is None else frozenset(receivers)

    @property
    def where(self) -> str:
        """Kind and place of the database, for messages; without user and password."""
        return self._database.where

    async def migrate(self) -> None:
        """Bring the tables up to date. Safe to be called by any number of processes at once."""
        # Alembic is only needed here and takes a while to import; and importing it must not stop the loop.
        migrations = await asyncio.to_thread(_import_migrations)
        async with self._database.writing() as connection:
            await lock_schema(connection)
            await connection.run_sync(migrations)

    async def ping(self) -> None:
        """For readiness: raises StoreUnavailableError."""
        await self._database.ping()

    async def close(self) -> None:
        await self._marks.close()
        await self._database.close()

    async def record(self, alerts: Sequence[Alert]) -> list[AlertEvent]:
        if not alerts:
            return []
        async with self._database.writing() as connection:
            recording = Recording(connection, self._routes, self._receivers, self._budgets)
            await recording.begin(alert.id for alert in alerts)
            await recording.open_book(alerts)
            now = self._clock.now()
            for alert in alerts:
                change = detected(recording.current(alert.id), alert, at=now)
                if change is not None:
                    recording.change(*change, at=now)
            await recording.flush()
            return recording.events

    async def get(self, alert_id: str) -> AlertRecord:
        async with self._database.reading() as connection:
            found = await connection.execute(select(alerts.c.document).where(alerts.c.id == searchable(alert_id)))
            document = found.scalar_one_or_none()
        if document is None:
            raise AlertNotFoundError(alert_id)
        return decode_record(document)

    async def find(self, query: AlertQuery) -> Page:
        async with self._database.reading() as connection:
            return await queries.find(connection, query)

    async def summary(self, tenant: str | None = None) -> Summary:
        async with self._database.reading() as connection:
            return await queries.summarize(connection, tenant)

    async def budgets(self) -> list[BudgetState]:
        async with self._database.reading() as connection:
            return states(self._budgets, await load_pages(connection))

    async def acknowledge(self, alert_id: str, *, actor: str, comment: str, at: datetime) -> AlertEvent | None:
        return await self._by_hand(alert_id, EventType.ACKNOWLEDGED, acknowledged, actor, comment, at)

    async def resolve(self, alert_id: str, *, actor: str, comment: str, at: datetime) -> AlertEvent | None:
        return await self._by_hand(alert_id, EventType.RESOLVED, resolved, actor, comment, at)

    async def note_feedback(
        self, alert_id: str, *, verdict: FeedbackVerdict, actor: str, comment: str, at: datetime
    ) -> AlertEvent | None:
        said = f"{verdict.value}: {comment}" if comment else verdict.value
        return await self._by_hand(alert_id, EventType.FEEDBACK, commented, actor, said, at)

    async def hear(self, receiver: str, said: Inbound, *, actor: str, at: datetime) -> Heard:
        async with self._database.writing() as connection:
            recording = Recording(connection, self._routes, self._receivers)
            return await hearing.hear(connection, recording, receiver, said, actor=actor, at=at)

    async def events_of(self, alert_id: str) -> list[AlertEvent]:
        query = select(events).where(events.c.alert_id == searchable(alert_id)).order_by(events.c.seq)
        async with self._database.reading() as connection:
            trail = [event_of(row) for row in await connection.execute(query)]
        if not trail:
            raise AlertNotFoundError(alert_id)
        return trail

    async def events_after(self, seq: int, limit: int) -> list[AlertEvent]:
        query = select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
        async with self._database.reading() as connection:
            return [event_of(row) for row in await connection.execute(query)]

    async def last_seq(self) -> int:
        async with self._database.reading() as connection:
            return await last_seq(connection)

    async def identity(self) -> int:
        """Drawn when the tables were made: numbers of events mean nothing in another store."""
        async with self._database.reading() as connection:
            query = select(counters.c.value).where(counters.c.name == STORE_ID)
            return int((await connection.execute(query)).scalar_one())

    async def _by_hand(
        self,
        alert_id: str,
        kind: EventType,
        move: Callable[..., AlertRecord | None],
        actor: str,
        comment: str,
        at: datetime,
    ) -> AlertEvent | None:
        async with self._database.writing() as connection:
            recording = Recording(connection, self._routes, self._receivers)
            await recording.begin([searchable(alert_id)])
            current = recording.current(alert_id)
            if current is None:
                raise AlertNotFoundError(alert_id)
            record = move(current, actor=actor, at=at)
            if record is None:
                return None
            recording.change(kind, record, at=at, actor=actor, comment=comment)
            await recording.flush()
            return recording.events[0]


def _import_migrations() -> Callable[..., None]:
    from service.store.migrations.run import upgrade

    return upgrade
