"""Acknowledgements end when their time has come, whatever the store is up to meanwhile."""

import asyncio
from datetime import timedelta

from service.core.alerts import AlertState
from service.delivery.timekeeping import Timekeeper
from service.errors import UnavailableError
from tests.builders import everyone, make_alert
from tests.clock import NOON, FakeClock
from tests.fakes import MemoryStore
from tests.waiting import until

HOUR = timedelta(hours=1)


async def acknowledged_for_an_hour(clock: FakeClock) -> MemoryStore:
    store = MemoryStore(clock, routes=everyone("desk"))
    await store.record([make_alert()])
    await store.acknowledge("a1", actor="ada", comment="", at=NOON, until=NOON + HOUR)
    return store


async def test_an_acknowledgement_ends_at_the_first_look_after_its_time() -> None:
    clock = FakeClock()
    store = await acknowledged_for_an_hour(clock)
    keeper = Timekeeper(store, clock)
    assert await keeper.tick() == 0
    clock.move(HOUR)
    assert await keeper.tick() == 1
    assert (await store.get("a1")).state is AlertState.FIRING
    assert await keeper.tick() == 0


async def test_what_became_due_while_the_store_was_away_is_done_when_it_is_back() -> None:
    clock = FakeClock()
    store = await acknowledged_for_an_hour(clock)
    keeper = Timekeeper(store, clock)
    clock.move(HOUR)
    store.problem = UnavailableError("away")
    assert await keeper.tick() == 0
    store.problem = None
    assert await keeper.tick() == 1


async def test_it_looks_until_it_is_stopped() -> None:
    clock, stop = FakeClock(), asyncio.Event()
    store = await acknowledged_for_an_hour(clock)
    running = asyncio.create_task(Timekeeper(store, clock, every_seconds=0.001).run(stop))
    clock.move(HOUR)
    await until(lambda: len(store.events) == 3)
    stop.set()
    await running
