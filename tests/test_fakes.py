"""The fake store behaves as the real one: tests on top of it prove something."""

from collections.abc import Callable, Sequence

import pytest

from service.core.alerts import Alert
from tests.clock import FakeClock
from tests.contracts.store import AlertStoreContract, OutboxContract
from tests.fakes import MemoryDatabase, MemoryStore


class TestMemoryStore(AlertStoreContract, OutboxContract):
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def store(self, clock: FakeClock) -> MemoryStore:
        return MemoryStore(clock)

    @pytest.fixture
    def open_store(self, clock: FakeClock) -> Callable[[Callable[[Alert], Sequence[str]]], MemoryStore]:
        database = MemoryDatabase()
        return lambda routes: MemoryStore(clock, routes=routes, database=database)
