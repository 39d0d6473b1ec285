"""What comes back from receivers, over HTTP: who is heard, what it does, who is told, and what strangers learn."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from litestar.testing import AsyncTestClient
from prometheus_client import CollectorRegistry

from service.core.alerts import AlertState, EventType
from service.core.markers import marker_of
from service.core.transitions import inhibited
from service.settings import Settings
from service.store.live import LiveHub
from service.store.sql import SqlStore
from service.web.api import create_api
from service.web.inbound import MAX_BODY_BYTES
from tests.builders import everyone, make_alert
from tests.clock import NOON, FakeClock
from tests.remotes import hooks
from tests.remotes.hooks import OURS, SECRET, Hook

OTHER_SECRET = "the-secret-of-another-receiver"
TICKETS = {"secret": SECRET, "account": [OURS]}
BASICS: Mapping[str, Mapping[str, object]] = {
    "jira": {"url": "https://a.example", "token": "t", "project": "FINOPS", "inbound": TICKETS},
    "jira_service_management": {
        "url": "https://a.example",
        "token": "t",
        "service_desk_id": "1",
        "request_type_id": "10",
        "inbound": TICKETS,
    },
    "servicenow": {"url": "https://a.example", "token": "t", "inbound": TICKETS},
    "zendesk": {"url": "https://a.example", "token": "t", "inbound": TICKETS},
    "pagerduty": {"key": "k", "inbound": {"secret": SECRET}},
    "slack_bot": {"token": "xoxb-1", "channel": "C1", "inbound": {"secret": SECRET}},
}


def _jira(who: str, at: datetime, secret: str) -> Hook:
    status = {"id": "5", "name": "Done", "statusCategory": {"key": "done"}}
    item = {"field": "status", "from": "1", "fromString": "To Do", "to": "5", "toString": "Done"}
    event = {
        "webhookEvent": "jira:issue_updated",
        "user": hooks.jira_user(who),
        "issue": {"id": "10001", "key": "T-1", "fields": {"status": status, "labels": []}},
        "changelog": {"id": "1", "items": [item]},
    }
    return hooks.jira(event, at=at, secret=secret)


def _servicenow(who: str, at: datetime, secret: str) -> Hook:
    event = {"sys_id": "T-1", "mod_count": "3", "state": "6", "previous_state": "1", "user": who}
    return hooks.servicenow(event, at=at, secret=secret)


def _zendesk(who: str, at: datetime, secret: str) -> Hook:
    event = {
        "type": "zen:event-type:ticket.status_changed",
        "subject": "zen:ticket:T-1",
        "detail": {"id": "T-1", "actor_id": who, "status": "SOLVED", "external_id": None},
        "event": {"current": "SOLVED", "previous": "NEW"},
    }
    return hooks.zendesk(event, at=at, secret=secret)


def _pagerduty(who: str, at: datetime, secret: str) -> Hook:
    data = {"id": "PGR0VU2", "type": "incident", "incident_key": "a1", "status": "resolved"}
    return hooks.pagerduty("resolved", data, by=None if who == OURS else who, at=at, secret=secret)


def _slack(who: str, at: datetime, secret: str) -> Hook:
    return hooks.slack("spendwatch_resolve", "a1", by=who, at=at, secret=secret)


CLOSES: Mapping[str, Callable[[str, datetime, str], Hook]] = {
    "jira": _jira,
    "jira_service_management": _jira,
    "servicenow": _servicenow,
    "zendesk": _zendesk,
    "pagerduty": _pagerduty,
    "slack_bot": _slack,
}
ECHOING = [name for name in CLOSES if name != "slack_bot"]
REMOTE_ID = {"pagerduty": "a1", "slack_bot": "C1/19.1"}


@dataclass(frozen=True)
class World:
    """One alert, told to the receiver that is named like its type, and to another one."""

    kind: str
    store: SqlStore
    clock: FakeClock
    registry: CollectorRegistry
    client: AsyncTestClient  # type: ignore[type-arg]  # of whichever application

    async def send(self, hook: Hook, to: str | None = None) -> int:
        answer = await self.client.post(f"/inbound/{to or self.kind}", content=hook.body, headers=dict(hook.headers))
        return answer.status_code

    def closing(self, who: str = "alice", secret: str = SECRET, age: timedelta = timedelta()) -> Hook:
        return CLOSES[self.kind](who, self.clock.now() - age, secret)

    def count(self, outcome: str) -> float | None:
        return self.registry.get_sample_value("spendwatch_inbound_total", {"receiver": self.kind, "outcome": outcome})

    async def state(self) -> AlertState:
        return (await self.store.get("a1")).state

    async def waiting(self) -> list[tuple[str, EventType]]:
        return [(d.receiver, d.event.type) for d in await self.store.deliveries_of("a1") if d.state == "pending"]


@pytest.fixture(params=list(CLOSES))
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    kind, clock, registry = str(request.param), FakeClock(), CollectorRegistry()
    receiver = {"type": kind, "name": kind, **BASICS[kind]}
    other = {
        "type": "webhook",
        "name": "other",
        "url": "https://b.example",
        "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
    settings = Settings.model_validate({"receivers": [receiver, other]})
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}", routes=everyone(kind, "other"), clock=clock)
    await store.migrate()
    await store.record([make_alert()])
    for row in await store.claim(worker="w", now=NOON, lease_seconds=30, limit=10):
        remote = REMOTE_ID.get(kind, "T-1") if row.receiver == kind else None
        await store.delivered(row.id, at=NOON, remote_id=remote)
    hub = LiveHub(store, poll_seconds=0.01)

    async def publish(_messages: object) -> None:
        await asyncio.sleep(0)

    app = create_api(
        settings=settings,
        store=store,
        outbox=store,
        inbox=store,
        silences=store,
        hub=hub,
        publish=publish,
        registry=registry,
        clock=clock,
        ready=dict,
    )
    async with AsyncTestClient(app, base_url="http://127.0.0.1:8321") as client:
        yield World(kind, store, clock, registry, client)
    await store.close()


async def test_what_a_person_closed_there_is_resolved_here_and_told_to_those_who_do_not_know(world: World) -> None:
    assert await world.send(world.closing()) == 200
    record = await world.store.get("a1")
    assert (record.state, record.resolved_by) == (AlertState.RESOLVED, f"{world.kind}:alice")
    # A button that is pressed changes nothing in Slack.
    waiting = ["other", *(["slack_bot"] if world.kind == "slack_bot" else [])]
    assert await world.waiting() == [(name, EventType.RESOLVED) for name in waiting]
    assert world.count("applied") == 1


async def test_a_repetition_changes_nothing(world: World) -> None:
    hook = world.closing()
    assert [await world.send(hook), await world.send(hook)] == [200, 200]
    assert len(await world.store.events_of("a1")) == 2
    assert world.count("duplicate") == 1


@pytest.mark.parametrize("world", ECHOING, indirect=True)
async def test_our_own_edit_changes_nothing(world: World) -> None:
    assert await world.send(world.closing(OURS)) == 200
    assert await world.state() is AlertState.FIRING
    assert world.count("ours") == 1


async def test_a_forged_request_is_refused_and_says_nothing_of_why(world: World) -> None:
    hook = world.closing(secret=OTHER_SECRET)
    answer = await world.client.post(f"/inbound/{world.kind}", content=hook.body, headers=dict(hook.headers))
    assert answer.status_code == 401
    assert SECRET not in answer.text
    assert "alice" not in answer.text
    assert await world.state() is AlertState.FIRING
    assert world.count("refused") == 1


async def test_a_request_without_signature_is_refused(world: World) -> None:
    assert await world.send(Hook({"Content-Type": "application/json"}, world.closing().body)) == 401


async def test_a_body_that_was_cut_off_is_not_heard(world: World) -> None:
    hook = world.closing()
    # ServiceNow signs nothing: there it is a body that cannot be read.
    wanted = 400 if world.kind == "servicenow" else 401
    assert await world.send(Hook(hook.headers, hook.body[:-9])) == wanted
    assert await world.state() is AlertState.FIRING


async def test_what_somebody_kept_for_a_week_is_not_heard(world: World) -> None:
    assert await world.send(world.closing(age=timedelta(days=7))) in (200, 401)
    assert await world.state() is AlertState.FIRING


async def test_a_body_that_is_too_large_is_refused_unread(world: World) -> None:
    hook = world.closing()
    assert await world.send(Hook(hook.headers, b" " * (MAX_BODY_BYTES + 1))) == 413
    assert world.count("too_large") == 1


async def test_strangers_and_receivers_that_are_not_heard_look_the_same(world: World) -> None:
    answers = [await world.client.post(f"/inbound/{name}", content=b"{}") for name in ("nobody", "other")]
    assert [answer.status_code for answer in answers] == [404, 404]
    bodies = [json.loads(answer.text) for answer in answers]
    assert {body.pop("instance") for body in bodies} == {"/inbound/nobody", "/inbound/other"}
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("world", ["jira"], indirect=True)
async def test_states_are_heard_in_their_order(world: World) -> None:
    assert await world.send(world.closing(age=timedelta(seconds=1))) == 200
    await world.store.reopen("a1", actor="ada", comment="", at=world.clock.now())
    assert await world.send(world.closing(age=timedelta(seconds=9))) == 200
    assert await world.state() is AlertState.FIRING
    assert world.count("outdated") == 1


@pytest.mark.parametrize("world", ["zendesk"], indirect=True)
async def test_an_unknown_ticket_is_counted(world: World) -> None:
    event = {
        "type": "zen:event-type:ticket.status_changed",
        "detail": {"id": "T-9", "actor_id": "1", "external_id": marker_of("a1")},
        "event": {"current": "SOLVED", "previous": "NEW"},
    }
    assert await world.send(hooks.zendesk(event, at=NOON)) == 200
    assert await world.state() is AlertState.FIRING, "a mark that was copied to another ticket means nothing"
    assert world.count("unknown_alert") == 1


async def test_who_closes_the_ticket_there_has_answered_for_what_it_stands_for(world: World) -> None:
    await world.store.record([make_alert("m1", team="ads")])
    async with world.store._database.writing() as connection:
        recording = world.store._recording(connection)
        await recording.begin(["m1"])
        member = inhibited(recording.known("m1"), by="a1", at=NOON)
        assert member is not None
        recording.change(EventType.INHIBITED, member, at=NOON)
        await recording.flush()
    assert await world.send(world.closing()) == 200
    record = await world.store.get("m1")
    assert (record.state, record.resolved_by) == (AlertState.RESOLVED, f"{world.kind}:alice")
    assert "together with team=search (a1)" in (await world.store.events_of("m1"))[-1].comment
