"""The dispatch on a real database: what waits, who is told, what is left when a process dies or two do the same."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import update

from service.core.alerts import AlertState, EventType, Severity
from service.core.board import Rules
from service.core.budget import PageBook
from service.core.silences import Silence, SilenceKind, Weekly
from service.settings import Budget
from service.store.database import StoreUnavailableError
from service.store.sql import SqlStore
from service.store.store import Delivery
from service.store.tables import silences
from tests.builders import make_alert, resolved, withdrawn
from tests.clock import NOON
from tests.service.core.test_dispatch import To
from tests.service.core.test_silences import make_silence
from tests.service.store.waiting import DAY, HOUR, WAIT, Desk


async def told(store: SqlStore, alert_id: str = "a1") -> list[EventType]:
    return [delivery.event.type for delivery in await store.deliveries_of(alert_id)]


async def trail(store: SqlStore, alert_id: str = "a1") -> list[EventType]:
    return [event.type for event in await store.events_of(alert_id)]


async def test_what_opens_waits_and_is_then_told_as_it_is_by_then(desk: Desk) -> None:
    store = desk.open()
    await store.record([make_alert()])
    await store.record([make_alert(version=2, impact=900.0)])
    assert (await store.get("a1")).state is AlertState.PENDING
    assert await desk.run(store, after=WAIT / 2) == []
    assert await told(store) == []
    assert await desk.run(store) == [EventType.OPENED]
    [delivery] = await store.deliveries_of("a1")
    assert (delivery.event.type, delivery.event.record.alert.version) == (EventType.OPENED, 2)
    assert delivery.event.record.state is AlertState.FIRING
    assert await desk.run(store) == []
    assert await told(store) == [EventType.OPENED]


async def test_what_is_over_by_itself_before_is_told_all_the_same(desk: Desk) -> None:
    store = desk.open()
    await store.record([make_alert(), resolved()])
    assert (await store.get("a1")).state is AlertState.PENDING
    assert await desk.run(store) == [EventType.OPENED, EventType.RESOLVED]
    assert await told(store) == [EventType.OPENED, EventType.RESOLVED]
    assert [one.event.record.state for one in await store.deliveries_of("a1")] == [
        AlertState.FIRING,
        AlertState.RESOLVED,
    ]


async def test_what_is_over_and_in_good_hands_ends_quietly(desk: Desk) -> None:
    store = desk.open()
    await silence(store, team="ads")
    await store.record([make_alert("a1"), make_alert("a2", labels={"team": "ads"})])
    await store.acknowledge("a1", actor="ada", comment="", at=NOON)
    await store.record([resolved("a1"), resolved("a2", labels={"team": "ads"})])
    await desk.run(store)
    for alert_id in ("a1", "a2"):
        assert (await store.get(alert_id)).state is AlertState.RESOLVED
        assert await told(store, alert_id) == []


async def test_what_was_over_long_ago_is_old_news(desk: Desk) -> None:
    store = desk.open()
    await store.record([make_alert(), resolved()])
    assert await desk.run(store, after=timedelta(days=4)) == [EventType.RESOLVED]
    assert await told(store) == []


async def test_what_was_restated_or_closed_before_is_heard_of_by_nobody(desk: Desk) -> None:
    store = desk.open()
    await store.record([make_alert("a1"), make_alert("a2"), withdrawn("a1")])
    await store.resolve("a2", actor="ada", comment="", at=NOON)
    assert await desk.run(store) == []
    assert await told(store, "a1") == await told(store, "a2") == []


async def test_what_was_told_goes_on_at_once(desk: Desk) -> None:
    store = desk.open()
    await store.record([make_alert()])
    await desk.run(store)
    await store.record([make_alert(version=2, impact=1000.0)])
    await store.acknowledge("a1", actor="ada", comment="", at=NOON)
    await store.record([resolved(version=3, impact=1000.0)])
    assert await told(store) == [EventType.OPENED, EventType.UPDATED, EventType.ACKNOWLEDGED, EventType.RESOLVED]


async def test_one_that_comes_back_waits_again_and_is_told_as_reopened(desk: Desk) -> None:
    store = desk.open()
    await store.record([make_alert()])
    await desk.run(store)
    await store.record([resolved(), make_alert(version=3)])
    assert await told(store) == [EventType.OPENED, EventType.RESOLVED]
    await desk.run(store, after=2 * WAIT)
    assert await told(store) == [EventType.OPENED, EventType.RESOLVED, EventType.REOPENED]


async def test_one_that_is_back_for_a_moment_by_a_mistake_of_the_bill_is_not_heard_of(desk: Desk) -> None:
    store = desk.open()
    await store.record([make_alert()])
    await desk.run(store)
    await store.record([resolved(), make_alert(version=3), withdrawn(version=4)])
    await desk.run(store, after=2 * WAIT)
    assert await told(store) == [EventType.OPENED, EventType.RESOLVED]


async def test_two_processes_tell_of_it_once(desk: Desk) -> None:
    one, two = desk.open(), desk.open()
    await one.record([make_alert(f"a{number}") for number in range(20)])
    now = NOON + WAIT
    desk.clock.at = now
    await asyncio.gather(*(desk.dispatching(store).run(now) for store in (one, two) for _ in range(3)))
    for number in range(20):
        assert await told(one, f"a{number}") == [EventType.OPENED]
        assert await trail(one, f"a{number}") == [EventType.PENDING, EventType.OPENED]


async def test_the_message_of_a_head_names_its_members(desk: Desk) -> None:
    desk.same = ("a1", "a2", "a3")
    store = desk.open()
    await store.record([make_alert("a1"), make_alert("a2", team="ranker"), make_alert("a3", team="total")])
    await desk.run(store)
    [delivery] = await store.deliveries_of("a1")
    assert [member.alert_id for member in delivery.members] == ["a2", "a3"]
    assert delivery.members[0].text == "team=ranker +292.50 USD"
    assert await told(store, "a2") == []
    record = await store.get("a2")
    assert (record.state, record.inhibited_by) == (AlertState.FIRING, "a1")
    # Its end names nobody who has ended with it, and nobody is told of the others' ends.
    await store.record([resolved("a2"), resolved("a3"), resolved("a1")])
    assert [len(one.members) for one in await store.deliveries_of("a1")] == [2, 0]
    assert await told(store, "a2") == []


async def test_what_outlasts_its_head_by_long_is_told(desk: Desk) -> None:
    """The head lasted for twelve hours, and stands for what outlasts it for as long again."""
    desk.same = ("a1", "a2")
    store = desk.open()
    await store.record([make_alert("a1"), make_alert("a2")])
    await desk.run(store)
    await store.record([resolved("a1")])
    await desk.run(store, after=1.5 * WAIT)
    assert await told(store, "a2") == []
    await desk.run(store, after=2 * WAIT)
    assert await told(store, "a2") == []
    # Something else happens: that is no reason to look at it anew.
    await store.record([make_alert("a2", version=2)])
    await desk.run(store, after=3 * WAIT)
    assert await told(store, "a2") == []
    await desk.run(store, after=timedelta(hours=13))
    assert await told(store, "a2") == [EventType.OPENED]
    assert (await store.get("a2")).inhibited_by is None


async def silence(store: SqlStore, *, team: str = "search", **changes: object) -> Silence:
    """An hour from noon on, unless the test says otherwise."""
    return await store.add_silence(
        make_silence(matchers=(f'team="{team}"',), comment="we know", **({"ends_at": NOON + HOUR} | changes))
    )


async def test_a_silenced_alert_is_told_once_the_silence_ends(desk: Desk) -> None:
    store = desk.open()
    made = await silence(store)
    await store.record([make_alert()])
    dispatching = desk.dispatching(store)
    assert [event.type for event in await dispatching.run(NOON + WAIT)] == [EventType.SILENCED]
    assert (await store.get("a1")).silenced_by == (made.id,)
    assert await dispatching.run(NOON + HOUR - WAIT) == []
    assert [event.type for event in await dispatching.run(NOON + HOUR)] == [EventType.UNSILENCED, EventType.OPENED]
    assert await told(store) == [EventType.OPENED]


async def test_a_silence_that_a_person_ends_ends_at_once(desk: Desk) -> None:
    store = desk.open()
    made = await silence(store)
    await store.record([make_alert()])
    dispatching = desk.dispatching(store)
    await dispatching.run(NOON + WAIT)
    await store.expire_silence(made.id, at=NOON + 2 * WAIT)
    await dispatching.run(NOON + 2 * WAIT)
    assert await told(store) == [EventType.OPENED]


async def test_a_change_counts_whatever_the_clock_it_was_made_by(desk: Desk) -> None:
    store = desk.open()
    made = await silence(store)
    await silence(store, team="ads", updated_at=NOON + DAY)
    await store.record([make_alert()])
    dispatching = desk.dispatching(store)
    await dispatching.run(NOON + WAIT)
    await store.expire_silence(made.id, at=NOON + WAIT)
    await dispatching.run(NOON + 2 * WAIT)
    assert await told(store) == [EventType.OPENED]


async def test_of_what_was_told_and_is_silenced_only_the_end_is_told(desk: Desk) -> None:
    store = desk.open()
    await store.record([make_alert()])
    await desk.run(store)
    await silence(store)
    assert await desk.run(store, after=2 * WAIT) == [EventType.SILENCED]
    await store.record([make_alert(version=2, impact=5000.0), resolved(version=3)])
    assert await told(store) == [EventType.OPENED, EventType.RESOLVED]


async def test_a_silence_that_recurs_holds_in_its_windows_only(desk: Desk) -> None:
    store = desk.open()
    # Noon in UTC is two o'clock in Berlin.
    nights = Weekly(start_time="14:30", end_time="15:00", location="Europe/Berlin")
    await silence(store, recurrence=(nights,))
    await store.record([make_alert()])
    dispatching = desk.dispatching(store)
    await dispatching.run(NOON + WAIT)
    assert await told(store) == [EventType.OPENED]
    assert [event.type for event in await dispatching.run(NOON + HOUR / 2)] == [EventType.SILENCED]
    assert [event.type for event in await dispatching.run(NOON + HOUR)] == [EventType.UNSILENCED]


async def test_planned_spend_covers_so_much_a_day(desk: Desk) -> None:
    store = desk.open()
    plan = await silence(
        store,
        kind=SilenceKind.PLANNED_SPEND,
        starts_at=NOON - 2 * DAY,
        ends_at=NOON + DAY,
        amount_per_day=300.0,
        unit="USD",
    )
    await store.record([make_alert()])
    dispatching = desk.dispatching(store)
    [event] = await dispatching.run(NOON + WAIT)
    assert (event.type, event.comment) == (EventType.EXPECTED, "300.00 USD a day planned by ada: we know")
    assert await told(store) == []
    # It goes on to more than was planned.
    await store.record([make_alert(version=2, actual=450.0)])
    kinds = [event.type for event in await dispatching.run(NOON + 2 * WAIT)]
    assert kinds == [EventType.REOPENED]
    await dispatching.run(NOON + 3 * WAIT)
    assert await told(store) == [EventType.OPENED]
    # And the plan is made larger: it is expected again, which the desk is told.
    await store.change_silence(
        plan.id, ends_at=plan.ends_at, comment=plan.comment, amount_per_day=400.0, at=NOON + 3 * WAIT
    )
    await dispatching.run(NOON + 4 * WAIT)
    assert await told(store) == [EventType.OPENED, EventType.EXPECTED]


async def test_maintenance_is_about_the_time_of_the_spend(desk: Desk) -> None:
    """The window is over when its bill comes."""
    store = desk.open()
    await silence(store, kind=SilenceKind.MAINTENANCE, starts_at=NOON - 6 * HOUR, ends_at=NOON - 2 * HOUR)
    await store.record([make_alert("a1"), make_alert("a2", starts_at=NOON)])
    await desk.run(store)
    assert (await store.get("a1")).state is AlertState.SILENCED
    assert await told(store, "a2") == [EventType.OPENED]


async def test_a_group_is_one_message(desk: Desk) -> None:
    desk.to = (To(group_by=("team",), group_wait=WAIT, group_interval=4 * WAIT),)
    store = desk.open()
    await store.record([make_alert("a1"), make_alert("a2", impact=900.0)])
    await desk.run(store)
    [delivery] = await store.deliveries_of("a2")
    assert [member.alert_id for member in delivery.members] == ["a1"]
    await store.record([make_alert("a3")])
    assert await told(store, "a2") == [EventType.OPENED]
    await desk.run(store, after=2 * WAIT)
    assert await told(store, "a2") == [EventType.OPENED]
    await desk.run(store, after=5 * WAIT)
    messages: list[Delivery] = await store.deliveries_of("a2")
    assert [one.event.type for one in messages] == [EventType.OPENED, EventType.UPDATED]
    assert [member.alert_id for member in messages[-1].members] == ["a1", "a3"]
    assert "also: " in messages[-1].event.comment
    assert await told(store, "a3") == []


async def test_outside_of_its_hours_a_receiver_is_told_later(desk: Desk) -> None:
    opens_at = NOON + timedelta(hours=8)
    desk.to = (To(opens_at=opens_at),)
    store = desk.open()
    await store.record([make_alert()])
    await desk.run(store)
    assert await told(store) == []
    assert await desk.run(store, after=timedelta(hours=8)) == []
    [delivery] = await store.deliveries_of("a1")
    assert delivery.event.type is EventType.OPENED


async def test_beyond_the_budget_it_is_held_back_until_it_is_worse(desk: Desk) -> None:
    desk.budgets = [Budget(pages=1)]
    store = desk.open()
    await store.record([make_alert("a1"), make_alert("a2")])
    await desk.run(store)
    held = [one for one in ("a1", "a2") if (await store.get(one)).held_back]
    assert len(held) == 1
    assert await told(store, held[0]) == []
    await store.record([make_alert(held[0], version=2, severity=Severity.CRITICAL, judged_at=NOON + timedelta(days=9))])
    await desk.run(store, after=2 * WAIT)
    assert await told(store, held[0]) == [EventType.OPENED]


async def test_nothing_is_looked_at_while_nothing_happens(desk: Desk) -> None:
    store = desk.open()
    looked: list[datetime] = []

    def rules(book: PageBook, silences: Sequence[Silence]) -> Rules:
        looked.append(NOON)
        return desk.rules(book, silences)

    dispatching = store.dispatching(rules)
    await store.record([make_alert()])
    await dispatching.run(NOON + WAIT)
    assert len(looked) == 1
    for _ in range(3):
        await dispatching.run(NOON + 2 * WAIT)
    assert len(looked) == 1


async def test_a_silence_that_could_not_be_written_down_is_at_the_next_look(desk: Desk) -> None:
    store = desk.open()
    await store.record([make_alert()])
    await desk.run(store)
    away = [StoreUnavailableError("here", "gone for a moment")]

    def rules(book: PageBook, silences: Sequence[Silence]) -> Rules:
        if away and silences:
            raise away.pop()
        return desk.rules(book, silences)

    dispatching = store.dispatching(rules)
    await dispatching.run(NOON + WAIT)
    await silence(store)
    with pytest.raises(StoreUnavailableError):
        await dispatching.run(NOON + 2 * WAIT)
    assert [event.type for event in await dispatching.run(NOON + 2 * WAIT)] == [EventType.SILENCED]


async def test_a_silence_that_cannot_be_read_keeps_nobody_from_being_told(desk: Desk) -> None:
    store = desk.open()
    made = await silence(store)
    broken = replace(made, matchers=("team=~(",))
    async with store._database.writing() as connection:
        document = msgspec.json.encode(broken).decode()
        await connection.execute(update(silences).where(silences.c.id == made.id).values(document=document))
    await store.record([make_alert()])
    assert await desk.run(store) == [EventType.OPENED]
