"""Many alerts at a remote on a bad day: each is one ticket, and its state is ours.

`python -m benchmarks.tickets` is the same with a thousand alerts, kills and an outage.
"""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from service.clock import SystemClock
from service.core.alerts import AlertState
from service.delivery.backoff import Backoff
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.store.sql import SqlStore
from tests.builders import everyone, make_alert, resolved, withdrawn
from tests.remotes.desk import Desk
from tests.remotes.kinds import TICKETS, Kind
from tests.remotes.weather import Weather
from tests.service.delivery.fakes import running
from tests.waiting import until

INCIDENTS = 24
LAG_SECONDS = 0.2


@pytest.mark.parametrize("kind", TICKETS, ids=lambda kind: kind.name)
async def test_each_alert_is_one_ticket_in_our_state(kind: Kind, tmp_path: Path) -> None:
    clock = SystemClock()
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}", routes=everyone("desk"), clock=clock)
    await store.migrate()
    async with closing(store), kind.remote() as remote:
        if isinstance(remote, Desk):
            remote.lag_seconds = LAG_SECONDS
        weather = Weather(0.1, lost_share=0.2)
        remote.decide = weather
        settle = {"settle_seconds": 3 * LAG_SECONDS} if "settle_seconds" in kind.settings else {}
        receiver = kind.on_loopback(remote.url, **settle)
        metrics = DeliveryMetrics(CollectorRegistry(), ["desk"])
        backoff = Backoff(base=timedelta(milliseconds=5), cap=timedelta(milliseconds=20))
        async with running(Deliverer(store, [receiver], clock, metrics, poll_seconds=0.01, backoff=backoff)):
            await store.record([make_alert(f"a{n}") for n in range(INCIDENTS)])
            await store.record([make_alert(f"a{n}", 2, impact=1e5) for n in range(INCIDENTS)])
            for n in range(0, INCIDENTS, 3):
                await store.acknowledge(f"a{n}", actor="ada", comment="", at=clock.now())
            await store.record([resolved(f"a{n}", 3) for n in range(0, INCIDENTS, 2)])
            await store.record([withdrawn(f"a{n}", 3) for n in range(1, INCIDENTS, 8)])
            await until(lambda: all_told(store))
        assert weather.faults > INCIDENTS / 4, "the weather was bad"
        ours = {kind.key(f"a{n}"): [await state_of(store, f"a{n}", kind)] for n in range(INCIDENTS)}
        assert remote.states() == ours


@contextlib.asynccontextmanager
async def closing(store: SqlStore) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await store.close()


async def all_told(store: SqlStore) -> bool:
    counts = (await store.counts()).get("desk", {})
    return counts.get("pending", 1) == 0 and counts["dead"] == 0


async def state_of(store: SqlStore, alert_id: str, kind: Kind) -> str:
    state = (await store.get(alert_id)).state
    if state in (AlertState.RESOLVED, AlertState.WITHDRAWN):
        return "resolved"
    return "acknowledged" if state is AlertState.ACKNOWLEDGED and kind.acknowledges else "open"
