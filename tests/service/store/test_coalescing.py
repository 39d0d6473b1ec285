"""Which of an alert's waiting messages is sent where the newest says all."""

import pytest

from service.core.alerts import EventType
from service.store.coalescing import Plan, Row, plan
from tests.builders import make_event

N, U, A, R, B = (
    EventType.OPENED,
    EventType.UPDATED,
    EventType.ACKNOWLEDGED,
    EventType.RESOLVED,
    EventType.REOPENED,
)
P, D, X, S = "pending", "delivered", "dead", "superseded"


def rows(*states: tuple[EventType, str]) -> list[Row]:
    return [Row(str(seq), seq, state, event) for seq, (event, state) in enumerate(states)]


@pytest.mark.parametrize(
    ("states", "send", "says", "superseded"),
    [
        pytest.param([(N, P)], 0, 0, [], id="the opening alone"),
        pytest.param([(N, P), (U, P), (R, P)], 0, 0, [], id="the opening goes first, as it is"),
        pytest.param([(N, D), (U, P), (A, P), (U, P)], 3, 3, [1, 2], id="then the newest"),
        pytest.param([(N, D), (U, D), (A, P)], 2, 2, [], id="the only one"),
        pytest.param([(N, D), (R, P), (B, P), (U, P)], 1, 1, [], id="not across a reopening"),
        pytest.param([(N, D), (R, D), (B, P), (U, P)], 2, 2, [], id="a reopening is an opening"),
        pytest.param([(N, X), (U, P), (R, P)], 2, 2, [1], id="after an opening that was given up"),
        pytest.param([(N, P), (R, D)], 0, 1, [], id="a revived opening says the end"),
        pytest.param([(N, P), (U, D), (R, P)], 2, 2, [0], id="a revived opening is needless beside a newer message"),
        pytest.param([(N, D), (U, P), (R, X)], 1, 2, [], id="a revived update says the end"),
        pytest.param([(N, D), (U, S), (R, P)], 2, 2, [], id="what was superseded is past"),
    ],
)
def test_what_is_sent(states: list[tuple[EventType, str]], send: int, says: int, superseded: list[int]) -> None:
    assert plan(rows(*states))[:4] == Plan(str(send), says, tuple(map(str, superseded)), None)[:4]


@pytest.mark.parametrize(
    ("states", "newest", "told"),
    [
        pytest.param([(N, D), (R, D), (B, P), (A, D)], A, B, id="though it was acknowledged since"),
        pytest.param([(N, D), (R, D), (B, P), (A, D), (U, P)], U, B, id="though another message waits"),
        pytest.param([(N, D), (R, D), (B, P), (R, D)], R, R, id="unless it is over by now"),
        pytest.param([(N, D), (R, D), (B, D), (U, P)], U, U, id="only once"),
    ],
)
def test_what_is_to_open_it_again_does_so(
    states: list[tuple[EventType, str]], newest: EventType, told: EventType
) -> None:
    assert plan(rows(*states)).tells(make_event(newest)).type is told


def test_the_newest_name_of_the_other_side_counts() -> None:
    first, second, third = rows((N, D), (A, D), (R, P))
    known = [first._replace(remote_id="INC-1"), second._replace(remote_id="INC-2"), third]
    assert plan(known).remote_id == "INC-2"
