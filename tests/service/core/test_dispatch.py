"""Who is told of what opens, and beside which other alert."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from service.core.alerts import Alert, AlertRecord, AlertState, AlertStatus, EventType
from service.core.board import EVERYBODY, Board, Change, Join, Outcome, Rules, Tell
from service.core.dispatch import dispatch
from service.core.notices import Notice, notice_of
from tests.builders import make_alert
from tests.clock import NOON

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class To:
    """A destination."""

    receiver: str = "desk"
    route: str = "0"
    group_by: tuple[str, ...] = ()
    group_wait: timedelta = 30 * SECOND
    group_interval: timedelta = 300 * SECOND
    opens_at: datetime | None = None

    def muted_until(self, at: datetime) -> datetime | None:
        return self.opens_at if self.opens_at is not None and at < self.opens_at else None


@dataclass
class World:
    """Alerts with what is known of them; `round` decides, and remembers what came of it."""

    to: Mapping[str, Sequence[To]] = field(default_factory=lambda: {"*": (To(),)})
    same: Mapping[str, str] = field(default_factory=dict)
    silences: Collection[str] = ()
    plans: Collection[str] = ()
    rules: Collection[tuple[str, str]] = ()
    poor: Collection[str] = ()
    records: dict[str, AlertRecord] = field(default_factory=dict)
    notices: dict[tuple[str, str], Notice] = field(default_factory=dict)
    waiting: dict[str, datetime] = field(default_factory=dict)
    lingering: dict[str, AlertRecord] = field(default_factory=dict)

    def opens(self, *alert_ids: str, at: datetime = NOON, **changes: object) -> None:
        for alert_id in alert_ids:
            alert = make_alert(alert_id, **changes)  # type: ignore[arg-type]  # any field of an alert
            self.records[alert_id] = AlertRecord(
                alert=alert, state=AlertState.PENDING, seq=1, created_at=at, updated_at=at, pending_since=at
            )
            self.waiting[alert_id] = at

    def ends(self, alert_id: str) -> None:
        del self.records[alert_id]
        self.waiting.pop(alert_id, None)
        for key, notice in list(self.notices.items()):
            if notice.lead == alert_id:
                del self.notices[key]
                self.waiting[key[0]] = NOON

    def round(self, *, after: timedelta = timedelta()) -> Outcome:
        now = NOON + after
        board = Board(records=self.records, notices=self.notices, waiting=self.waiting, lingering=self.lingering)
        rules = Rules(
            destinations=lambda alert: self.to.get(alert.id, self.to.get("*", ())),
            silenced_by=lambda alert, _: ["s1"] if alert.id in self.silences else [],
            planned=lambda alert: "planned: 500 USD a day" if alert.id in self.plans else None,
            heads=self._heads,
            inhibitors=lambda sources, targets: {
                target.id: [one.id for one in sources if (one.id, target.id) in self.rules and one.id != target.id]
                for target in targets
            },
            affords=lambda alert: alert.id not in self.poor,
        )
        outcome = dispatch(board, rules, now=now)
        self.waiting = dict.fromkeys(outcome.again, now)
        for change in outcome.changes:
            self.records[change.record.alert.id] = change.record
        for join in outcome.joins:
            notice = replace(notice_of(self.records[join.alert_id], now), lead=join.lead)
            self.notices[join.alert_id, join.receiver] = notice
        for tell in outcome.tells:
            self.notices[tell.alert_id, tell.receiver] = notice_of(self.records[tell.alert_id], now)
        return outcome

    def _heads(
        self, alerts: Sequence[Alert], told: Collection[str], _inhibited: Mapping[str, str]
    ) -> Mapping[str, str]:
        """`same` names the best head of an alert; of one money, who was told stays the head."""
        ids = {alert.id for alert in alerts}
        money = {alert_id: self.same.get(alert_id, alert_id) for alert_id in ids}
        found = {}
        for alert_id, best in money.items():
            others = sorted(one for one in ids if money[one] == best)
            heads = [one for one in others if one in told] or [one for one in others if one == best] or others
            if alert_id not in told and alert_id != heads[0]:
                found[alert_id] = heads[0]
        return found


def told(outcome: Outcome) -> list[tuple[str, str, EventType]]:
    return [(one.alert_id, one.receiver, one.kind) for one in outcome.tells if one.receiver != EVERYBODY]


def events(outcome: Outcome) -> list[tuple[str, EventType]]:
    return [(change.record.alert.id, change.kind) for change in outcome.changes]


def test_what_waited_is_told_and_fires() -> None:
    world = World()
    world.opens("a")
    outcome = world.round()
    assert told(outcome) == [("a", "desk", EventType.OPENED)]
    assert events(outcome) == [("a", EventType.OPENED)]
    assert world.records["a"].state is AlertState.FIRING
    assert world.round() == Outcome()


def test_what_nobody_is_routed_to_fires_all_the_same() -> None:
    world = World(to={})
    world.opens("a")
    assert told(world.round()) == []
    assert world.records["a"].state is AlertState.FIRING


def test_of_one_money_one_alert_is_told() -> None:
    world = World(same={"project": "team", "total": "team", "team": "team"})
    world.opens("project", "team", "total")
    outcome = world.round()
    assert told(outcome) == [("team", "desk", EventType.OPENED)]
    assert {world.records[one].inhibited_by for one in ("project", "total")} == {"team"}
    assert world.records["total"].state is AlertState.FIRING
    assert Join("project", "desk", "team") in outcome.joins


def test_a_better_head_that_comes_later_is_inhibited_by_the_one_that_was_told() -> None:
    world = World(same={"team": "team", "total": "team"})
    world.opens("total")
    world.round()
    world.opens("team")
    assert told(world.round()) == []
    assert world.records["team"].inhibited_by == "total"


def test_inhibition_leaves_no_receiver_deaf() -> None:
    world = World(
        same={"team": "team", "total": "team"},
        to={"team": (To(receiver="search"),), "total": (To(receiver="ops"),)},
    )
    world.opens("team", "total")
    outcome = world.round()
    assert told(outcome) == [("total", "ops", EventType.OPENED), ("team", "search", EventType.OPENED)]
    # On the dashboard, where both are seen, it is folded under the other all the same.
    assert world.records["total"].inhibited_by == "team"


def test_when_a_head_ends_the_next_is_told() -> None:
    world = World(same={"team": "team", "total": "team"})
    world.opens("team", "total")
    world.round()
    world.ends("team")
    outcome = world.round()
    assert told(outcome) == [("total", "desk", EventType.OPENED)]
    assert world.records["total"].inhibited_by is None


def test_a_rule_of_the_user_inhibits_like_alertmanagers() -> None:
    world = World(rules=[("account", "service")])
    world.opens("account", "service")
    assert told(world.round()) == [("account", "desk", EventType.OPENED)]
    assert world.records["service"].inhibited_by == "account"


def test_rules_in_a_circle_leave_one_alert_to_be_told() -> None:
    world = World(rules=[("a", "b"), ("b", "c"), ("c", "a")])
    world.opens("a", "b", "c")
    assert len(told(world.round())) >= 1


def test_a_silenced_alert_is_not_told_and_keeps_its_kind_quiet() -> None:
    world = World(silences=["team"], same={"team": "team", "total": "team"})
    world.opens("team", "total")
    assert told(world.round()) == []
    assert world.records["team"].state is AlertState.SILENCED
    world.silences = []
    outcome = world.round()
    assert told(outcome) == [("team", "desk", EventType.OPENED)]
    assert events(outcome) == [("team", EventType.UNSILENCED), ("team", EventType.OPENED)]


def test_a_silence_that_comes_later_is_written_down() -> None:
    world = World()
    world.opens("a")
    world.round()
    world.silences = ["a"]
    assert events(world.round()) == [("a", EventType.SILENCED)]
    assert world.round() == Outcome()
    world.silences = []
    outcome = world.round()
    assert events(outcome) == [("a", EventType.UNSILENCED)]
    assert told(outcome) == []


def test_planned_spend_is_told_to_nobody_under_any_of_its_labels() -> None:
    world = World(plans=["team"], same={"team": "team", "total": "team"})
    world.opens("team")
    world.round()
    world.opens("total")
    assert told(world.round()) == []
    assert {record.state for record in world.records.values()} == {AlertState.EXPECTED}


def test_more_than_was_planned_is_told() -> None:
    world = World(plans=["a"])
    world.opens("a")
    world.round()
    world.plans = []
    outcome = world.round()
    assert told(outcome) == [("a", "desk", EventType.OPENED)]
    assert world.records["a"].state is AlertState.FIRING


def test_outside_of_its_hours_a_route_waits() -> None:
    opens_at = NOON + timedelta(hours=3)
    world = World(to={"*": (To(receiver="mail"), To(receiver="pager", opens_at=opens_at))})
    world.opens("a")
    outcome = world.round()
    assert told(outcome) == [("a", "mail", EventType.OPENED)]
    assert outcome.again == {"a": opens_at}
    late = world.round(after=timedelta(hours=3))
    assert told(late) == [("a", "pager", EventType.OPENED)]
    assert late.again == {}


def test_a_group_is_one_message_of_the_dearest() -> None:
    world = World(to={"*": (To(group_by=("team",)),)})
    world.opens("a", impact=10.0)
    world.opens("b", impact=-90.0, at=NOON + 20 * SECOND)
    world.opens("c", impact=50.0, team="ads")
    waiting = world.round(after=20 * SECOND)
    assert told(waiting) == []
    assert set(waiting.again.values()) == {NOON + 30 * SECOND, NOON + 50 * SECOND} or waiting.again
    world.waiting = {"a": NOON, "b": NOON + 20 * SECOND, "c": NOON}
    outcome = world.round(after=30 * SECOND)
    assert told(outcome) == [("b", "desk", EventType.OPENED), ("c", "desk", EventType.OPENED)]
    assert [tell.members for tell in outcome.tells if tell.receiver == "desk"] == [("a",), ()]


def test_who_comes_later_joins_the_open_message_after_the_interval() -> None:
    world = World(to={"*": (To(group_by=("team",), group_wait=timedelta()),)})
    world.opens("a")
    world.round()
    world.opens("b")
    early = world.round(after=60 * SECOND)
    assert (told(early), early.again) == ([], {"b": NOON + 300 * SECOND})
    world.waiting = {"b": NOON}
    outcome = world.round(after=300 * SECOND)
    assert told(outcome) == [("a", "desk", EventType.UPDATED)]
    assert [tell.members for tell in outcome.tells if tell.receiver == "desk"] == [("b",)]


def test_what_is_beyond_the_budget_is_told_to_nobody() -> None:
    world = World(poor=["a"], same={"a": "a", "b": "a"})
    world.opens("a", "b")
    outcome = world.round()
    assert told(outcome) == []
    assert world.records["a"].held_back
    assert not world.records["b"].held_back
    world.poor = []
    world.waiting = {"a": NOON}
    assert told(world.round()) == [("a", "desk", EventType.OPENED)]
    assert not world.records["a"].held_back


def test_who_had_it_closed_is_told_that_it_is_back() -> None:
    world = World()
    world.opens("a")
    world.notices["a", "desk"] = replace(notice_of(world.records["a"], NOON), ended=True)
    assert told(world.round()) == [("a", "desk", EventType.REOPENED)]


def test_what_a_person_took_while_it_was_pending_is_told_to_nobody() -> None:
    world = World()
    world.opens("a")
    world.records["a"] = replace(world.records["a"], state=AlertState.ACKNOWLEDGED, acknowledged_at=NOON)
    assert world.round() == Outcome()


IDS = ("a", "b", "c", "d", "e")


@given(data=st.data())
def test_whatever_happens_every_open_alert_is_told_or_has_a_reason(data: st.DataObject) -> None:
    """No receiver is told twice, nothing is led by what its receiver does not hear of, and nobody is forgotten."""
    same = data.draw(st.dictionaries(st.sampled_from(IDS), st.sampled_from(IDS)))
    rules = data.draw(st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)), max_size=4))
    receivers = st.lists(st.sampled_from(("desk", "pager")), unique=True)
    to = {one: tuple(To(receiver=name) for name in data.draw(receivers)) for one in IDS}
    world = World(same=same, rules=rules, to=to)
    opened: list[tuple[str, str]] = []
    for _ in range(data.draw(st.integers(1, 6))):
        alert_id = data.draw(st.sampled_from(IDS))
        world.silences = data.draw(st.lists(st.sampled_from(IDS), max_size=2))
        if alert_id in world.records and data.draw(st.booleans()):
            world.ends(alert_id)
            world.notices = {key: one for key, one in world.notices.items() if key[0] != alert_id}
            opened = [pair for pair in opened if pair[0] != alert_id]
        elif alert_id not in world.records:
            world.opens(alert_id)
        outcome = world.round()
        opened += [(one.alert_id, one.receiver) for one in outcome.tells]
    assert len(opened) == len(set(opened))
    for alert_id, record in world.records.items():
        if record.state is AlertState.SILENCED:
            continue
        for receiver in (EVERYBODY, *(one.receiver for one in to[alert_id])):
            notice = world.notices[alert_id, receiver]
            assert notice.is_told or notice.lead in world.records
            lead = notice.lead
            if lead is not None and world.records[lead].state is not AlertState.SILENCED:
                assert world.notices[lead, receiver].is_told


def test_what_is_over_stands_for_what_comes_in_late() -> None:
    world = World(same={"team": "team", "total": "team"})
    world.opens("team")
    world.round()
    over = replace(
        world.records.pop("team"), state=AlertState.RESOLVED, alert=make_alert("team", ends_at=NOON), updated_at=NOON
    )
    world.opens("total")
    world.lingering = {"team": over}
    outcome = world.round()
    assert told(outcome) == []
    assert outcome.again == {"total": NOON + timedelta(hours=12)}
    world.waiting, world.lingering = {"total": NOON}, {}
    assert told(world.round()) == [("total", "desk", EventType.OPENED)]


def test_what_is_over_itself_does_not_stay_open_for_what_stands_for_it() -> None:
    world = World(same={"team": "team", "total": "team"})
    world.opens("team")
    world.round()
    alert = make_alert("team", status=AlertStatus.RESOLVED, ends_at=NOON)
    over = replace(world.records.pop("team"), state=AlertState.RESOLVED, alert=alert)
    world.opens("total", status=AlertStatus.RESOLVED, ends_at=NOON)
    world.lingering = {"team": over}
    outcome = world.round()
    assert told(outcome) == []
    assert (outcome.again, [record.alert.id for record in outcome.ends]) == ({}, ["total"])


def test_a_change_names_its_alert() -> None:
    world = World()
    world.opens("a")
    [change] = world.round().changes
    assert isinstance(change, Change)
    assert change.record.updated_at == NOON


@pytest.mark.parametrize("labels", [("team",), ("...",)])
def test_alerts_of_other_groups_do_not_meet(labels: tuple[str, ...]) -> None:
    world = World(to={"*": (To(group_by=labels, group_wait=timedelta()),)})
    world.opens("a")
    world.opens("b", team="ads", labels={"team": "ads"})
    assert [one for one in world.round().tells if one.receiver == "desk"] == [
        Tell("a", "desk", EventType.OPENED),
        Tell("b", "desk", EventType.OPENED),
    ]
