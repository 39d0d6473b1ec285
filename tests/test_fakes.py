"""The fake store behaves as the real one: tests on top of it prove something."""

from collections.abc import Callable, Sequence

import pytest

from service.core.alerts import Alert, AlertRecord, EventType
from tests.builders import everyone
from tests.clock import NOON, FakeClock
from tests.contracts.deeds import DeedsContract, Put
from tests.contracts.store import AlertStoreContract, OutboxContract
from tests.fakes import MemoryDatabase, MemoryStore


class TestMemoryStore(AlertStoreContract, OutboxContract, DeedsContract):
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def store(self, clock: FakeClock) -> MemoryStore:
        return MemoryStore(clock, routes=everyone("desk"))

    @pytest.fixture
    def put(self, store: MemoryStore) -> Put:
        async def put(kind: EventType, record: AlertRecord | None) -> None:
            assert record is not None
            store.put(kind, record, at=NOON)

        return put

    @pytest.fixture
    def open_store(self, clock: FakeClock) -> Callable[[Callable[[Alert], Sequence[str]]], MemoryStore]:
        database = MemoryDatabase()
        return lambda routes: MemoryStore(clock, routes=routes, database=database)
