"""What an alert budget holds back is recorded, listed with its cost, and sent to nobody."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from service.core.alerts import Alert, AlertStatus, EventType, Severity
from service.settings import Budget
from service.store.sql import SqlStore
from tests.builders import everyone, make_alert
from tests.clock import NOON, FakeClock

OpenBudgeted = Callable[..., Awaitable[SqlStore]]


@pytest.fixture
async def open_budgeted(sqlite_url: str, clock: FakeClock) -> AsyncIterator[OpenBudgeted]:
    opened: list[SqlStore] = []

    async def call(pages: int = 1) -> SqlStore:
        store = SqlStore(sqlite_url, routes=everyone("desk"), clock=clock, budgets=[Budget(pages=pages)])
        opened.append(store)
        await store.migrate()
        return store

    yield call
    for store in opened:
        await store.close()


def later(alert_id: str, days: float, **changes: Any) -> Alert:
    return make_alert(alert_id, judged_at=NOON + timedelta(days=days), **changes)


async def sent(store: SqlStore, alert_id: str) -> list[EventType]:
    return [delivery.event.type for delivery in await store.deliveries_of(alert_id)]


async def test_beyond_the_budget_nobody_is_told_and_it_is_listed(open_budgeted: OpenBudgeted) -> None:
    store = await open_budgeted()
    await store.record([later("a1", 0), later("a2", 1, impact=700.0)])
    assert await sent(store, "a1") == [EventType.OPENED]
    assert await sent(store, "a2") == []
    assert not (await store.get("a1")).held_back
    assert (await store.get("a2")).held_back
    (state,) = await store.budgets()
    assert (state.group, state.pages, state.allowed) == ("search", 1, 1)
    assert [(entry.alert_id, entry.impact) for entry in state.held] == [("a2", 700.0)]
    assert state.impact == {"USD": 700.0}


async def test_the_book_survives_a_restart(open_budgeted: OpenBudgeted) -> None:
    await (await open_budgeted()).record([later("a1", 0)])
    store = await open_budgeted()
    await store.record([later("a2", 1), later("a3", 8)])
    assert [(await store.get(alert_id)).held_back for alert_id in ("a2", "a3")] == [True, False]


async def test_what_ends_unheard_ends_unheard(open_budgeted: OpenBudgeted) -> None:
    store = await open_budgeted(pages=0)
    await store.record([later("a1", 0)])
    await store.record([later("a1", 0, version=2, status=AlertStatus.RESOLVED, ends_at=NOON)])
    assert await sent(store, "a1") == []
    assert (await store.get("a1")).held_back


async def test_one_that_becomes_worse_is_asked_for_again(open_budgeted: OpenBudgeted) -> None:
    store = await open_budgeted()
    await store.record([later("a1", 0), later("a2", 0)])
    assert await sent(store, "a2") == []
    await store.record([later("a2", 7.5, version=2, severity=Severity.CRITICAL)])
    assert await sent(store, "a2") == [EventType.UPDATED]
    assert not (await store.get("a2")).held_back


async def test_recording_again_spends_nothing(open_budgeted: OpenBudgeted) -> None:
    store = await open_budgeted(pages=2)
    for _ in range(3):
        await store.record([later("a1", 0)])
    await store.record([later("a2", 0)])
    assert not (await store.get("a2")).held_back
