"""The tables at the top of service/core/transitions.py, row by row, and that no order of words breaks a record."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.facts import FeedbackVerdict
from service.core import transitions
from service.core.alerts import AlertRecord, AlertState, AlertStatus, EventType
from service.core.transitions import detected
from tests.builders import make_alert
from tests.clock import NOON

HOUR = timedelta(hours=1)
LATER = NOON + HOUR
PENDING, FIRING, ACKNOWLEDGED, SILENCED, RESOLVED, EXPECTED, WITHDRAWN = AlertState

Step = Callable[[AlertRecord | None, datetime], AlertRecord | None]
"""What makes another record of one; None where it changes nothing."""


def says(status: AlertStatus, *, feedback: FeedbackVerdict | None = None, pending: bool = False) -> Step:
    def step(current: AlertRecord | None, at: datetime) -> AlertRecord | None:
        version = 1 if current is None else current.alert.version + 1
        alert = make_alert(version=version, status=status, feedback=feedback)
        change = detected(current, alert, at=at, pending=pending)
        return None if change is None else change[1]

    return step


def word(move: Callable[..., AlertRecord | None], **arguments: object) -> Step:
    def step(current: AlertRecord | None, at: datetime) -> AlertRecord | None:
        return None if current is None else move(current, at=at, **arguments)

    return step


def open_it(current: AlertRecord | None, at: datetime) -> AlertRecord | None:
    change = None if current is None else transitions.opened(current, at=at)
    return None if change is None else change[1]


def acknowledge_an_hour(current: AlertRecord | None, at: datetime) -> AlertRecord | None:
    return None if current is None else transitions.acknowledged(current, actor="ada", at=at, until=at + HOUR)


STEPS: dict[str, Step] = {
    "fires": says(AlertStatus.FIRING),
    "fires, pending": says(AlertStatus.FIRING, pending=True),
    "ends": says(AlertStatus.RESOLVED),
    "ends, expected": says(AlertStatus.RESOLVED, feedback=FeedbackVerdict.EXPECTED),
    "is withdrawn": says(AlertStatus.WITHDRAWN),
    "opened": open_it,
    "acknowledged": word(transitions.acknowledged, actor="ada"),
    "acknowledged for an hour": acknowledge_an_hour,
    "ended": word(transitions.ended),
    "acknowledgement over": word(transitions.acknowledgement_over),
    "silenced": word(transitions.silenced, by=("s1",)),
    "unsilenced": word(transitions.silenced, by=()),
    "inhibited": word(transitions.inhibited, by="head"),
    "freed": word(transitions.inhibited, by=None),
    "assigned": word(transitions.assigned, actor="ada", to="bob"),
    "commented": word(transitions.commented, actor="ada"),
    "resolved": word(transitions.resolved, actor="bob"),
    "planned": word(transitions.expected, actor="plan:p1"),
    "reopened": word(transitions.reopened, actor="ada"),
}

WAYS = {
    "pending": ("fires, pending",),
    "firing": ("fires",),
    "acknowledged": ("fires", "acknowledged"),
    "acknowledged for an hour": ("fires", "acknowledged for an hour"),
    "acknowledged while pending": ("fires, pending", "acknowledged for an hour"),
    "acknowledged while silenced": ("fires", "silenced", "acknowledged for an hour"),
    "silenced": ("fires", "silenced"),
    "silenced while pending": ("fires, pending", "silenced"),
    "silenced while acknowledged": ("fires", "acknowledged", "silenced"),
    "resolved": ("fires", "ends"),
    "resolved while pending": ("fires, pending", "ends", "ended"),
    "resolved by a person": ("fires", "resolved"),
    "resolved by a person, ended": ("fires", "resolved", "ends"),
    "expected": ("fires", "ends, expected"),
    "expected by a plan": ("fires", "planned"),
    "expected by a plan, ended": ("fires", "planned", "ends"),
    "withdrawn": ("fires", "is withdrawn"),
    "resolved by a person, withdrawn": ("fires", "resolved", "is withdrawn"),
    "expected by a plan, withdrawn": ("fires", "planned", "is withdrawn"),
}
"""A way into every state there is, and into those that only differ by how they came about."""


def after(steps: Sequence[str], *, at: datetime = NOON) -> AlertRecord:
    record: AlertRecord | None = None
    for step in steps:
        record = STEPS[step](record, at)
        assert record is not None, step
    assert record is not None
    return record


DETECTION_SAYS = ("fires", "ends", "ends, expected", "is withdrawn")
DETECTED = {
    "pending": ("updated pending", "updated pending", "expected expected", "withdrawn withdrawn"),
    "firing": ("updated firing", "resolved resolved", "expected expected", "withdrawn withdrawn"),
    "acknowledged": ("updated acknowledged", "resolved resolved", "expected expected", "withdrawn withdrawn"),
    "silenced": ("updated silenced", "resolved resolved", "expected expected", "withdrawn withdrawn"),
    "resolved": ("reopened firing", "updated resolved", "updated expected", "withdrawn withdrawn"),
    "resolved while pending": ("opened firing", "updated resolved", "updated expected", "withdrawn withdrawn"),
    "resolved by a person": ("updated resolved", "updated resolved", "updated expected", "withdrawn withdrawn"),
    "resolved by a person, ended": ("updated resolved", "updated resolved", "updated expected", "withdrawn withdrawn"),
    "expected": ("reopened firing", "updated resolved", "updated expected", "withdrawn withdrawn"),
    "expected by a plan": ("updated expected", "updated expected", "updated expected", "withdrawn withdrawn"),
    "expected by a plan, ended": ("updated expected", "updated expected", "updated expected", "withdrawn withdrawn"),
    "withdrawn": ("reopened firing", "resolved resolved", "expected expected", "updated withdrawn"),
    "resolved by a person, withdrawn": (
        "resolved resolved",
        "resolved resolved",
        "expected expected",
        "updated withdrawn",
    ),
    "expected by a plan, withdrawn": ("reopened firing", "resolved resolved", "expected expected", "updated withdrawn"),
}
"""State -> event and state after each of DETECTION_SAYS."""

WORDS = (
    "opened",
    "acknowledged",
    "acknowledged for an hour",
    "acknowledgement over",
    "silenced",
    "unsilenced",
    "inhibited",
    "assigned",
    "commented",
    "resolved",
    "planned",
    "reopened",
)
_ENDS = {"resolved": "resolved", "planned": "expected"}
_NOTES = ("assigned", "commented")
_SAID = {
    "pending": {"opened": "firing", "acknowledged": "acknowledged", "silenced": "silenced"},
    "firing": {"acknowledged": "acknowledged", "silenced": "silenced"},
    "acknowledged": {"acknowledged for an hour": "acknowledged", "silenced": "acknowledged"},
    "acknowledged for an hour": {
        "acknowledged": "acknowledged",
        "acknowledged for an hour": "acknowledged",
        "acknowledgement over": "firing",
        "silenced": "acknowledged",
    },
    "acknowledged while pending": {
        "acknowledged": "acknowledged",
        "acknowledged for an hour": "acknowledged",
        "acknowledgement over": "pending",
        "silenced": "acknowledged",
    },
    "acknowledged while silenced": {
        "acknowledged": "acknowledged",
        "acknowledged for an hour": "acknowledged",
        "acknowledgement over": "silenced",
        "unsilenced": "acknowledged",
    },
    "silenced": {"acknowledged": "acknowledged", "unsilenced": "firing"},
    "silenced while pending": {"acknowledged": "acknowledged", "unsilenced": "pending"},
    "silenced while acknowledged": {"acknowledged for an hour": "acknowledged", "unsilenced": "acknowledged"},
    "resolved by a person": {"reopened": "firing"},
    "expected by a plan": {"reopened": "firing"},
}
"""State -> what each word makes of it, beyond what goes for all that are open; what is left out changes nothing."""


@pytest.mark.parametrize(
    ("way", "said", "expected"),
    [(way, said, row[place]) for way, row in DETECTED.items() for place, said in enumerate(DETECTION_SAYS)],
)
def test_detection_moves_an_alert(way: str, said: str, expected: str) -> None:
    current = after(WAYS[way])
    status = {"fires": AlertStatus.FIRING, "is withdrawn": AlertStatus.WITHDRAWN}.get(said, AlertStatus.RESOLVED)
    feedback = FeedbackVerdict.EXPECTED if said == "ends, expected" else None
    change = detected(current, make_alert(version=9, status=status, feedback=feedback), at=LATER)
    assert change is not None
    assert f"{change[0]} {change[1].state}" == expected
    assert (change[1].created_at, change[1].updated_at) == (NOON, LATER)
    assert change[1].alert.version == 9


@pytest.mark.parametrize(("way", "said"), [(way, said) for way in WAYS for said in WORDS])
def test_what_others_say_moves_an_alert(way: str, said: str) -> None:
    current = after(WAYS[way])
    record = STEPS[said](current, LATER)
    state = current.state.value
    expected = _SAID.get(way, {}).get(said)
    if said in _NOTES or (said == "inhibited" and not current.state.is_over):
        expected = state
    elif said in _ENDS and not current.state.is_over:
        expected = _ENDS[said]
    elif said == "acknowledged for an hour" and not current.state.is_over:
        expected = "acknowledged"
    assert (None if record is None else record.state.value) == expected
    assert record is None or record.updated_at == LATER


@pytest.mark.parametrize(
    ("status", "pending", "expected"),
    [
        (AlertStatus.FIRING, False, "opened firing"),
        (AlertStatus.FIRING, True, "pending pending"),
        (AlertStatus.RESOLVED, False, "resolved resolved"),
        (AlertStatus.RESOLVED, True, "resolved resolved"),
        (AlertStatus.WITHDRAWN, False, "withdrawn withdrawn"),
        (AlertStatus.WITHDRAWN, True, "withdrawn withdrawn"),
    ],
)
def test_an_alert_begins(status: AlertStatus, pending: bool, expected: str) -> None:
    change = detected(None, make_alert(status=status), at=LATER, pending=pending)
    assert change is not None
    assert f"{change[0]} {change[1].state}" == expected
    assert (change[1].created_at, change[1].updated_at) == (LATER, LATER)
    assert change[1].pending_since == (LATER if change[1].state is PENDING else None)


@pytest.mark.parametrize("way", ["resolved", "expected", "withdrawn", "expected by a plan, withdrawn"])
def test_what_comes_back_may_wait_as_pending(way: str) -> None:
    change = detected(after(WAYS[way]), make_alert(version=9), at=LATER, pending=True)
    assert change is not None
    assert (change[0], change[1].state) == (EventType.PENDING, PENDING)


def test_people_hear_of_an_alert_that_was_open_before_as_reopened() -> None:
    new, back = after(("fires, pending",)), after(("fires, pending", "opened", "ends", "fires, pending"))
    kinds = [change[0] for record in (new, back) if (change := transitions.opened(record, at=LATER)) is not None]
    assert kinds == [EventType.OPENED, EventType.REOPENED]
    assert back.reopened_at == NOON


def test_what_ended_while_pending_opens_as_new_when_it_is_back() -> None:
    back = after(("fires, pending", "ends", "fires, pending"))
    change = transitions.opened(back, at=LATER)
    assert change is not None
    assert (change[0], change[1].state, change[1].pending_since) == (EventType.OPENED, FIRING, None)


def test_an_old_version_moves_nothing() -> None:
    assert detected(after(("fires",)), make_alert(version=1, status=AlertStatus.RESOLVED), at=LATER) is None


def test_reopening_forgets_what_was_said_of_it_before_but_not_whose_it_is() -> None:
    record = after(("fires", "assigned", "silenced", "inhibited", "acknowledged for an hour", "ends", "fires"))
    assert record.state is FIRING
    assert (record.acknowledged_by, record.acknowledged_at, record.acknowledged_until) == (None, None, None)
    assert (record.resolved_at, record.silenced_by, record.inhibited_by) == (None, (), None)
    assert record.assigned_to == "bob"


def test_who_acknowledged_it_is_known_after_its_end_and_that_it_ends_is_not() -> None:
    record = after(("fires", "acknowledged for an hour", "ends"))
    assert (record.acknowledged_by, record.acknowledged_until) == ("ada", None)


def test_who_resolved_it_is_still_known_after_its_facts_came_back() -> None:
    current = after(("fires", "resolved", "is withdrawn"))
    change = detected(current, make_alert(version=9), at=LATER)
    assert change is not None
    assert (change[1].resolved_by, change[1].resolved_at) == ("bob", NOON)


def test_an_acknowledgement_ends_when_its_time_has_come_and_not_before() -> None:
    record = after(("fires", "acknowledged for an hour"))
    assert transitions.acknowledgement_over(record, at=LATER - timedelta(microseconds=1)) is None
    over = transitions.acknowledgement_over(record, at=LATER)
    assert over is not None
    assert (over.state, over.acknowledged_by, over.acknowledged_until) == (FIRING, None, None)


def test_an_acknowledgement_that_would_be_over_is_none() -> None:
    assert transitions.acknowledged(after(("fires",)), actor="ada", at=LATER, until=LATER) is None


def test_acknowledging_the_same_again_changes_nothing() -> None:
    record = after(("fires", "acknowledged"))
    assert transitions.acknowledged(record, actor="eve", at=LATER) is None


def test_other_silences_are_a_change_and_the_same_are_none() -> None:
    record = after(("fires", "silenced"))
    assert transitions.silenced(record, by=("s1",), at=LATER) is None
    more = transitions.silenced(record, by=("s1", "s2"), at=LATER)
    assert more is not None
    assert (more.state, more.silenced_by) == (SILENCED, ("s1", "s2"))


@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 90)), max_size=25))
def test_no_order_of_words_raises_or_leaves_an_impossible_record(steps: list[tuple[str, int]]) -> None:
    record: AlertRecord | None = None
    at = NOON
    for step, minutes in steps:
        at += timedelta(minutes=minutes)
        record = STEPS[step](record, at) or record
        if record is not None:
            assert faults(record) == []


def faults(record: AlertRecord) -> list[str]:
    """What cannot be, each as the rule that it breaks."""
    state, is_open = record.state, not record.state.is_over
    fires = record.alert.status is AlertStatus.FIRING
    # It has ended while it was pending; the dispatch, which tells of it or does not, ends it.
    unheard = record.alert.status is AlertStatus.RESOLVED
    rules = {
        "what detection sees and nobody ended is open": is_open or not fires or record.resolved_by is not None,
        "open is what detection sees and nobody ended": not is_open
        or (fires and record.resolved_by is None)
        or unheard,
        "open has no end": not is_open or record.resolved_at is None,
        "over has one": state not in (RESOLVED, EXPECTED) or record.resolved_at is not None,
        "withdrawn is what detection withdrew": (state is WITHDRAWN) == (record.alert.status is AlertStatus.WITHDRAWN),
        "acknowledged has a name": (record.acknowledged_at is None) == (record.acknowledged_by is None),
        "acknowledged comes first": not is_open or (state is ACKNOWLEDGED) == (record.acknowledged_at is not None),
        "an acknowledgement ends only while there is one": record.acknowledged_until is None or state is ACKNOWLEDGED,
        "silenced is by something": state is not SILENCED or bool(record.silenced_by),
        "silenced comes second": not record.silenced_by or state not in (FIRING, PENDING),
        "pending waits": state is not PENDING or record.pending_since is not None,
        "firing does not": state is not FIRING or record.pending_since is None,
        "a life ends after it began": record.created_at <= record.updated_at,
    }
    return [rule for rule, holds in rules.items() if not holds]
