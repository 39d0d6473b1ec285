"""What every alert store must do when people act, and when the time of an acknowledgement is over.

A test class inherits the suite and provides `store`, which tells `desk` of everything, and `put`, which writes a change
that neither detection nor a person made, as the dispatch of alerts does.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from connectors.facts import FeedbackVerdict
from service.core.alerts import AlertRecord, AlertState, EventType
from service.core.transitions import TIME, inhibited, silenced
from service.store.store import MAX_PEOPLE, AlertNotFoundError, AlertQuery
from tests.builders import make_alert, resolved
from tests.clock import NOON
from tests.contracts.store import FullStore

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
Put = Callable[[EventType, AlertRecord | None], Awaitable[None]]


class DeedsContract:
    @staticmethod
    async def fold(store: FullStore, put: Put, head: str = "head", members: tuple[str, ...] = ("m1", "m2")) -> None:
        """Alerts of one incident, of which *head* is told."""
        known = [make_alert(head, impact=1000.0)]
        await store.record([*known, *(make_alert(one, impact=10.0 + n) for n, one in enumerate(members))])
        for one in members:
            await put(EventType.INHIBITED, inhibited(await store.get(one), by=head, at=NOON))

    @staticmethod
    async def trail(store: FullStore, alert_id: str) -> list[tuple[str, str, str]]:
        return [(event.type.value, event.actor, event.comment) for event in await store.events_of(alert_id)]

    @staticmethod
    async def told(store: FullStore, alert_id: str) -> list[str]:
        return [delivery.event.type.value for delivery in await store.deliveries_of(alert_id)]

    async def test_an_acknowledgement_may_have_an_end(self, store: FullStore) -> None:
        await store.record([make_alert()])
        event = await store.acknowledge("a1", actor="ada", comment="", at=NOON, until=NOON + HOUR)
        assert event is not None
        assert event.record.acknowledged_until == NOON + HOUR
        assert await store.expire_acknowledgements(NOON + HOUR - MINUTE) == []
        [over] = await store.expire_acknowledgements(NOON + HOUR)
        assert (over.type, over.actor, over.at) == (EventType.ACK_EXPIRED, TIME, NOON + HOUR)
        record = await store.get("a1")
        assert (record.state, record.acknowledged_by, record.acknowledged_until) == (AlertState.FIRING, None, None)
        assert await store.expire_acknowledgements(NOON + 2 * HOUR) == []
        assert await self.told(store, "a1") == ["opened", "acknowledged", "ack_expired"]

    async def test_an_acknowledgement_without_an_end_has_none(self, store: FullStore) -> None:
        await store.record([make_alert()])
        await store.acknowledge("a1", actor="ada", comment="", at=NOON)
        assert await store.expire_acknowledgements(NOON + 9999 * HOUR) == []

    async def test_only_open_acknowledgements_expire(self, store: FullStore) -> None:
        await store.record([make_alert("a1"), make_alert("a2"), make_alert("a3")])
        for one in ("a1", "a2", "a3"):
            await store.acknowledge(one, actor="ada", comment="", at=NOON, until=NOON + HOUR)
        await store.record([resolved("a1")])
        await store.acknowledge("a2", actor="bob", comment="longer", at=NOON + MINUTE, until=NOON + 2 * HOUR)
        assert [event.record.alert.id for event in await store.expire_acknowledgements(NOON + HOUR)] == ["a3"]
        assert [event.record.alert.id for event in await store.expire_acknowledgements(NOON + 2 * HOUR)] == ["a2"]

    async def test_what_is_silenced_by_the_time_stays_quiet(self, store: FullStore, put: Put) -> None:
        await store.record([make_alert()])
        await store.acknowledge("a1", actor="ada", comment="", at=NOON, until=NOON + HOUR)
        await put(EventType.SILENCED, silenced(await store.get("a1"), by=("s1",), at=NOON))
        [over] = await store.expire_acknowledgements(NOON + HOUR)
        assert over.record.state is AlertState.SILENCED
        assert await self.told(store, "a1") == ["opened", "acknowledged"]

    async def test_a_task_has_an_owner_who_is_found(self, store: FullStore) -> None:
        await store.record([make_alert("a1"), make_alert("a2")])
        event = await store.assign("a1", to="bob", actor="ada", comment="yours", at=NOON)
        assert event is not None
        assert (event.type, event.actor, event.comment) == (EventType.ASSIGNED, "ada", "yours")
        assert (event.record.assigned_to, event.record.state) == ("bob", AlertState.FIRING)
        assert await store.assign("a1", to="bob", actor="eve", comment="", at=NOON) is None
        assert [one.alert.id for one in (await store.find(AlertQuery(assigned_to="bob"))).items] == ["a1"]
        assert [one.alert.id for one in (await store.find(AlertQuery(unassigned=True))).items] == ["a2"]
        await store.record([resolved("a1")])
        assert (await store.get("a1")).assigned_to == "bob"
        assert await store.assign("a1", to=None, actor="bob", comment="", at=NOON) is not None
        assert (await store.find(AlertQuery(assigned_to="bob"))).total == 0
        assert await self.told(store, "a1") == ["opened", "resolved"]

    async def test_who_was_named_lately_is_known(self, store: FullStore) -> None:
        assert await store.people() == []
        await store.record([make_alert("a1"), make_alert("a2"), make_alert("a3")])
        assert await store.people() == []
        await store.acknowledge("a1", actor="ada", comment="", at=NOON)
        await store.assign("a1", to="bob", actor="ada", comment="", at=NOON)
        await store.assign("a2", to="group: finops", actor="desk:Dana", comment="", at=NOON)
        await store.comment("a3", actor="eve", comment="x", at=NOON)
        await store.record([resolved("a3")])
        assert await store.people() == ["eve", "group: finops", "ada", "bob"]

    async def test_so_many_people_are_known_and_no_more(self, store: FullStore) -> None:
        await store.record([make_alert()])
        for number in range(MAX_PEOPLE + 1):
            await store.comment("a1", actor=f"p{number}", comment="x", at=NOON)
        known = await store.people()
        assert (known[0], known[-1], len(known)) == (f"p{MAX_PEOPLE}", "p1", MAX_PEOPLE)

    @pytest.mark.parametrize("over", [False, True], ids=["open", "over"])
    async def test_a_comment_is_kept_and_told_to_nobody(self, store: FullStore, over: bool) -> None:
        await store.record([make_alert(), *([resolved()] if over else [])])
        before = await store.get("a1")
        event = await store.comment("a1", actor="ada", comment="the launch\0", at=NOON + MINUTE)
        assert event is not None
        assert (event.type, event.record.state) == (EventType.COMMENTED, before.state)
        assert (await self.trail(store, "a1"))[-1][:2] == ("commented", "ada")
        assert await self.told(store, "a1") == ["opened", *(["resolved"] if over else [])]

    async def test_a_person_takes_a_resolve_back(self, store: FullStore) -> None:
        await store.record([make_alert()])
        assert await store.reopen("a1", actor="ada", comment="", at=NOON) is None
        await store.acknowledge("a1", actor="ada", comment="", at=NOON)
        await store.resolve("a1", actor="ada", comment="", at=NOON)
        event = await store.reopen("a1", actor="bob", comment="not yet", at=NOON + MINUTE)
        assert event is not None
        assert (event.type, event.actor, event.comment) == (EventType.REOPENED, "bob", "not yet")
        assert event.record.state is AlertState.FIRING
        assert (event.record.resolved_by, event.record.acknowledged_by) == (None, None)
        assert event.record.reopened_at == NOON + MINUTE
        assert await self.told(store, "a1") == ["opened", "acknowledged", "resolved", "reopened"]

    async def test_what_detection_ended_no_person_opens(self, store: FullStore) -> None:
        await store.record([make_alert("a1"), make_alert("a2"), resolved("a1")])
        await store.resolve("a2", actor="ada", comment="", at=NOON)
        await store.record([resolved("a2")])
        assert await store.reopen("a1", actor="ada", comment="", at=NOON) is None
        assert await store.reopen("a2", actor="ada", comment="", at=NOON) is None

    async def test_what_a_person_expected_ends_so(self, store: FullStore) -> None:
        await store.record([make_alert()])
        said = {"actor": "ada", "comment": "the launch", "at": NOON}
        await store.note_feedback("a1", verdict=FeedbackVerdict.EXPECTED, **said)  # type: ignore[arg-type]  # by name
        [event] = await store.record([resolved(feedback=FeedbackVerdict.EXPECTED)])
        assert (event.type, event.record.state) == (EventType.EXPECTED, AlertState.EXPECTED)
        assert await self.told(store, "a1") == ["opened", "expected"]
        summary = await store.summary()
        assert (summary.states[AlertState.EXPECTED], summary.impact) == (1, {})

    async def test_silenced_alerts_are_counted_apart(self, store: FullStore, put: Put) -> None:
        await store.record([make_alert("a1", impact=100.0), make_alert("a2", impact=7.0)])
        await put(EventType.SILENCED, silenced(await store.get("a1"), by=("s1",), at=NOON))
        summary = await store.summary()
        assert (summary.states[AlertState.FIRING], summary.states[AlertState.SILENCED]) == (1, 1)
        assert (sum(summary.severities.values()), summary.impact) == (1, {"USD": 7.0})

    async def test_what_a_head_is_told_in_place_of_is_listed_dearest_first(self, store: FullStore, put: Put) -> None:
        await self.fold(store, put)
        members = await store.inhibited(["head", "other"])
        assert [record.alert.id for record in members] == ["m2", "m1"]
        assert [record.alert.history for record in members] == [(), ()]
        assert await store.inhibited([]) == []
        assert (await store.find(AlertQuery(inhibited_by="head"))).total == 2

    async def test_a_folded_list_leaves_out_what_its_heads_stand_for(self, store: FullStore, put: Put) -> None:
        await self.fold(store, put)
        page = await store.find(AlertQuery(folded=True))
        assert ([record.alert.id for record in page.items], page.total) == (["head"], 1)
        assert (await store.find(AlertQuery())).total == 3

    async def test_what_is_asked_for_without_its_head_is_not_folded(self, store: FullStore, put: Put) -> None:
        await self.fold(store, put)
        await store.record([make_alert("m1", 2, impact=10.0, labels={"team": "ads"})])
        page = await store.find(AlertQuery(folded=True, labels={"team": "ads"}))
        assert [record.alert.id for record in page.items] == ["m1"]
        await store.resolve("head", actor="ada", comment="", at=NOON, cascade=False)
        open_ones = await store.find(AlertQuery(folded=True, states=(AlertState.FIRING,)))
        assert sorted(record.alert.id for record in open_ones.items) == ["m1", "m2"]

    async def test_two_that_name_each_other_are_both_listed(self, store: FullStore, put: Put) -> None:
        await self.fold(store, put, members=("m1",))
        await put(EventType.INHIBITED, inhibited(await store.get("head"), by="m1", at=NOON))
        assert (await store.find(AlertQuery(folded=True))).total == 2

    async def test_who_answers_for_the_head_answers_for_all(self, store: FullStore, put: Put) -> None:
        await self.fold(store, put)
        until = NOON + HOUR
        event = await store.acknowledge("head", actor="ada", comment="on it", at=NOON, until=until)
        assert event is not None
        assert (event.record.alert.id, event.seq) == ("head", await store.last_seq())
        for one in ("m1", "m2"):
            record = await store.get(one)
            assert (record.state, record.acknowledged_by) == (AlertState.ACKNOWLEDGED, "ada")
            assert record.acknowledged_until == until
            together = "together with team=search (head): on it"
            assert (await self.trail(store, one))[-1] == ("acknowledged", "ada", together)
        assert len(await store.expire_acknowledgements(until)) == 3
        await store.resolve("head", actor="bob", comment="", at=NOON)
        assert (await self.trail(store, "m1"))[-1] == ("resolved", "bob", "together with team=search (head)")
        assert (await store.get("m2")).state is AlertState.RESOLVED

    async def test_what_is_over_is_left_as_it_ended(self, store: FullStore, put: Put) -> None:
        await self.fold(store, put)
        await store.record([resolved("m1")])
        said = {"actor": "ada", "comment": "", "at": NOON}
        await store.note_feedback("head", verdict=FeedbackVerdict.NEW_NORMAL, **said)  # type: ignore[arg-type]  # by name
        assert (await self.trail(store, "m1"))[-1][0] == "resolved"
        together = "new_normal: together with team=search (head)"
        assert (await self.trail(store, "m2"))[-1] == ("feedback", "ada", together)
        assert (await self.trail(store, "head"))[-1] == ("feedback", "ada", "new_normal")

    async def test_a_head_can_be_answered_for_alone(self, store: FullStore, put: Put) -> None:
        await self.fold(store, put)
        await store.acknowledge("head", actor="ada", comment="", at=NOON, cascade=False)
        said = {"actor": "ada", "comment": "", "at": NOON, "cascade": False}
        await store.note_feedback("head", verdict=FeedbackVerdict.EXPECTED, **said)  # type: ignore[arg-type]  # by name
        await store.resolve("head", actor="ada", comment="", at=NOON, cascade=False)
        assert [len(await store.events_of(one)) for one in ("m1", "m2")] == [2, 2]

    async def test_a_deed_that_changes_nothing_leaves_the_members_alone(self, store: FullStore, put: Put) -> None:
        await self.fold(store, put)
        await store.resolve("head", actor="ada", comment="", at=NOON, cascade=False)
        assert await store.resolve("head", actor="ada", comment="", at=NOON) is None
        assert (await store.get("m1")).state is AlertState.FIRING

    async def test_deeds_name_an_alert_that_does_not_exist(self, store: FullStore) -> None:
        said = {"actor": "ada", "comment": "", "at": NOON}
        for act in (store.reopen, store.comment, store.acknowledge, store.resolve):
            with pytest.raises(AlertNotFoundError, match="no alert has the id 'nope'"):
                await act("nope", **said)  # type: ignore[arg-type]  # by name
        with pytest.raises(AlertNotFoundError):
            await store.assign("nope", to="ada", **said)  # type: ignore[arg-type]  # by name
