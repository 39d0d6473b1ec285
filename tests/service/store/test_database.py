"""Addresses, migrations, and what is said when the database is away."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from service.errors import ConfigError
from service.store.database import Database, StoreUnavailableError
from service.store.sql import SqlStore
from service.store.tables import metadata
from tests.builders import everyone, make_alert
from tests.clock import FakeClock


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


async def check_migrations(url: str, clock: FakeClock) -> None:
    stores = [SqlStore(url, routes=everyone(), clock=clock) for _ in range(4)]
    try:
        # All roles migrate when they start, and they start together.
        await asyncio.gather(*(store.migrate() for store in stores))
        assert await stores[0].last_seq() == 0
        assert len({await store.identity() for store in stores}) == 1
        async with stores[0]._database.reading() as connection:
            assert await connection.run_sync(differences) == []
        await stores[0].record([make_alert()])
        await stores[1].migrate()
        assert await stores[1].last_seq() == 1
    finally:
        for store in stores:
            await store.close()


async def test_migrations_make_the_tables_once_on_sqlite(sqlite_url: str, clock: FakeClock) -> None:
    await check_migrations(sqlite_url, clock)


@pytest.mark.postgres
async def test_migrations_make_the_tables_once_on_postgres(new_postgres_url: str, clock: FakeClock) -> None:
    await check_migrations(new_postgres_url, clock)


async def test_two_stores_have_two_identities(tmp_path: Path, clock: FakeClock) -> None:
    identities = set()
    for name in ("one", "two"):
        store = SqlStore(f"sqlite+aiosqlite:///{tmp_path / name}.db", routes=everyone(), clock=clock)
        await store.migrate()
        identities.add(await store.identity())
        await store.close()
    assert len(identities) == 2


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "store.url must look like"),
        ("nonsense hunter2", "store.url must look like"),
        ("sqlite:///x.db", "must begin with sqlite.aiosqlite or postgresql.asyncpg, got sqlite"),
        ("mysql+aiomysql://root:hunter2@db/x", "got mysql.aiomysql"),
        ("sqlite+aiosqlite://", "must name a file"),
        ("sqlite+aiosqlite:///:memory:", "must name a file"),
    ],
    ids=["empty", "nonsense", "sync driver", "mysql", "no file", "memory"],
)
def test_an_address_that_is_not_ours_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Database(url)
    assert "hunter2" not in str(caught.value)


async def test_a_database_that_is_away_is_said_without_the_password() -> None:
    database = Database("postgresql+asyncpg://ada:hunter2@127.0.0.1:1/spendwatch?ssl=disable")
    with pytest.raises(StoreUnavailableError, match=r"postgresql://127\.0\.0\.1:1/spendwatch is not") as caught:
        await database.ping()
    assert "hunter2" not in str(caught.value)
    assert caught.value.exit_code == 75
    await database.close()


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"in a folder that exists, got .*/missing/x\.db"):
        Database(f"sqlite+aiosqlite:///{tmp_path / 'missing' / 'x.db'}")


@pytest.mark.postgres
async def test_a_database_that_does_not_exist_is_unavailable(postgres_url: str) -> None:
    database = Database(postgres_url + "_missing")
    with pytest.raises(StoreUnavailableError, match="does not exist"):
        await database.ping()
    await database.close()


async def test_a_locked_sqlite_file_is_unavailable(
    sqlite_url: str, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.database.BUSY_TIMEOUT_SECONDS", 0)
    store = SqlStore(sqlite_url, routes=everyone("desk"), clock=clock)
    await store.migrate()
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked"):
            await store.record([make_alert()])
        # Readers do not wait for writers.
        assert await store.last_seq() == 0
        other.execute("ROLLBACK")
    assert len(await store.record([make_alert()])) == 1
    await store.close()


async def test_missing_tables_are_a_fault_and_not_an_outage(sqlite_url: str, clock: FakeClock) -> None:
    store = SqlStore(sqlite_url, routes=everyone(), clock=clock)
    with pytest.raises(Exception, match="no such table") as caught:
        await store.last_seq()
    assert not isinstance(caught.value, StoreUnavailableError)
    await store.close()
