"""The SQL store keeps both contracts on SQLite and PostgreSQL; what only SQL has to prove stands below."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from service.core.alerts import Alert, AlertRecord, EventType
from service.store.recording import Recording
from service.store.sql import SqlStore
from tests.builders import everyone, make_alert, resolved
from tests.clock import NOON, FakeClock
from tests.contracts.deeds import DeedsContract, Put
from tests.contracts.store import AlertStoreContract, OpenStore, OutboxContract

SqlFactory = Callable[[Callable[[Alert], Sequence[str]]], SqlStore]


async def open_stores(url: str, clock: FakeClock) -> AsyncIterator[SqlFactory]:
    opened: list[SqlStore] = []

    def factory(routes: Callable[[Alert], Sequence[str]]) -> SqlStore:
        opened.append(SqlStore(url, routes=routes, clock=clock))
        return opened[-1]

    await factory(everyone()).migrate()
    yield factory
    for store in opened:
        await store.close()


class SqlContract(AlertStoreContract, OutboxContract, DeedsContract):
    @pytest.fixture
    def store(self, open_store: SqlFactory) -> SqlStore:
        return open_store(everyone("desk"))

    @pytest.fixture
    def put(self, store: SqlStore) -> Put:
        async def put(kind: EventType, record: AlertRecord | None) -> None:
            assert record is not None
            async with store._database.writing() as connection:
                recording = Recording(connection, everyone("desk"), None)
                await recording.begin([record.alert.id])
                recording.change(kind, record, at=NOON)
                await recording.flush()

        return put

    async def test_two_recorders_number_events_without_gaps(self, open_store: SqlFactory) -> None:
        one, two, reader = (open_store(everyone("desk")) for _ in range(3))
        alerts = [make_alert(f"a{n}", version) for n in range(20) for version in (1, 2)]
        seen: list[int] = []

        async def watch() -> None:
            """An event must never become visible after one of a higher number was read."""
            while len(seen) < 40:
                seen.extend(event.seq for event in await reader.events_after(seen[-1] if seen else 0, 7))

        async def record(store: SqlStore, batches: list[list[Alert]]) -> None:
            for batch in batches:
                await store.record(batch)

        batches = [alerts[n : n + 4] for n in range(0, 40, 4)]
        async with asyncio.timeout(20):
            # The same batches in opposite order, as two workers during a rebalance may send them.
            await asyncio.gather(watch(), record(one, batches), record(two, batches[::-1]))
        assert seen == list(range(1, 41))
        counts = (await reader.counts())["desk"]
        assert counts["pending"] == 20

    async def test_a_large_batch_is_one_transaction(self, store: SqlStore) -> None:
        alerts = [make_alert(f"a{n}") for n in range(1200)]
        assert len(await store.record(alerts)) == 1200
        assert len(await store.record([resolved(f"a{n}") for n in range(1200)])) == 1200
        assert await store.record(alerts) == []

    async def test_a_failed_batch_leaves_nothing(self, open_store: SqlFactory) -> None:
        def fails_for_a2(alert: Alert) -> Sequence[str]:
            if alert.id == "a2":
                raise ZeroDivisionError
            return ("desk",)

        store = open_store(fails_for_a2)
        with pytest.raises(ZeroDivisionError):
            await store.record([make_alert(), make_alert("a2")])
        assert await store.last_seq() == 0
        assert (await store.record([make_alert()]))[0].seq == 1

    async def test_a_rebuilt_store_sends_the_same_ids(self, open_store: SqlFactory, tmp_path: Path) -> None:
        store = open_store(everyone("desk"))
        await store.record([make_alert("other"), make_alert(), resolved()])
        rebuilt = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'rebuilt.db'}", routes=everyone("desk"), clock=FakeClock())
        try:
            await rebuilt.migrate()
            await rebuilt.record([make_alert(), resolved(), make_alert("other")])
            ids = [d.id for d in await store.deliveries_of("a1")]
            assert ids == [d.id for d in await rebuilt.deliveries_of("a1")]
            # Standard Webhooks: no full stop in an id, since what is signed is joined by them.
            assert all(re.fullmatch("msg_[0-9a-f]{32}", text) for text in ids)
        finally:
            await rebuilt.close()

    async def test_nothing_is_written_for_receivers_that_are_gone(
        self, open_store: SqlFactory, url: str, clock: FakeClock
    ) -> None:
        await open_store(everyone("desk", "gone")).record([make_alert()])
        store = SqlStore(url, routes=everyone("desk"), clock=clock, receivers=["desk"])
        try:
            await store.record([resolved()])
            assert (await store.counts())["gone"]["pending"] == 1
            assert (await store.counts())["desk"]["pending"] == 2
        finally:
            await store.close()


class TestSqlite(SqlContract):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url

    @pytest.fixture
    async def open_store(self, url: str, clock: FakeClock) -> AsyncIterator[SqlFactory]:
        async for factory in open_stores(url, clock):
            yield factory


@pytest.mark.postgres
class TestPostgres(SqlContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url

    @pytest.fixture
    async def open_store(self, url: str, clock: FakeClock) -> AsyncIterator[SqlFactory]:
        async for factory in open_stores(url, clock):
            yield factory


def test_the_suites_and_the_store_fit_together(sqlite_url: str, clock: FakeClock) -> None:
    """Types only: the class is both protocols."""

    def open_one(routes: Callable[[Alert], Sequence[str]]) -> SqlStore:
        return SqlStore(sqlite_url, routes=routes, clock=clock)

    factory: OpenStore = open_one
    assert callable(factory)
