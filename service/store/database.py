"""One SQL database: SQLite or PostgreSQL, as the rest of the store needs it.

On SQLite: WAL, so that readers never wait for the writer; full synchronisation, since Kafka's offsets are committed
on the strength of our commit; and write transactions begin with the lock, since upgrading a read transaction fails at
once when another process has written meanwhile, whatever the busy timeout.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Executable, Table, event, select, text
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.errors import ConfigError, UnavailableError
from service.store.tables import counters

_LOCKED_PAUSE_SECONDS = 0.02
_IN_LENGTH = 500
BUSY_TIMEOUT_SECONDS = 30
EVENT_SEQ = "event_seq"
STORE_ID = "store_id"
SILENCES = "silences"
"""Counts the changes of silences."""
_DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg")
_BEGIN = "spendwatch_begin"


class StoreUnavailableError(UnavailableError):
    """The database does not answer, or is locked for longer than we wait; try again.

    where: kind and place of the database, without user, password and options.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"the store at {where} is not available: {problem}")
        self.where = where
        self.problem = problem


class Database:
    """Connections to *url*. Opens none before the first use; `close` ends them all."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError for an address that is not one of ours."""
        self._url = _checked(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(self._url) if self.is_sqlite else _postgres_engine(self._url)
        self._writer = self._engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        # Within one process, waiting in line is fairer than SQLite's busy handler, which sleeps and starves.
        self._turn = asyncio.Lock() if self.is_sqlite else contextlib.nullcontext()

    @property
    def where(self) -> str:
        """For messages: never holds a user, a password or options."""
        if self.is_sqlite:
            return f"sqlite:{self._url.database}"
        return f"postgresql://{self._url.host}:{self._url.port or 5432}/{self._url.database}"

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads. Raises StoreUnavailableError."""
        with self._translated():
            async with self._engine.begin() as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits when the block ends without an exception. Raises StoreUnavailableError."""
        with self._translated():
            async with self._turn, self._writer.begin() as connection:
                yield connection

    async def ping(self) -> None:
        """Raises StoreUnavailableError unless the database answers and its tables are there."""
        async with self.reading() as connection:
            await connection.execute(select(counters.c.value).limit(1))

    async def close(self) -> None:
        await self._engine.dispose()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not _is_away(error):
                raise
            raise StoreUnavailableError(self.where, _first_line(error)) from error


def _checked(url: str) -> URL:
    # The text itself is not repeated in messages: it may hold a password.
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(f"store.url must look like {_DRIVERS[0]}:///path or {_DRIVERS[1]}://...") from None
    if parsed.drivername not in _DRIVERS:
        raise ConfigError(f"store.url must begin with {' or '.join(_DRIVERS)}, got {parsed.drivername}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigError("store.url must name a file: the processes of the service share it, so memory will not do")
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).absolute().parent.is_dir():
        raise ConfigError(f"store.url must name a file in a folder that exists, got {parsed.database}")
    return parsed


def _sqlite_engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(url, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # We say BEGIN ourselves (below); the driver would only do so before the first write.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}")
        _write_ahead(cursor)
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))

    return engine


def _write_ahead(cursor: Any) -> None:
    """Turn the write-ahead log on, once in the life of a file.

    Where several processes do so at once, SQLite tells all but one that the database is locked, and does not wait as it
    does elsewhere: both hold a lock that the other needs.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOCKED_PAUSE_SECONDS)
        else:
            return


def _postgres_engine(url: URL) -> AsyncEngine:
    try:
        # READ COMMITTED is needed, whatever the server's default: what is read after waiting for the counter's lock
        # must be what the one before us committed.
        return create_async_engine(
            url, hide_parameters=True, isolation_level="READ COMMITTED", pool_pre_ping=True, pool_recycle=1800
        )
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"PostgreSQL needs the extra 'postgres' (pip install 'spendwatch[postgres]'): {error}"
        ) from None


async def last_seq(connection: AsyncConnection, *, lock: bool = False) -> int:
    """Number of the last event. With *lock*, everyone else who changes alerts waits until we commit."""
    statement = select(counters.c.value).where(counters.c.name == EVENT_SEQ)
    if lock:
        statement = statement.with_for_update()
    return int((await connection.execute(statement)).scalar_one())


def insert_into(connection: AsyncConnection, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT, which is not SQL's own: both dialects spell it alike."""
    return sqlite_insert(table) if connection.dialect.name == "sqlite" else postgres_insert(table)


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """For IN lists: well below the parameter limits of both databases."""
    return (values[start : start + _IN_LENGTH] for start in range(0, len(values), _IN_LENGTH))


async def execute_many(connection: AsyncConnection, statement: Executable, rows: Sequence[dict[str, Any]]) -> None:
    """Once for each row; not at all without any."""
    if rows:
        await connection.execute(statement, rows)


async def lock_schema(connection: AsyncConnection) -> None:
    """Makes concurrent migrations wait for one another. SQLite's write transaction does so by itself."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(7239401187)"))


def _is_away(error: BaseException) -> bool:
    if isinstance(error, OperationalError | InterfaceError):
        # A missing table is an OperationalError on SQLite, and no reason to try again.
        return not (isinstance(error.orig, sqlite3.OperationalError) and "no such" in str(error.orig))
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _class_of(error) in _AWAY_CLASSES
    return isinstance(error, OSError | TimeoutError) or _class_of(error) in _AWAY_CLASSES


_AWAY_CLASSES = frozenset({"08", "28", "3D", "53", "57"})
"""SQLSTATE classes: connection exception, login refused, no such database (both may be set up a moment after us),
insufficient resources, operator intervention (shutdown, starting up)."""


def _class_of(error: BaseException) -> str | None:
    """The SQLSTATE class of a PostgreSQL error; asyncpg's own come through bare while connecting."""
    state = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
    return state[:2] if isinstance(state, str) else None


def _first_line(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
