"""kill -9 of a real deliverer process: nothing is lost, and what is sent twice has the same id."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from service.clock import SystemClock
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.store.sql import SqlStore
from tests.builders import everyone, make_alert
from tests.service.delivery.desk import Desk, open_desk
from tests.service.delivery.fakes import SECRET, running
from tests.service.delivery.killed import LEASE_MARGIN, make_webhook
from tests.waiting import until


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with open_desk() as desk:
        yield desk


@pytest.mark.parametrize(("point", "sent_before"), [("claimed", 0), ("sent", 1)])
async def test_a_killed_deliverer_is_taken_over(desk: Desk, tmp_path: Path, point: str, sent_before: int) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"
    store = SqlStore(database, routes=everyone("desk"), clock=SystemClock())
    await store.migrate()
    await store.record([make_alert()])
    arguments = ("-m", "tests.service.delivery.killed", point, database, desk.url, SECRET)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            assert (await process.stdout.readline()).decode().strip() == point
    finally:
        process.kill()
        assert await process.wait() == -signal.SIGKILL
    assert len(desk.got) == sent_before

    webhook = make_webhook(desk.url, SECRET)
    metrics = DeliveryMetrics(CollectorRegistry(), ["desk"])
    successor = Deliverer(store, [webhook], SystemClock(), metrics, poll_seconds=0.02, lease_margin=LEASE_MARGIN)
    async with running(successor):
        await until(lambda: len(desk.got) == sent_before + 1)
    assert len({id_ for id_, _ in desk.got}) == 1
    assert len({body for _, body in desk.got}) == 1
    assert json.loads(desk.got[0][1])["data"]["id"] == "a1"
    [delivery] = await store.deliveries_of("a1")
    assert (delivery.state, delivery.attempts, delivery.id) == ("delivered", 2, desk.got[0][0])
    await store.close()
