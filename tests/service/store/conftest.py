"""Databases and caches for the store's tests."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.engine import make_url

from service.embedded import EmbeddedValkey, NotInstalledError, UnsupportedPlatformError
from service.store.database import EVENT_SEQ
from service.store.sql import SqlStore
from service.store.tables import counters
from tests.builders import everyone
from tests.clock import FakeClock
from tests.service.store.waiting import Desk

POSTGRES = "SPENDWATCH_TEST_POSTGRES"
REDIS = "SPENDWATCH_TEST_REDIS"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"


@contextlib.asynccontextmanager
async def new_database() -> AsyncIterator[str]:
    """URL of an empty database that is dropped afterwards."""
    address = os.environ.get(POSTGRES)
    if not address:
        pytest.skip(f"set {POSTGRES}=postgresql+asyncpg://user@host/database to run this")
    asyncpg = pytest.importorskip("asyncpg")
    url = make_url(address)
    name = f"spendwatch_test_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.close()


@pytest.fixture
async def new_postgres_url() -> AsyncIterator[str]:
    async with new_database() as url:
        yield url


@pytest.fixture(scope="session")
def shared_postgres_url() -> Iterator[str]:
    """Making a database takes longer than most tests."""
    with asyncio.Runner() as runner:
        database = new_database()
        url = runner.run(database.__aenter__())
        yield url
        runner.run(database.__aexit__(None, None, None))


@pytest.fixture
async def postgres_url(shared_postgres_url: str) -> str:
    """A migrated database without any alerts."""
    store = SqlStore(shared_postgres_url, routes=everyone(), clock=FakeClock())
    await store.migrate()
    async with store._database.writing() as connection:
        await connection.execute(text("TRUNCATE alerts, digests, inbound_events, letters, silences, spend CASCADE"))
        await connection.execute(update(counters).where(counters.c.name == EVENT_SEQ).values(value=0))
    await store.close()
    return shared_postgres_url


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """One embedded server for all tests; each uses a prefix of its own."""
    try:
        server = EmbeddedValkey()
        server.start()
    except (UnsupportedPlatformError, NotInstalledError) as error:
        pytest.skip(str(error))
    try:
        yield server.url
    finally:
        server.stop()


@pytest.fixture(
    params=[pytest.param("valkey", marks=pytest.mark.embedded), pytest.param("redis", marks=pytest.mark.redis)]
)
def redis_url(request: pytest.FixtureRequest) -> str:
    if request.param == "valkey":
        return str(request.getfixturevalue("valkey_url"))
    address = os.environ.get(REDIS)
    if not address:
        pytest.skip(f"set {REDIS}=redis://host:port/0 to run this")
    return address


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def dispatch_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def desk(dispatch_url: str, clock: FakeClock) -> AsyncIterator[Desk]:
    made = Desk(dispatch_url, clock)
    await made.open().migrate()
    yield made
    for store in made.opened:
        await store.close()
