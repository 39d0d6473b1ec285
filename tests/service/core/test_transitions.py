"""The table at the top of service/core/transitions.py, row by row."""

from datetime import timedelta

import pytest

from service.core.alerts import AlertRecord, AlertState, AlertStatus, EventType
from service.core.transitions import acknowledged, detected, resolved
from tests.builders import make_alert
from tests.clock import NOON

LATER = NOON + timedelta(hours=1)
FIRING, RESOLVED, WITHDRAWN = AlertStatus
OPENED, UPDATED = EventType.OPENED, EventType.UPDATED


def after(*steps: AlertStatus | str) -> AlertRecord:
    """The record after steps of detection, or of people ("acknowledge", "resolve")."""
    record: AlertRecord | None = None
    for version, step in enumerate(steps, 1):
        if step == "acknowledge":
            assert record is not None
            record = acknowledged(record, actor="ada", at=NOON)
        elif step == "resolve":
            assert record is not None
            record = resolved(record, actor="bob", at=NOON)
        else:
            change = detected(record, make_alert(version=version, status=AlertStatus(step)), at=NOON)
            assert change is not None
            record = change[1]
    assert record is not None
    return record


@pytest.mark.parametrize(
    ("steps", "status", "event", "state"),
    [
        ((), FIRING, EventType.OPENED, AlertState.FIRING),
        ((), RESOLVED, EventType.RESOLVED, AlertState.RESOLVED),
        ((), WITHDRAWN, EventType.WITHDRAWN, AlertState.WITHDRAWN),
        ((FIRING,), FIRING, EventType.UPDATED, AlertState.FIRING),
        ((FIRING,), RESOLVED, EventType.RESOLVED, AlertState.RESOLVED),
        ((FIRING,), WITHDRAWN, EventType.WITHDRAWN, AlertState.WITHDRAWN),
        ((FIRING, "acknowledge"), FIRING, EventType.UPDATED, AlertState.ACKNOWLEDGED),
        ((FIRING, "acknowledge"), RESOLVED, EventType.RESOLVED, AlertState.RESOLVED),
        ((FIRING, "acknowledge"), WITHDRAWN, EventType.WITHDRAWN, AlertState.WITHDRAWN),
        ((FIRING, RESOLVED), FIRING, EventType.REOPENED, AlertState.FIRING),
        ((FIRING, RESOLVED), RESOLVED, EventType.UPDATED, AlertState.RESOLVED),
        ((FIRING, RESOLVED), WITHDRAWN, EventType.WITHDRAWN, AlertState.WITHDRAWN),
        ((FIRING, "resolve"), FIRING, EventType.UPDATED, AlertState.RESOLVED),
        ((FIRING, "resolve"), RESOLVED, EventType.UPDATED, AlertState.RESOLVED),
        ((FIRING, "resolve"), WITHDRAWN, EventType.WITHDRAWN, AlertState.WITHDRAWN),
        ((FIRING, WITHDRAWN), FIRING, EventType.REOPENED, AlertState.FIRING),
        ((FIRING, WITHDRAWN), RESOLVED, EventType.RESOLVED, AlertState.RESOLVED),
        ((FIRING, WITHDRAWN), WITHDRAWN, EventType.UPDATED, AlertState.WITHDRAWN),
        ((FIRING, "resolve", WITHDRAWN), FIRING, EventType.RESOLVED, AlertState.RESOLVED),
        ((FIRING, "resolve", WITHDRAWN), RESOLVED, EventType.RESOLVED, AlertState.RESOLVED),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else str(value),
)
def test_detection_moves_an_alert(
    steps: tuple[AlertStatus | str, ...], status: AlertStatus, event: EventType, state: AlertState
) -> None:
    current = after(*steps) if steps else None
    change = detected(current, make_alert(version=9, status=status), at=LATER)
    assert change is not None
    assert (change[0], change[1].state, change[1].updated_at) == (event, state, LATER)
    assert change[1].created_at == (NOON if steps else LATER)


def test_an_old_version_moves_nothing() -> None:
    assert detected(after(FIRING), make_alert(version=1, status=RESOLVED), at=LATER) is None


def test_reopening_forgets_the_acknowledgement() -> None:
    record = after(FIRING, "acknowledge", RESOLVED, FIRING)
    assert (record.acknowledged_by, record.acknowledged_at, record.resolved_at) == (None, None, None)


def test_who_resolved_it_is_still_known_after_its_facts_came_back() -> None:
    record = after(FIRING, "resolve", WITHDRAWN, FIRING)
    assert (record.resolved_by, record.resolved_at) == ("bob", NOON)


@pytest.mark.parametrize(
    "steps",
    [(FIRING, "acknowledge"), (FIRING, RESOLVED), (FIRING, "resolve"), (FIRING, WITHDRAWN)],
    ids=["acknowledged", "resolved", "by hand", "withdrawn"],
)
def test_only_a_firing_alert_can_be_acknowledged(steps: tuple[AlertStatus | str, ...]) -> None:
    assert acknowledged(after(*steps), actor="eve", at=LATER) is None


def test_what_is_over_cannot_be_resolved() -> None:
    for steps in ((FIRING, RESOLVED), (FIRING, "resolve"), (FIRING, WITHDRAWN)):
        assert resolved(after(*steps), actor="eve", at=LATER) is None
    assert resolved(after(FIRING, "acknowledge"), actor="eve", at=LATER) is not None
