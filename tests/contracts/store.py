"""What every alert store and every outbox must do; run by each implementation.

A test class inherits a suite and provides the fixtures it names: `store`, and for the outbox `open_store`.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

import pytest

from service.core.alerts import Alert, AlertEvent, AlertState, AlertStatus, EventType, Severity
from service.core.routing import Router
from service.routing_settings import Route
from service.store.store import (
    AlertNotFoundError,
    AlertQuery,
    AlertStore,
    BadCursorError,
    Delivery,
    DeliveryQuery,
    Outbox,
)
from tests.builders import everyone, make_alert, resolved, withdrawn
from tests.clock import NOON, FakeClock

MINUTE = timedelta(minutes=1)


class FullStore(AlertStore, Outbox, Protocol):
    """Both protocols on one database."""


OpenStore = Callable[[Callable[[Alert], Sequence[str]]], FullStore]


async def all_ids(store: AlertStore, query: AlertQuery) -> list[str]:
    page = await store.find(query)
    return sorted(record.alert.id for record in page.items)


def kinds(events: Sequence[AlertEvent]) -> list[EventType]:
    return [event.type for event in events]


class AlertStoreContract:
    async def test_a_new_alert_opens(self, store: AlertStore) -> None:
        [event] = await store.record([make_alert()])
        assert (event.type, event.seq, event.actor) == (EventType.OPENED, 1, "detection")
        record = await store.get("a1")
        assert record.alert == make_alert()
        assert (record.state, record.seq, record.created_at) == (AlertState.FIRING, 1, NOON)

    async def test_events_leave_the_chart_out(self, store: AlertStore) -> None:
        [event] = await store.record([make_alert()])
        assert event.record.alert.history == ()
        assert await store.events_after(0, 10) == [event]

    async def test_recording_nothing_changes_nothing(self, store: AlertStore) -> None:
        assert await store.record([]) == []
        assert await store.last_seq() == 0

    async def test_a_replay_changes_nothing(self, store: AlertStore) -> None:
        batch = [make_alert(), make_alert("a2"), make_alert(version=2), resolved(version=3)]
        assert kinds(await store.record(batch)) == [
            EventType.OPENED,
            EventType.OPENED,
            EventType.UPDATED,
            EventType.RESOLVED,
        ]
        before = await store.get("a1")
        assert await store.record(batch) == []
        assert await store.record(batch[:1]) == []
        assert await store.get("a1") == before
        assert await store.last_seq() == 4

    async def test_older_versions_are_dropped_also_within_a_batch(self, store: AlertStore) -> None:
        assert kinds(await store.record([make_alert(version=3), make_alert(version=2)])) == [EventType.OPENED]
        assert await store.record([make_alert(version=1)]) == []
        assert (await store.get("a1")).alert.version == 3

    async def test_an_alert_whose_beginning_was_missed_is_kept_as_it_ended(self, store: AlertStore) -> None:
        assert kinds(await store.record([resolved("a1"), withdrawn("a2")])) == [
            EventType.RESOLVED,
            EventType.WITHDRAWN,
        ]
        assert (await store.get("a1")).state is AlertState.RESOLVED

    async def test_acknowledged_stays_so_while_firing(self, store: AlertStore) -> None:
        await store.record([make_alert()])
        event = await store.acknowledge("a1", actor="ada", comment="on it", at=NOON + MINUTE)
        assert event is not None
        assert (event.type, event.actor, event.comment) == (EventType.ACKNOWLEDGED, "ada", "on it")
        assert kinds(await store.record([make_alert(version=2)])) == [EventType.UPDATED]
        record = await store.get("a1")
        assert (record.state, record.acknowledged_by) == (AlertState.ACKNOWLEDGED, "ada")
        assert record.acknowledged_at == NOON + MINUTE
        assert kinds(await store.record([resolved(version=3)])) == [EventType.RESOLVED]

    async def test_resolved_by_hand_stays_so_for_the_episode(self, store: AlertStore) -> None:
        await store.record([make_alert()])
        await store.resolve("a1", actor="ada", comment="planned", at=NOON)
        events = await store.record([make_alert(version=2), resolved(version=3), make_alert(version=4)])
        assert kinds(events) == [EventType.UPDATED] * 3
        record = await store.get("a1")
        assert (record.state, record.resolved_by, record.alert.version) == (AlertState.RESOLVED, "ada", 4)

    async def test_withdrawn_wins_over_what_people_did(self, store: AlertStore) -> None:
        await store.record([make_alert()])
        await store.resolve("a1", actor="ada", comment="", at=NOON)
        assert kinds(await store.record([withdrawn()])) == [EventType.WITHDRAWN]
        assert (await store.get("a1")).state is AlertState.WITHDRAWN
        # The facts come back: what a person resolved is resolved again, not open.
        assert kinds(await store.record([make_alert(version=3)])) == [EventType.RESOLVED]
        assert (await store.get("a1")).resolved_by == "ada"

    async def test_what_detection_resolved_reopens(self, store: AlertStore) -> None:
        await store.record([make_alert()])
        await store.acknowledge("a1", actor="ada", comment="", at=NOON)
        events = await store.record([resolved(), make_alert(version=3)])
        assert kinds(events) == [EventType.RESOLVED, EventType.REOPENED]
        record = await store.get("a1")
        assert (record.state, record.acknowledged_by, record.resolved_at) == (AlertState.FIRING, None, None)
        assert await store.acknowledge("a1", actor="bob", comment="", at=NOON) is not None

    async def test_withdrawn_reopens_when_its_facts_return(self, store: AlertStore) -> None:
        events = await store.record([make_alert(), withdrawn(), make_alert(version=3)])
        assert kinds(events)[1:] == [EventType.WITHDRAWN, EventType.REOPENED]

    async def test_people_change_an_alert_once(self, store: AlertStore) -> None:
        await store.record([make_alert(), resolved("a2")])
        assert await store.acknowledge("a1", actor="ada", comment="", at=NOON)
        assert await store.acknowledge("a1", actor="bob", comment="", at=NOON) is None
        assert await store.resolve("a1", actor="bob", comment="", at=NOON)
        assert await store.resolve("a1", actor="ada", comment="", at=NOON) is None
        assert await store.acknowledge("a1", actor="ada", comment="", at=NOON) is None
        assert await store.acknowledge("a2", actor="ada", comment="", at=NOON) is None
        assert await store.resolve("a2", actor="ada", comment="", at=NOON) is None

    async def test_a_person_may_have_any_name(self, store: AlertStore) -> None:
        await store.record([make_alert()])
        event = await store.acknowledge("a1", actor="detection", comment="", at=NOON)
        assert event is not None
        assert event.type is EventType.ACKNOWLEDGED
        event = await store.resolve("a1", actor="detection", comment="", at=NOON)
        assert event is not None
        assert event.record.resolved_by == "detection"

    async def test_an_id_that_no_alert_can_have_is_unknown(self, store: AlertStore) -> None:
        for alert_id in ("a\0b", "", "x" * 10_000):
            with pytest.raises(AlertNotFoundError):
                await store.get(alert_id)
            with pytest.raises(AlertNotFoundError):
                await store.events_of(alert_id)
            with pytest.raises(AlertNotFoundError):
                await store.acknowledge(alert_id, actor="ada", comment="", at=NOON)

    async def test_the_largest_that_is_read_from_the_topic_is_kept(self, store: AlertStore) -> None:
        """Within the limits of service/stream/alert_messages.py."""
        wide = "".join(chr(0x10000 + number) for number in range(512))
        largest = make_alert(
            "z" * 64,
            version=2**63 - 1,
            buckets=2**63 - 1,
            series=wide,
            tenant=wide[:64],
            unit=wide[:64],
            reason=wide * 8,
            labels={f"{number}{wide}"[:512]: wide for number in range(64)} | {"nul\0": "\0"},
            impact=1e18,
        )
        [event] = await store.record([largest])
        assert (await store.get(event.record.alert.id)).alert == largest
        assert (await store.summary()).impact == {wide[:64]: 1e18}

    async def test_unknown_alerts_are_named(self, store: AlertStore) -> None:
        with pytest.raises(AlertNotFoundError, match="no alert has the id 'nope'"):
            await store.get("nope")
        with pytest.raises(AlertNotFoundError):
            await store.events_of("nope")
        with pytest.raises(AlertNotFoundError):
            await store.acknowledge("nope", actor="ada", comment="", at=NOON)
        with pytest.raises(AlertNotFoundError):
            await store.resolve("nope", actor="ada", comment="", at=NOON)

    async def test_the_audit_trail_says_who_did_what_when(self, store: AlertStore, clock: FakeClock) -> None:
        await store.record([make_alert(), make_alert("a2")])
        clock.move(MINUTE)
        await store.acknowledge("a1", actor="ada", comment="mine", at=clock.now())
        clock.move(MINUTE)
        await store.record([resolved()])
        trail = await store.events_of("a1")
        assert [(e.type, e.actor, e.comment, e.at - NOON) for e in trail] == [
            (EventType.OPENED, "detection", "", 0 * MINUTE),
            (EventType.ACKNOWLEDGED, "ada", "mine", 1 * MINUTE),
            (EventType.RESOLVED, "detection", "", 2 * MINUTE),
        ]
        assert [e.record.state for e in trail] == [AlertState.FIRING, AlertState.ACKNOWLEDGED, AlertState.RESOLVED]

    async def test_events_are_read_in_order_from_any_place(self, store: AlertStore) -> None:
        events = await store.record([make_alert(f"a{n}") for n in range(7)])
        assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6, 7]
        assert await store.events_after(2, 3) == events[2:5]
        assert await store.events_after(7, 10) == []
        assert await store.last_seq() == 7

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            (AlertQuery(), ["ads", "search"]),
            (AlertQuery(states=(AlertState.RESOLVED, AlertState.WITHDRAWN)), ["ads"]),
            (AlertQuery(severities=(Severity.CRITICAL,)), ["search"]),
            (AlertQuery(tenant="acme"), ["ads"]),
            (AlertQuery(tenant="nobody"), []),
            (AlertQuery(labels={"team": "search"}), ["search"]),
            (AlertQuery(labels={"team": "search", "env": "prod"}), ["search"]),
            (AlertQuery(labels={"team": "search", "env": "test"}), []),
            (AlertQuery(labels={"team": "SEARCH"}), []),
            (AlertQuery(text="TEAM=SEA"), ["search"]),
            (AlertQuery(text="100% over"), ["ads"]),
            (AlertQuery(text="_"), ["ads", "search"]),
            (AlertQuery(text="100_"), []),
            (AlertQuery(since=NOON), ["ads", "search"]),
            (AlertQuery(since=NOON + MINUTE), []),
        ],
        ids=lambda value: str(value) if isinstance(value, list) else None,
    )
    async def test_filters(self, store: AlertStore, query: AlertQuery, expected: list[str]) -> None:
        labels = {"team": "search", "env": "prod"}
        await store.record(
            [
                make_alert("search", severity=Severity.CRITICAL, labels=labels),
                make_alert("ads", team="ads", tenant="acme", reason="100% over", status=AlertStatus.RESOLVED),
            ]
        )
        page = await store.find(query)
        assert (sorted(record.alert.id for record in page.items), page.total) == (expected, len(expected))

    async def test_labels_of_the_last_version_count(self, store: AlertStore) -> None:
        await store.record([make_alert(labels={"team": "old", "env": "prod"})])
        await store.record([make_alert(version=2, labels={"team": "new"})])
        assert await all_ids(store, AlertQuery(labels={"team": "old"})) == []
        assert await all_ids(store, AlertQuery(labels={"env": "prod"})) == []
        assert await all_ids(store, AlertQuery(labels={"team": "new"})) == ["a1"]

    @pytest.mark.parametrize(
        "value",
        ["", "'; DROP TABLE alerts; --", "50%_\\", "日本語 🦊", "nul\0inside", "x" * 3000],
        ids=["empty", "sql", "wildcards", "unicode", "nul", "long"],
    )
    async def test_hostile_labels_are_kept_and_found(self, store: AlertStore, value: str) -> None:
        alert = make_alert(labels={"team": value}, reason=value, series=f"default/x/USD/1d/tag:team={value}"[:500])
        await store.record([alert, make_alert("a2")])
        assert (await store.get("a1")).alert == alert
        assert await all_ids(store, AlertQuery(labels={"team": value})) == ["a1"]
        await store.acknowledge("a1", actor=value, comment=value, at=NOON)
        assert (await store.get("a1")).acknowledged_by == value

    async def test_paging_shows_each_alert_once_newest_first(self, store: AlertStore) -> None:
        await store.record([make_alert(f"a{n}") for n in range(7)])
        seen: list[str] = []
        cursor = None
        sizes = []
        while True:
            page = await store.find(AlertQuery(limit=3, cursor=cursor))
            seen += [record.alert.id for record in page.items]
            sizes.append((len(page.items), page.total))
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == [f"a{n}" for n in reversed(range(7))]
        assert sizes == [(3, 7), (3, 7), (1, 7)]

    async def test_a_full_last_page_has_no_next(self, store: AlertStore) -> None:
        await store.record([make_alert(f"a{n}") for n in range(4)])
        first = await store.find(AlertQuery(limit=2))
        last = await store.find(AlertQuery(limit=2, cursor=first.next_cursor))
        assert (len(last.items), last.next_cursor) == (2, None)

    async def test_paging_goes_on_while_alerts_come_and_change(self, store: AlertStore) -> None:
        await store.record([make_alert(f"a{n}") for n in range(6)])
        first = await store.find(AlertQuery(limit=3))
        await store.record([make_alert("new"), make_alert("a5", 2), make_alert("a1", 2)])
        rest = await store.find(AlertQuery(limit=10, cursor=first.next_cursor))
        assert [record.alert.id for record in first.items] == ["a5", "a4", "a3"]
        # a1 has new activity: it now is on the first page, where whoever looks for news finds it.
        assert [record.alert.id for record in rest.items] == ["a2", "a0"]

    @pytest.mark.parametrize("cursor", ["", "x", "s", "s-1", "s1; DROP", "s" + "9" * 40], ids=repr)
    async def test_a_cursor_of_somebody_else_is_refused(self, store: AlertStore, cursor: str) -> None:
        with pytest.raises(BadCursorError, match="cursor must be one that a page returned"):
            await store.find(AlertQuery(cursor=cursor))

    async def test_the_summary_counts_everything(self, store: AlertStore) -> None:
        empty = await store.summary()
        assert set(empty.states.values()) | set(empty.severities.values()) == {0}
        await store.record(
            [
                make_alert("a1", impact=100.0, severity=Severity.HIGH),
                make_alert("a2", impact=20.5),
                make_alert("a3", impact=-7.0),
                make_alert("a4", impact=30.0, unit="EUR"),
                make_alert("a5", impact=1000.0, tenant="acme"),
                resolved("a6", impact=5000.0),
            ]
        )
        await store.acknowledge("a2", actor="ada", comment="", at=NOON)
        summary = await store.summary("default")
        assert summary.states[AlertState.FIRING] == 3
        assert summary.states[AlertState.ACKNOWLEDGED] == 1
        assert summary.states[AlertState.RESOLVED] == 1
        assert (summary.severities[Severity.HIGH], summary.severities[Severity.MEDIUM]) == (1, 3)
        assert summary.impact == {"EUR": 30.0, "USD": 120.5}
        assert (await store.summary()).impact["USD"] == 1120.5


class OutboxContract:
    """Fixture `open_store`: opens the same database again, with other routes."""

    @staticmethod
    async def claim(store: Outbox, *, at: timedelta = timedelta(), **how: object) -> list[Delivery]:
        receiver = how.get("receiver")
        return await store.claim(
            worker=str(how.get("worker", "w1")),
            now=NOON + at,
            lease_seconds=60,
            limit=int(str(how.get("limit", 100))),
            receiver=None if receiver is None else str(receiver),
        )

    @staticmethod
    async def claim_newest(store: Outbox, *, at: timedelta = timedelta()) -> list[Delivery]:
        return await store.claim(
            worker="w1", now=NOON + at, lease_seconds=60, limit=100, receiver="desk", newest_only=True
        )

    async def test_each_matching_receiver_gets_a_message(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk", "pager"))
        [event] = await store.record([make_alert()])
        claimed = await self.claim(store)
        assert sorted(d.receiver for d in claimed) == ["desk", "pager"]
        assert {d.event.seq for d in claimed} == {event.seq}
        assert claimed[0].event == event
        assert len({d.id for d in claimed}) == 2
        assert await store.record([make_alert()]) == []
        assert await self.claim(store) == []

    async def test_what_people_do_is_told_whatever_they_call_themselves(self, open_store: OpenStore) -> None:
        """A person named as detection is once got the id of detection's message, which the database refused."""
        store = open_store(everyone("desk"))
        await store.record([make_alert()])
        await store.resolve("a1", actor="detection", comment="", at=NOON)
        told = await store.deliveries_of("a1")
        assert [d.event.type for d in told] == [EventType.OPENED, EventType.RESOLVED]
        assert len({d.id for d in told}) == 2

    async def test_an_alert_nobody_is_routed_to_makes_no_message(self, open_store: OpenStore) -> None:
        store = open_store(everyone())
        await store.record([make_alert()])
        assert await store.deliveries_of("a1") == []

    async def test_the_oldest_message_of_an_alert_goes_first(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk"))
        await store.record([make_alert(), resolved(), make_alert("a2")])
        first = {d.event.record.alert.id: d for d in await self.claim(store)}
        assert (first["a1"].event.type, first["a2"].event.type) == (EventType.OPENED, EventType.OPENED)
        await store.delivered(first["a1"].id, at=NOON)
        [second] = await self.claim(store)
        assert second.event.type is EventType.RESOLVED

    async def test_a_message_that_waits_holds_back_the_next_of_its_alert_only(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk"))
        await store.record([make_alert(), resolved(), make_alert("a2")])
        claimed = {d.event.record.alert.id: d for d in await self.claim(store)}
        await store.retry(claimed["a1"].id, error="503", next_attempt_at=NOON + 0.5 * MINUTE, worker="w1")
        assert await self.claim(store, at=0.4 * MINUTE) == []
        [again] = await self.claim(store, at=0.5 * MINUTE, worker="w2")
        assert (again.id, again.attempts, again.last_error) == (claimed["a1"].id, 2, "503")

    async def test_a_dead_message_lets_the_next_go(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk"))
        await store.record([make_alert(), resolved()])
        [first] = await self.claim(store)
        await store.dead(first.id, error="410", at=NOON, worker="w1")
        [second] = await self.claim(store)
        assert second.event.type is EventType.RESOLVED
        assert await store.counts() == {"desk": {"pending": 1, "delivered": 0, "dead": 1}}

    async def test_a_lease_that_ends_is_taken_over_under_the_same_id(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk"))
        await store.record([make_alert()])
        [first] = await self.claim(store, worker="killed")
        assert await self.claim(store, at=0.9 * MINUTE, worker="next") == []
        [second] = await self.claim(store, at=MINUTE, worker="next")
        assert (second.id, second.attempts) == (first.id, 2)

    async def test_who_lost_the_lease_cannot_give_the_row_back(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk"))
        await store.record([make_alert()])
        [row] = await self.claim(store, worker="slow")
        await self.claim(store, at=MINUTE, worker="next")
        await store.retry(row.id, error="late", next_attempt_at=NOON, worker="slow")
        await store.dead(row.id, error="late", at=NOON, worker="slow")
        assert await self.claim(store, at=MINUTE, worker="third") == []
        # What it did deliver has arrived nevertheless.
        await store.delivered(row.id, at=NOON + MINUTE, remote_id="INC-7")
        [kept] = await store.deliveries_of("a1")
        assert (kept.state, kept.remote_id, kept.delivered_at) == ("delivered", "INC-7", NOON + MINUTE)
        await store.retry(row.id, error="late", next_attempt_at=NOON, worker="next")
        assert await self.claim(store, at=5 * MINUTE) == []

    async def test_a_lane_gets_only_its_own_and_no_more_than_asked(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk", "pager"))
        await store.record([make_alert(f"a{n}") for n in range(5)])
        claimed = await self.claim(store, receiver="pager", limit=3)
        assert [d.receiver for d in claimed] == ["pager"] * 3
        assert [d.event.record.alert.id for d in claimed] == ["a0", "a1", "a2"]

    async def test_two_deliverers_never_hold_the_same_message(self, open_store: OpenStore) -> None:
        one, two = open_store(everyone("desk")), open_store(everyone("desk"))
        await one.record([make_alert(f"a{n}", version) for n in range(30) for version in (1, 2)])
        claims = await asyncio.gather(
            *(self.claim(store, worker=f"w{n}", limit=4) for n in range(5) for store in (one, two))
        )
        ids = [d.id for claim in claims for d in claim]
        assert len(ids) == len(set(ids)) == 30

    async def test_a_receiver_added_later_is_not_told_of_old_alerts(self, open_store: OpenStore) -> None:
        await open_store(everyone("desk")).record([make_alert(), make_alert("a2")])
        store = open_store(everyone("desk", "new"))
        await store.record([make_alert(version=2, impact=1000.0), resolved(version=3), make_alert("a3")])
        assert {d.receiver for d in await store.deliveries_of("a1")} == {"desk"}
        assert {d.receiver for d in await store.deliveries_of("a3")} == {"desk", "new"}
        # Opening again is news to everybody.
        await store.record([make_alert(version=4)])
        assert [d.event.type for d in await store.deliveries_of("a1") if d.receiver == "new"] == [EventType.REOPENED]

    async def test_only_updates_that_matter_are_told(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk"))
        await store.record(
            [
                make_alert(version=1, impact=100.0),
                make_alert(version=2, impact=199.0),
                make_alert(version=3, impact=200.0),
                make_alert(version=4, impact=399.0),
                make_alert(version=5, impact=399.0, severity=Severity.HIGH),
                make_alert(version=6, impact=399.0, severity=Severity.LOW),
                make_alert(version=7, impact=399.0, severity=Severity.HIGH),
                make_alert(version=8, impact=-800.0, severity=Severity.HIGH),
            ]
        )
        assert [d.event.record.alert.version for d in await store.deliveries_of("a1")] == [1, 3, 5, 8]

    async def test_a_route_hears_of_an_alert_once_it_is_severe_enough(self, open_store: OpenStore) -> None:
        pager = Route(receiver="pager", matchers=("severity>=high",), continue_=True)
        route = Route(receiver="desk", routes=(pager, Route()))
        store = open_store(Router(route, ["desk", "pager"]))
        await store.record([make_alert("low"), resolved("low")])
        await store.record([make_alert(), make_alert(version=2, severity=Severity.CRITICAL)])
        # Below its severity again: who was told is told of the end, too.
        await store.record([resolved(version=3, severity=Severity.LOW)])
        paged = [d for d in await store.deliveries_of("a1") if d.receiver == "pager"]
        assert [d.event.type for d in paged] == [EventType.UPDATED, EventType.RESOLVED]
        assert {d.receiver for d in await store.deliveries_of("low")} == {"desk"}

    async def test_what_people_do_is_told_to_who_was_told(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk"))
        await store.record([make_alert()])
        await store.acknowledge("a1", actor="ada", comment="", at=NOON)
        await store.resolve("a1", actor="ada", comment="", at=NOON)
        await store.record([make_alert(version=2, impact=1e6), resolved(version=3)])
        told = [d.event.type for d in await store.deliveries_of("a1")]
        assert told == [EventType.OPENED, EventType.ACKNOWLEDGED, EventType.RESOLVED]

    async def test_an_end_without_a_beginning_is_not_told(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk"))
        await store.record([resolved("a1"), withdrawn("a2")])
        assert await store.counts() == {}

    async def test_of_what_waits_after_the_opening_only_the_newest_is_sent(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk"))
        await store.record([make_alert(), make_alert(version=2, impact=1e4), make_alert(version=3, impact=1e5)])
        await store.record([resolved(version=4, impact=1e5)])
        [first] = await self.claim_newest(store)
        assert (first.event.type, first.event.record.alert.version) == (EventType.OPENED, 1)
        await store.delivered(first.id, at=NOON, remote_id="INC-7")
        [last] = await self.claim_newest(store)
        assert (last.event.type, last.remote_id) == (EventType.RESOLVED, "INC-7")
        await store.delivered(last.id, at=NOON)
        assert await self.claim_newest(store) == []
        assert [d.state for d in await store.deliveries_of("a1")] == [
            "delivered",
            "superseded",
            "superseded",
            "delivered",
        ]

    async def test_what_is_known_of_the_other_side_survives_a_failure(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk"))
        await store.record([make_alert()])
        [first] = await self.claim_newest(store)
        await store.retry(first.id, error="503", next_attempt_at=NOON, worker="w1", remote_id="INC-7")
        [again] = await self.claim_newest(store)
        assert again.remote_id == "INC-7"
        await store.retry(again.id, error="503", next_attempt_at=NOON, worker="w1")
        [third] = await self.claim_newest(store)
        await store.dead(third.id, error="400", at=NOON, worker="w1")
        await store.record([resolved()])
        [last] = await self.claim_newest(store)
        assert (last.event.type, last.remote_id) == (EventType.RESOLVED, "INC-7")

    async def test_a_dead_message_is_revived_with_a_new_deadline(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk", "pager"))
        await store.record([make_alert(), make_alert("a2")])
        for row in await self.claim(store):
            await store.dead(row.id, error="400", at=NOON, worker="w1")
        assert await store.revive(at=NOON + MINUTE, receiver="pager") == 2
        assert await store.revive(at=NOON + MINUTE, receiver="pager") == 0
        assert [d.receiver for d in await self.claim(store, at=2 * MINUTE)] == ["pager"] * 2
        [desk] = [d for d in await store.deliveries_of("a1") if d.receiver == "desk"]
        assert await store.revive(at=NOON + 3 * MINUTE, delivery_id=desk.id) == 1
        [revived] = await self.claim(store, at=4 * MINUTE, receiver="desk")
        assert (revived.id, revived.attempts, revived.created_at) == (desk.id, 1, NOON + 3 * MINUTE)
        assert await store.revive(at=NOON, delivery_id="nope") == 0

    async def test_a_revived_message_says_what_is_so_now(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk"))
        await store.record([make_alert(), resolved()])
        [opened] = await self.claim_newest(store)
        await store.dead(opened.id, error="400", at=NOON, worker="w1")
        [end] = await self.claim_newest(store)
        await store.delivered(end.id, at=NOON)
        await store.revive(at=NOON)
        [again] = await self.claim_newest(store, at=MINUTE)
        assert (again.id, again.event.type) == (opened.id, EventType.RESOLVED)

    async def test_a_revived_message_is_not_sent_beside_a_newer_one(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk"))
        await store.record([make_alert(), resolved()])
        [opened] = await self.claim(store)
        await store.dead(opened.id, error="400", at=NOON, worker="w1")
        [end] = await self.claim(store)
        await store.revive(at=NOON)
        assert await self.claim(store, at=0.5 * MINUTE) == []
        await store.delivered(end.id, at=NOON)
        [again] = await self.claim(store, at=0.5 * MINUTE)
        assert again.id == opened.id

    async def test_a_receiver_that_is_back_is_told_at_once_what_waits(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk", "pager"))
        await store.record([make_alert(), make_alert("a2")])
        for row in await self.claim(store):
            await store.retry(row.id, error="503", next_attempt_at=NOON + 60 * MINUTE, worker="w1")
        await store.hasten("desk", at=NOON + MINUTE)
        assert [d.receiver for d in await self.claim(store, at=MINUTE)] == ["desk"] * 2

    async def test_a_listing_pages_through_every_message_once(self, open_store: OpenStore) -> None:
        store = open_store(everyone("desk", "pager"))
        await store.record([make_alert(f"a{n}") for n in range(5)])
        for row in (await self.claim(store, receiver="desk"))[:3]:
            await store.dead(row.id, error="400", at=NOON, worker="w1")
        seen: list[str] = []
        cursor = None
        while True:
            page = await store.deliveries(DeliveryQuery(limit=3, cursor=cursor))
            seen += [d.id for d in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == 10
        dead = await store.deliveries(DeliveryQuery(state="dead", receiver="desk"))
        assert [d.event.record.alert.id for d in dead.items if isinstance(d, Delivery)] == ["a2", "a1", "a0"]
        assert (await store.deliveries(DeliveryQuery(state="dead", receiver="pager"))).items == ()
        with pytest.raises(BadCursorError):
            await store.deliveries(DeliveryQuery(cursor="x"))

    async def test_deliveries_of_an_unknown_alert(self, open_store: OpenStore) -> None:
        with pytest.raises(AlertNotFoundError):
            await open_store(everyone()).deliveries_of("nope")
