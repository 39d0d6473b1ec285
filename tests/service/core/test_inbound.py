"""Whatever is echoed, in whatever order and how often, it comes to rest, and both sides say the same."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from service.core.inbound import MAX_SKEW, Action, Inbound, Outcome
from tests.builders import everyone, make_alert
from tests.clock import FakeClock
from tests.fakes import MemoryStore

ROUNDS = 400
WORDS = (Action.OPEN, Action.ACKNOWLEDGE, Action.CLOSE)


class Echo:
    """A remote that tells of everything that changes its ticket, also of what we did."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        self.name = name
        self.state = Action.OPEN
        self.out: list[Inbound] = []
        self._clock = clock
        self._count = 0

    def move(self, to: Action, *, ours: bool) -> None:
        if to is self.state:
            return
        was_over, self.state = self.state is Action.CLOSE, to
        self._count += 1
        self._clock.move(timedelta(milliseconds=1))
        self.out.append(
            Inbound(
                event_id=f"e{self._count}",
                action=to,
                at=self._clock.now(),
                actor="alice",
                ours=ours,
                was_over=was_over,
                remote_ids=("T-1",),
            )
        )


async def _deliver(store: MemoryStore, remote: Echo, clock: FakeClock) -> bool:
    """One message, as a help desk takes it; whether there was one."""
    claimed = await store.claim(
        worker="w", now=clock.now(), lease_seconds=30, limit=1, receiver=remote.name, newest_only=True
    )
    for one in claimed:
        record = one.event.record
        if record.state.is_over:
            remote.move(Action.CLOSE, ours=True)
        elif remote.state is Action.CLOSE and one.event.type.value in ("opened", "reopened"):
            remote.move(Action.OPEN, ours=True)
        await store.delivered(one.id, at=clock.now(), remote_id="T-1")
    return bool(claimed)


async def _hear(store: MemoryStore, remote: Echo, place: int, clock: FakeClock, *, keep: bool) -> None:
    said = remote.out[place % len(remote.out)]
    if not keep:
        remote.out.remove(said)
    await store.hear(remote.name, said, actor=f"{remote.name}:{said.actor}", at=clock.now())


async def _play(steps: Sequence[tuple[int, int, int]]) -> None:  # noqa: C901  # one branch a kind of step
    clock = FakeClock()
    store = MemoryStore(clock, routes=everyone("jira", "desk"))
    remotes = [Echo("jira", clock), Echo("desk", clock)]
    await store.record([make_alert()])
    for remote in remotes:
        assert await _deliver(store, remote, clock)
    for what, which, number in steps:
        clock.move(timedelta(milliseconds=1))
        remote = remotes[which]
        if what == 0:
            remote.move(WORDS[number % len(WORDS)], ours=False)
        elif what == 1:
            await _deliver(store, remote, clock)
        elif what == 2 and remote.out:
            await _hear(store, remote, number, clock, keep=number % 3 == 0)
        elif what == 3:
            await store.resolve("a1", actor="ada", comment="", at=clock.now())
        elif what == 4:
            await store.reopen("a1", actor="ada", comment="", at=clock.now())
    for _round in range(ROUNDS):
        clock.move(timedelta(milliseconds=1))
        busy = False
        for remote in remotes:
            busy |= await _deliver(store, remote, clock)
            if remote.out:
                busy = True
                await _hear(store, remote, 7, clock, keep=False)
        if not busy:
            break
    else:
        raise AssertionError("it does not come to rest")
    is_over = (await store.get("a1")).state.is_over
    assert [remote.state is Action.CLOSE for remote in remotes] == [is_over, is_over]


STEPS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 8)), max_size=40)


@settings(max_examples=500, deadline=None)
@example(steps=[(0, 0, 8), (3, 0, 0), (0, 0, 0), (1, 1, 0), (0, 1, 1)])  # acknowledged at once after it was reopened
@given(steps=STEPS)
def test_echoes_come_to_rest_and_both_sides_agree(steps: list[tuple[int, int, int]]) -> None:
    asyncio.run(_play(steps))


async def test_a_change_that_came_from_a_receiver_is_not_told_back() -> None:
    clock = FakeClock()
    store = MemoryStore(clock, routes=everyone("jira", "desk"))
    await store.record([make_alert()])
    for row in await store.claim(worker="w", now=clock.now(), lease_seconds=9, limit=5):
        await store.delivered(row.id, at=clock.now(), remote_id="T-1")
    said = Inbound(event_id="e", action=Action.CLOSE, at=clock.now(), remote_ids=("T-1",))
    await store.hear("jira", said, actor="jira:alice", at=clock.now())
    await store.hear("jira", replace(said, event_id="e2"), actor="jira:alice", at=clock.now())
    states = {(row.receiver, row.state) for row in await store.deliveries_of("a1")}
    assert states == {("jira", "delivered"), ("jira", "known"), ("desk", "delivered"), ("desk", "pending")}


async def test_a_clock_that_is_days_ahead_silences_nobody_after_it() -> None:
    clock = FakeClock()
    store = MemoryStore(clock, routes=everyone("jira"))
    await store.record([make_alert()])
    [one] = await store.claim(worker="w", now=clock.now(), lease_seconds=30, limit=1, receiver="jira")
    await store.delivered(one.id, at=clock.now(), remote_id="T-1")
    ahead = Inbound(
        event_id="1", action=Action.ACKNOWLEDGE, at=clock.now() + timedelta(days=1), remote_ids=("T-1",), was_over=False
    )
    await store.hear("jira", ahead, actor="jira:alice", at=clock.now())
    clock.move(2 * MAX_SKEW)
    close = Inbound(event_id="2", action=Action.CLOSE, at=clock.now(), remote_ids=("T-1",), was_over=False)
    heard = await store.hear("jira", close, actor="jira:alice", at=clock.now())
    assert heard.outcome is Outcome.APPLIED
