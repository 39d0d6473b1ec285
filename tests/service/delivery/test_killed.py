"""kill -9 of a real deliverer process: nothing is lost, and what is sent twice has the same id."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from service.clock import SystemClock
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.store.sql import SqlStore
from service.store.store import Delivery, DeliveryQuery
from tests.builders import everyone, make_alert, resolved
from tests.killing import killed_at
from tests.remotes.kinds import BY_TYPE
from tests.remotes.stalling import Stalls
from tests.service.delivery.desk import Desk, open_desk
from tests.service.delivery.fakes import SECRET, running
from tests.service.delivery.killed import LEASE_MARGIN, make_webhook
from tests.waiting import until

KILLED = "tests.service.delivery.killed"


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
    await killed_at(point, KILLED, database, desk.url, SECRET)
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


async def start(what: str, database: str, url: str) -> asyncio.subprocess.Process:
    arguments = ("-m", KILLED, what, database, url, SECRET)
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )


class LaterClock:
    """As if two minutes had passed: the leases of who was killed have ended."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(minutes=2)


REQUESTS = 7
"""More than the requests of opening and resolving one ticket at any of the desks."""


@pytest.mark.parametrize("kind", ["jira", "jira_service_management", "servicenow", "zendesk", "freshdesk"])
async def test_killed_at_any_request_of_a_ticket_it_is_opened_once_and_resolved(kind: str, tmp_path: Path) -> None:
    """One alert for each request of its life, at which the desk has done it and the deliverer is killed."""
    desk = BY_TYPE[kind]
    database = f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"
    store = SqlStore(database, routes=everyone("desk"), clock=SystemClock())
    await store.migrate()
    await store.record([make_alert(f"a{number}") for number in range(REQUESTS)])
    await store.record([resolved(f"a{number}") for number in range(REQUESTS)])
    async with desk.remote() as remote:
        stalls = Stalls(remote, {desk.key(f"a{number}"): number for number in range(REQUESTS)})
        remote.decide = stalls
        process = await start(kind, database, remote.url)
        try:
            await until(lambda: all_rest(store, len(stalls.stalled)))
        finally:
            process.kill()
            assert await process.wait() == -signal.SIGKILL
        assert len(stalls.stalled) >= 4, "at least the search, the opening, and a look and a change to resolve it"
        stalls.is_on = False

        receiver = desk.on_loopback(remote.url)
        metrics = DeliveryMetrics(CollectorRegistry(), ["desk"])
        async with running(Deliverer(store, [receiver], LaterClock(), metrics, poll_seconds=0.02)):
            await until(lambda: all_rest(store, 0))
        assert remote.states() == {desk.key(f"a{number}"): ["resolved"] for number in range(REQUESTS)}
    await store.close()


async def all_rest(store: SqlStore, stalled: int) -> bool:
    """Whether nothing more happens: everything is delivered but for what is stalled, with what waits behind it."""
    counts = (await store.counts())["desk"]
    rows = (await store.deliveries(DeliveryQuery(state="pending"))).items
    alerts = {row.event.record.alert.id for row in rows if isinstance(row, Delivery)}
    return len(alerts) == stalled and counts["dead"] == 0 and (stalled > 0 or counts["delivered"] == 2 * REQUESTS)
