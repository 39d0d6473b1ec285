"""The whole round trip with every system that speaks back: our alert is a ticket there, a person closes it there, and
nothing goes in circles.

A real store, a deliverer, the API's own route, and a remote that tells of everything that happens there, our edits
included, with real signatures.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from service.clock import SystemClock
from service.core.alerts import AlertState, EventType
from service.core.inbound import Action
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.settings import Settings
from service.store.live import LiveHub
from service.store.sql import SqlStore
from service.web.api import create_api
from tests.builders import everyone, make_alert
from tests.remotes.chats import SlackRemote
from tests.remotes.hooks import OURS, SECRET
from tests.remotes.kinds import BY_TYPE, Kind
from tests.remotes.remote import Remote, opened
from tests.service.delivery.fakes import RecordingReceiver, running
from tests.waiting import until

ALERT = "a1"
_PROOF = {"secret": SECRET}
_ACCOUNT = {**_PROOF, "account": [OURS]}
INBOUND: Mapping[str, Mapping[str, object]] = {
    "jira": _ACCOUNT,
    "jira_service_management": _ACCOUNT,
    "servicenow": _ACCOUNT,
    "zendesk": _ACCOUNT,
    "pagerduty": _PROOF,
    "slack_bot": _PROOF,
}
DESKS = [kind for kind in INBOUND if kind != "slack_bot"]
"""Where people may do more than press a button."""
ASSIGNEE = {"zendesk": "agent alice"}
"""Zendesk names people by number."""


@dataclass(frozen=True)
class World:
    kind: Kind
    store: SqlStore
    remote: Remote
    pager: RecordingReceiver
    client: httpx.AsyncClient
    registry: CollectorRegistry

    @property
    def key(self) -> str:
        """What the remote knows the alert by."""
        return self.kind.key(ALERT)

    def does(self, action: Action, comment: str = "") -> None:
        self.remote.person(self.key, action, comment=comment)

    async def carry(self) -> None:
        """Bring what the remote has to tell, until it is quiet: each webhook twice, as retries do."""
        while self.remote.hooks:
            hook = self.remote.hooks.popleft()
            for _ in range(2):
                answer = await self.client.post("/inbound/there", content=hook.body, headers=dict(hook.headers))
                assert answer.status_code == 200
            await self.settled()

    async def settled(self) -> None:
        async def nothing_waits() -> bool:
            return not any(states.get("pending") for states in (await self.store.counts()).values())

        await until(nothing_waits)

    async def told(self) -> None:
        """The alert is there, and what that made the remote say was heard."""
        await self.store.record([make_alert(ALERT)])
        await self.settled()
        await self.carry()
        assert self.states() == ["open"]

    def states(self) -> list[str]:
        return self.remote.states()[self.key]

    async def trail(self) -> list[tuple[EventType, str]]:
        return [(event.type, event.actor) for event in await self.store.events_of(ALERT)]

    def paged(self) -> list[EventType]:
        return [sent.event.type for sent in self.pager.sent]


@pytest.fixture(params=INBOUND)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    kind = BY_TYPE[request.param]
    clock, registry, remote = SystemClock(), CollectorRegistry(), kind.remote()
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}", routes=everyone("there", "pager"), clock=clock)
    await store.migrate()
    async with opened(remote):
        pager, inbound = RecordingReceiver("pager"), INBOUND[kind.type]
        there = kind.on_loopback(remote.url, name="there", inbound=inbound)
        config = kind.config("https://there.example", name="there", inbound=inbound)
        app = create_api(
            settings=Settings(receivers=[config]),
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
        metrics = DeliveryMetrics(CollectorRegistry(), ["there", "pager"])
        deliverer = Deliverer(store, [there, pager], clock, metrics, poll_seconds=0.01)
        # In this loop: the store's locks are of one.
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar's own types of the same protocol
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8321") as client,
            running(deliverer),
        ):
            yield World(kind, store, remote, pager, client, registry)
    await store.close()


async def test_what_a_person_closes_there_is_resolved_here_and_closed_on_both_sides(world: World) -> None:
    await world.told()
    world.does(Action.CLOSE)
    await world.carry()
    record = await world.store.get(ALERT)
    assert (record.state, record.resolved_by) == (AlertState.RESOLVED, "there:alice")
    assert world.paged() == [EventType.OPENED, EventType.RESOLVED]
    assert await world.trail() == [(EventType.OPENED, "detection"), (EventType.RESOLVED, "there:alice")]
    assert world.states() == ["resolved"]


@pytest.mark.parametrize("world", DESKS, indirect=True)
async def test_a_ticket_that_a_person_moved_is_not_touched_by_us(world: World) -> None:
    await world.told()
    requests = len(world.remote.requests)
    for does in (Action.ACKNOWLEDGE, Action.ASSIGN, Action.COMMENT, Action.CLOSE):
        world.does(does, comment="looking")
        await world.carry()
    assert len(world.remote.requests) == requests


@pytest.mark.parametrize("world", ["slack_bot"], indirect=True)
async def test_a_button_that_was_pressed_is_seen_in_the_post_itself(world: World) -> None:
    """Pressing it changes nothing there: who pressed it would press again, and nobody else would know."""
    await world.told()
    slack = world.remote
    assert isinstance(slack, SlackRemote)
    world.does(Action.ACKNOWLEDGE)
    await world.carry()
    assert world.states() == ["acknowledged"]
    assert [button["action_id"] for button in slack.buttons(world.key)] == ["spendwatch_resolve", "spendwatch_expected"]
    world.does(Action.CLOSE)
    await world.carry()
    assert world.states() == ["resolved"]
    assert slack.buttons(world.key) == []


async def test_what_we_do_there_comes_back_and_changes_nothing(world: World) -> None:
    await world.store.record([make_alert(ALERT)])
    await world.settled()
    await world.store.acknowledge(ALERT, actor="ada", comment="on it", at=SystemClock().now())
    await world.settled()
    await world.store.resolve(ALERT, actor="ada", comment="fixed", at=SystemClock().now())
    await world.settled()
    assert world.states() == ["resolved"]
    await world.carry()
    assert [event for event, _ in await world.trail()] == [
        EventType.OPENED,
        EventType.ACKNOWLEDGED,
        EventType.RESOLVED,
    ]
    assert world.states() == ["resolved"]


@pytest.mark.parametrize("world", DESKS, indirect=True)
async def test_who_takes_it_there_has_taken_it_here_and_may_open_it_again(world: World) -> None:
    await world.told()
    for does in (Action.ACKNOWLEDGE, Action.ASSIGN, Action.CLOSE, Action.OPEN):
        world.does(does)
        await world.carry()
    record = await world.store.get(ALERT)
    assert (record.state, record.assigned_to) == (AlertState.FIRING, ASSIGNEE.get(world.kind.type, "alice"))
    assert [event for event, _ in await world.trail()] == [
        EventType.OPENED,
        EventType.ACKNOWLEDGED,
        EventType.ASSIGNED,
        EventType.RESOLVED,
        EventType.REOPENED,
    ]
    assert world.states() == ["open"]
    assert world.paged()[-1] is EventType.REOPENED


@pytest.mark.parametrize("world", DESKS, indirect=True)
async def test_what_a_person_writes_there_stands_in_the_audit_trail_once(world: World) -> None:
    await world.told()
    world.does(Action.COMMENT, comment="a nightly job ran twice")
    await world.carry()
    events = [event for event in await world.store.events_of(ALERT) if event.type is EventType.COMMENTED]
    assert [(event.actor, event.comment) for event in events] == [("there:alice", "a nightly job ran twice")]
