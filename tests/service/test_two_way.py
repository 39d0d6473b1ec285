"""The whole round trip with Jira: our alert is a ticket there, a person closes it there, and nothing goes in circles.

A real store, a deliverer, the API's own route, and a Jira that tells of everything that happens there, our edits
included, with real signatures.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from service.clock import SystemClock
from service.core.alerts import AlertState, EventType
from service.core.inbound import Action
from service.core.markers import marker_of
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.settings import Settings
from service.store.live import LiveHub
from service.store.sql import SqlStore
from service.web.api import create_api
from tests.builders import everyone, make_alert
from tests.remotes.hooks import OURS, SECRET
from tests.remotes.jira import JiraRemote
from tests.remotes.kinds import BY_TYPE
from tests.remotes.remote import opened
from tests.service.delivery.fakes import RecordingReceiver, running
from tests.waiting import until

ALERT = "a1"


@dataclass(frozen=True)
class World:
    store: SqlStore
    jira: JiraRemote
    pager: RecordingReceiver
    client: httpx.AsyncClient
    registry: CollectorRegistry

    async def carry(self) -> None:
        """Bring what Jira has to tell, until it is quiet: each webhook twice, as its retries do."""
        while self.jira.hooks:
            hook = self.jira.hooks.popleft()
            for _ in range(2):
                answer = await self.client.post("/inbound/jira", content=hook.body, headers=dict(hook.headers))
                assert answer.status_code == 200
            await self.settled()

    async def settled(self) -> None:
        async def nothing_waits() -> bool:
            return not any(states.get("pending") for states in (await self.store.counts()).values())

        await until(nothing_waits)

    def ticket(self) -> list[str]:
        return self.jira.states()[marker_of(ALERT)]

    async def trail(self) -> list[tuple[EventType, str]]:
        return [(event.type, event.actor) for event in await self.store.events_of(ALERT)]

    async def paged(self) -> list[EventType]:
        return [sent.event.type for sent in self.pager.sent]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock, registry, jira = SystemClock(), CollectorRegistry(), JiraRemote()
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}", routes=everyone("jira", "pager"), clock=clock)
    await store.migrate()
    async with opened(jira):
        pager = RecordingReceiver("pager")
        desk = BY_TYPE["jira"].on_loopback(jira.url, name="jira")
        inbound = {"secret": SECRET, "account": [OURS]}
        receiver = {"type": "jira", "name": "jira", "url": "https://a.example", "token": "t", "project": "FINOPS"}
        settings = Settings.model_validate({"receivers": [{**receiver, "inbound": inbound}]})
        app = create_api(
            settings=settings,
            store=store,
            outbox=store,
            inbox=store,
            silences=store,
            hub=LiveHub(store, poll_seconds=0.01),
            publish=lambda _messages: asyncio.sleep(0),
            registry=registry,
            clock=clock,
            ready=dict,
        )
        metrics = DeliveryMetrics(CollectorRegistry(), ["jira", "pager"])
        deliverer = Deliverer(store, [desk, pager], clock, metrics, poll_seconds=0.01)
        # In this loop: the store's locks are of one.
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar's own types of the same protocol
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8321") as client,
            running(deliverer),
        ):
            yield World(store, jira, pager, client, registry)
    await store.close()


async def test_what_a_person_closes_in_jira_is_resolved_here_and_told_to_the_others_only(world: World) -> None:
    await world.store.record([make_alert(ALERT)])
    await world.settled()
    await world.carry()
    assert world.ticket() == ["open"]
    requests = len(world.jira.requests)
    world.jira.person(marker_of(ALERT), Action.CLOSE)
    await world.carry()
    record = await world.store.get(ALERT)
    assert (record.state, record.resolved_by) == (AlertState.RESOLVED, "jira:alice")
    assert await world.paged() == [EventType.OPENED, EventType.RESOLVED]
    assert await world.trail() == [(EventType.OPENED, "detection"), (EventType.RESOLVED, "jira:alice")]
    # Nothing was sent back: neither a comment nor a transition.
    assert len(world.jira.requests) == requests
    assert world.ticket() == ["resolved"]


async def test_what_we_do_there_comes_back_and_changes_nothing(world: World) -> None:
    await world.store.record([make_alert(ALERT)])
    await world.settled()
    await world.store.acknowledge(ALERT, actor="ada", comment="on it", at=SystemClock().now())
    await world.settled()
    await world.store.resolve(ALERT, actor="ada", comment="fixed", at=SystemClock().now())
    await world.settled()
    assert world.ticket() == ["resolved"]
    await world.carry()
    assert [event for event, _ in await world.trail()] == [
        EventType.OPENED,
        EventType.ACKNOWLEDGED,
        EventType.RESOLVED,
    ]
    assert world.ticket() == ["resolved"]


async def test_who_takes_it_there_has_taken_it_here_and_may_open_it_again(world: World) -> None:
    await world.store.record([make_alert(ALERT)])
    await world.settled()
    await world.carry()
    for does in (Action.ACKNOWLEDGE, Action.ASSIGN, Action.CLOSE, Action.OPEN):
        world.jira.person(marker_of(ALERT), does)
        await world.carry()
    record = await world.store.get(ALERT)
    assert (record.state, record.assigned_to) == (AlertState.FIRING, "alice")
    assert [event for event, _ in await world.trail()] == [
        EventType.OPENED,
        EventType.ACKNOWLEDGED,
        EventType.ASSIGNED,
        EventType.RESOLVED,
        EventType.REOPENED,
    ]
    assert world.ticket() == ["open"]
    assert (await world.paged())[-1] is EventType.REOPENED
