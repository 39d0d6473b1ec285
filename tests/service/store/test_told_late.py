"""What a receiver hears late: what it is told is what is new to it, not what happened here last."""

from collections.abc import Awaitable, Callable

import pytest

from service.core.alerts import EventType
from service.core.board import DISPATCH
from service.core.inbound import Action, Inbound
from service.store.sql import SqlStore
from tests.builders import make_alert
from tests.clock import NOON
from tests.service.core.test_dispatch import To
from tests.service.store.waiting import HOUR, WAIT, Desk

Does = Callable[[SqlStore], Awaitable[object]]
MEANWHILE: dict[str, Does] = {
    "assigned": lambda store: store.assign("a1", to="zoe", actor="ada", comment="hers", at=NOON + 2 * HOUR),
    "commented": lambda store: store.comment("a1", actor="ada", comment="hm", at=NOON + 2 * HOUR),
    "acknowledged": lambda store: store.acknowledge("a1", actor="ada", comment="on it", at=NOON + 2 * HOUR),
    "updated": lambda store: store.record([make_alert(version=2, impact=300.0)]),
}


async def told(store: SqlStore, receiver: str = "desk") -> list[tuple[EventType, str]]:
    """What a receiver is sent, and the state of its messages."""
    return [(one.event.type, one.state) for one in await store.deliveries_of("a1") if one.receiver == receiver]


@pytest.mark.parametrize("does", ["assigned", "commented"])
async def test_a_reopened_alert_is_told_as_reopened_whatever_is_done_to_it_next(desk: Desk, does: str) -> None:
    store = desk.open()
    await store.record([make_alert()])
    await desk.run(store)
    await store.resolve("a1", actor="eve", comment="", at=NOON + HOUR)
    await store.reopen("a1", actor="ada", comment="not yet", at=NOON + 2 * HOUR)
    await MEANWHILE[does](store)
    await desk.run(store, after=2 * HOUR + WAIT)
    assert [kind for kind, _ in await told(store)] == [EventType.OPENED, EventType.RESOLVED, EventType.REOPENED]
    last = (await store.deliveries_of("a1"))[-1].event
    assert (last.actor, last.comment) == (DISPATCH, ""), "the words of another event are not its own"


@pytest.mark.parametrize("does", MEANWHILE)
async def test_who_hears_of_it_when_the_day_begins_is_told_that_it_has_opened(desk: Desk, does: str) -> None:
    desk.to = (To(receiver="pager"), To(receiver="desk", opens_at=NOON + 8 * HOUR))
    store = desk.open()
    await store.record([make_alert()])
    await desk.run(store)
    await MEANWHILE[does](store)
    await desk.run(store, after=8 * HOUR)
    assert EventType.OPENED in [kind for kind, _ in await told(store)] or does == "acknowledged"
    assert not {EventType.ASSIGNED, EventType.COMMENTED, EventType.UPDATED} & {kind for kind, _ in await told(store)}


async def test_who_waits_for_a_group_is_told_that_it_has_opened(desk: Desk) -> None:
    desk.to = (To(receiver="pager"), To(receiver="desk", group_by=("team",)))
    store = desk.open()
    await store.record([make_alert()])
    await desk.run(store)
    await MEANWHILE["updated"](store)
    await desk.run(store, after=HOUR)
    assert [kind for kind, _ in await told(store)] == [EventType.OPENED]


async def test_a_desk_that_opens_it_again_is_not_told_so_and_the_others_are(desk: Desk) -> None:
    desk.to = (To(receiver="jira"), To(receiver="desk"))
    store = desk.open()
    await store.record([make_alert()])
    await desk.run(store)
    for one in await store.claim(worker="w", now=NOON + WAIT, lease_seconds=30, limit=9):
        await store.delivered(one.id, at=NOON + WAIT, remote_id=f"{one.receiver}-1")
    for number, (action, was_over) in enumerate(((Action.CLOSE, False), (Action.OPEN, True)), 1):
        at = NOON + number * HOUR
        desk.clock.at = at
        said = Inbound(event_id=str(number), action=action, remote_ids=("jira-1",), at=at, was_over=was_over)
        await store.hear("jira", said, actor="jira:al", at=at)
    await desk.run(store, after=2 * HOUR + WAIT)
    assert await told(store, "jira") == [
        (EventType.OPENED, "delivered"),
        (EventType.RESOLVED, "known"),
        (EventType.REOPENED, "known"),
    ]
    assert [kind for kind, _ in await told(store)] == [EventType.OPENED, EventType.RESOLVED, EventType.REOPENED]


async def test_a_desk_that_our_edit_closed_again_is_told_to_open_whatever_it_was_told_since(desk: Desk) -> None:
    desk.to = (To(receiver="jira"),)
    store = desk.open()

    async def take() -> list[EventType]:
        claimed = await store.claim(
            worker="w", now=desk.clock.at, lease_seconds=30, limit=9, receiver="jira", newest_only=True
        )
        for one in claimed:
            await store.delivered(one.id, at=desk.clock.at, remote_id="jira-1")
        return [one.event.type for one in claimed]

    async def hear(action: Action, *, was_over: bool, ours: bool = False) -> None:
        at = desk.clock.at
        said = Inbound(
            event_id=str(at), action=action, remote_ids=("jira-1",), at=at, was_over=was_over, ours=ours, actor="al"
        )
        await store.hear("jira", said, actor="jira:al", at=at)

    await store.record([make_alert()])
    await desk.run(store)
    assert await take() == [EventType.OPENED]
    await store.resolve("a1", actor="ada", comment="", at=desk.clock.at)
    assert await take() == [EventType.RESOLVED]
    desk.clock.move(WAIT)
    await hear(Action.OPEN, was_over=True)
    await desk.run(store, after=2 * WAIT)
    await store.acknowledge("a1", actor="ada", comment="mine", at=desk.clock.at)
    assert await take() == [EventType.ACKNOWLEDGED]
    desk.clock.move(WAIT)
    await hear(Action.CLOSE, was_over=False, ours=True)
    assert await take() == [EventType.REOPENED]
    assert await take() == []
