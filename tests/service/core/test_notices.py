"""Which events are worth a message, and to whom; the store's contract tests the same with a history."""

import pytest
from msgspec.structs import replace

from service.core.alerts import Alert, AlertRecord, AlertState, EventType, Severity
from service.core.notices import Notice, to_tell
from tests.builders import make_alert
from tests.clock import NOON

TOLD = {"desk": Notice(severity=Severity.MEDIUM, impact=100.0)}

_ENDS = [EventType.ACKNOWLEDGED, EventType.RESOLVED, EventType.EXPECTED, EventType.WITHDRAWN]


def tell(
    event: EventType,
    *,
    told: dict[str, Notice] = TOLD,
    state: AlertState = AlertState.FIRING,
    resolved_by: str | None = None,
    pending: bool = False,
    silenced_by: tuple[str, ...] = (),
    routed: tuple[str, ...] = ("desk", "pager"),
    routed_before: tuple[str, ...] | None = None,
    **changes: object,
) -> list[str]:
    before = make_alert()
    after = replace(make_alert(version=2), **{"impact": 100.0, **changes})
    record = AlertRecord(
        alert=after,
        state=state,
        seq=2,
        created_at=NOON,
        updated_at=NOON,
        resolved_by=resolved_by,
        silenced_by=silenced_by,
        pending_since=NOON if pending else None,
    )

    def routes(alert: Alert) -> tuple[str, ...]:
        return routed if alert.version == 2 or routed_before is None else routed_before

    return to_tell(event, record, before=before, told=told, routes=routes)


@pytest.mark.parametrize("event", [EventType.OPENED, EventType.REOPENED])
def test_an_opening_is_told_to_all_that_match_and_all_that_were_told(event: EventType) -> None:
    assert tell(event, routed=("pager",)) == ["pager", "desk"]
    assert tell(event, told={}) == ["desk", "pager"]


@pytest.mark.parametrize("event", _ENDS)
def test_an_end_is_told_to_those_who_know_of_the_beginning(event: EventType) -> None:
    assert tell(event, routed=()) == ["desk"]
    assert tell(event, told={}) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"impact": 199.9}, []),
        ({"impact": 200.0}, ["desk"]),
        ({"impact": -200.0}, ["desk"]),
        ({"severity": Severity.HIGH}, ["desk"]),
        ({"severity": Severity.LOW}, []),
        ({"severity": Severity.LOW, "impact": 250.0}, ["desk"]),
    ],
)
def test_an_update_is_told_when_it_has_grown(changes: dict[str, object], expected: list[str]) -> None:
    assert tell(EventType.UPDATED, **changes) == expected  # type: ignore[arg-type]  # fields of an alert


def test_an_impact_of_nothing_is_not_twice_nothing() -> None:
    told = {"desk": Notice(severity=Severity.MEDIUM, impact=0.0)}
    assert tell(EventType.UPDATED, told=told, impact=0.0) == []
    assert tell(EventType.UPDATED, told=told, impact=0.5) == ["desk"]


def test_a_route_that_begins_to_match_hears_of_it_while_it_is_open() -> None:
    assert tell(EventType.UPDATED, routed_before=("desk",)) == ["pager"]
    assert tell(EventType.UPDATED, routed_before=("desk", "pager")) == []
    assert tell(EventType.UPDATED, routed_before=("desk",), state=AlertState.RESOLVED) == []


@pytest.mark.parametrize(
    ("state", "resolved_by"), [(AlertState.WITHDRAWN, None), (AlertState.RESOLVED, "ada")], ids=["withdrawn", "by hand"]
)
def test_what_people_or_restated_bills_closed_stays_quiet(state: AlertState, resolved_by: str | None) -> None:
    told = tell(EventType.UPDATED, state=state, resolved_by=resolved_by, impact=1e6, severity=Severity.CRITICAL)
    assert told == []


def test_the_bill_may_still_double_what_detection_resolved() -> None:
    assert tell(EventType.UPDATED, state=AlertState.RESOLVED, impact=200.0) == ["desk"]


@pytest.mark.parametrize("event", _ENDS)
def test_what_happens_while_it_is_pending_again_is_heard_of_by_nobody(event: EventType) -> None:
    assert tell(event, pending=True) == []


@pytest.mark.parametrize(("pending", "silenced_by"), [(True, ()), (False, ("s1",))], ids=["pending", "silenced"])
def test_growth_is_no_news_while_it_is_pending_or_silenced(pending: bool, silenced_by: tuple[str, ...]) -> None:
    told = tell(
        EventType.UPDATED,
        pending=pending,
        silenced_by=silenced_by,
        routed_before=("desk",),
        impact=1e6,
        severity=Severity.CRITICAL,
    )
    assert told == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [(AlertState.FIRING, ["desk"]), (AlertState.SILENCED, []), (AlertState.PENDING, [])],
)
def test_that_nobody_looks_after_it_any_more_is_told_to_those_who_know_of_it(
    state: AlertState, expected: list[str]
) -> None:
    assert tell(EventType.ACK_EXPIRED, state=state) == expected


@pytest.mark.parametrize(
    "event",
    [
        EventType.PENDING,
        EventType.ASSIGNED,
        EventType.COMMENTED,
        EventType.SILENCED,
        EventType.UNSILENCED,
        EventType.INHIBITED,
        EventType.FEEDBACK,
    ],
)
def test_what_only_matters_to_us_is_told_to_nobody(event: EventType) -> None:
    assert tell(event) == []
