"""Alerts, events and the outbox in SQL: SQLite on one machine, PostgreSQL beyond it."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.clock import Clock
from service.core.alerts import Alert, AlertEvent, AlertRecord
from service.core.budget import BudgetState, states
from service.core.inbound import Heard, Inbound
from service.core.notices import Factors, Routes, same_steps
from service.core.transitions import detected
from service.settings import Budget
from service.store import hearing, queries
from service.store.claiming import event_of
from service.store.database import STORE_ID, Database, last_seq, lock_schema
from service.store.deeds import SqlDeeds
from service.store.dispatching import Dispatching, RulesFor
from service.store.documents import decode_record, searchable
from service.store.expiring import SqlExpiryWarnings
from service.store.letters import SqlLetters
from service.store.paging import load_pages
from service.store.recording import Recording
from service.store.silences import SqlSilences
from service.store.store import AlertNotFoundError, AlertQuery, Page, Summary
from service.store.tables import alerts, counters, events


class SqlStore(SqlDeeds, SqlSilences, SqlExpiryWarnings, SqlLetters):
    """The AlertStore, SilenceStore, Letters, Outbox and Inbox protocols on one database.

    url: SQLAlchemy's, as in `settings.Store`. routes: receivers that an alert is for (service.core.routing.Router).
    receivers: names of all that are configured; nothing is written for others. None means no limit.
    budgets: how many alerts people are told of (service.core.budget). wait: how long what opens waits for the dispatch
    (`dispatching`, of any process); None: there is none, and people are told at once. factors: how much the money must
    grow to be told again.
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
        wait: timedelta | None = None,
        factors: Factors = same_steps,
    ) -> None:
        """Opens nothing yet. Raises ConfigError for an address that is not one of ours."""
        SqlLetters.__init__(self, Database(url))
        self._routes = routes
        self._budgets = tuple(budgets)
        self._clock = clock
        self._wait = wait
        self._factors = factors
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
            recording = self._recording(connection)
            await recording.begin(alert.id for alert in alerts)
            await recording.open_book(alerts)
            now = self._clock.now()
            for alert in alerts:
                change = detected(recording.current(alert.id), alert, at=now, pending=self._wait is not None)
                if change is not None:
                    recording.change(*change, at=now)
            await recording.flush()
            return recording.events

    def dispatching(self, rules: RulesFor, *, heard_for: timedelta = timedelta(days=3)) -> Dispatching:
        """What decides who is told of what waits. heard_for: of what was over so long ago nobody is told any more."""
        return Dispatching(self._database, self._recording, rules, heard_for=heard_for)

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

    async def inhibited(self, heads: Sequence[str]) -> list[AlertRecord]:
        async with self._database.reading() as connection:
            return await queries.inhibited(connection, heads)

    async def people(self) -> list[str]:
        async with self._database.reading() as connection:
            return await queries.people(connection)

    async def summary(self, tenant: str | None = None) -> Summary:
        async with self._database.reading() as connection:
            return await queries.summarize(connection, tenant)

    async def budgets(self) -> list[BudgetState]:
        async with self._database.reading() as connection:
            return states(self._budgets, await load_pages(connection))

    async def hear(self, receiver: str, said: Inbound, *, actor: str, at: datetime) -> Heard:
        async with self._database.writing() as connection:
            return await hearing.hear(connection, self._recording(connection), receiver, said, actor=actor, at=at)

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

    def _recording(self, connection: AsyncConnection) -> Recording:
        return Recording(
            connection, self._routes, self._receivers, self._budgets, wait=self._wait, factors=self._factors
        )


def _import_migrations() -> Callable[..., None]:
    from service.store.migrations.run import upgrade

    return upgrade
