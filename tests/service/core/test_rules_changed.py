"""A worker that starts again with other policies: what is open is judged by these."""

import pytest

from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.engine import Engine
from service.settings import Policy
from tests.service.core.support import Feed, make_book, make_engine
from tests.service.core.test_engine import QUIET

BEFORE = Policy(detector="trailing", floor=20.0)


def with_spike() -> Feed:
    feed = Feed(make_engine(BEFORE))
    feed.days([*QUIET, 160.0])
    return feed


def restarted(feed: Feed, policy: Policy, **options: int) -> tuple[Engine, list[Alert]]:
    engine = make_engine(policy, **options)
    for key, snapshot in feed.engine.freeze():
        engine.restore(key, snapshot)
    engine.apply([])
    return engine, engine.take_alerts()


def test_by_the_same_policy_nothing_is_judged_again() -> None:
    feed = with_spike()
    assert [alert.status for alert in feed.alerts] == [AlertStatus.FIRING]
    engine, alerts = restarted(feed, BEFORE)
    assert (alerts, engine.stats.refolds, engine.stats.judged_anew) == ([], 0, 0)


@pytest.mark.parametrize("changes", [{"floor": 100.0}, {"spike_after": 3}], ids=["floor", "more in a row"])
def test_an_alert_that_is_none_by_the_new_policy_is_taken_back(changes: dict[str, object]) -> None:
    feed = with_spike()
    # Closed, so that it stands in the ring; what is still open is judged with its next fact anyway.
    feed.complete(11)
    [told] = [alert for alert in feed.alerts[-1:] if alert.status is AlertStatus.FIRING]
    _, [alert] = restarted(feed, BEFORE.model_copy(update=changes))
    assert (alert.id, alert.status, alert.version) == (told.id, AlertStatus.WITHDRAWN, told.version + 1)
    assert alert.reason.startswith("Withdrawn: by the policy of now team=search is not unusual")


def test_what_was_below_the_floor_and_is_above_the_new_one_is_told() -> None:
    feed = Feed(make_engine(BEFORE.model_copy(update={"floor": 100.0})))
    feed.days([*QUIET, 160.0])
    feed.complete(11)
    assert feed.alerts == []
    _, [alert] = restarted(feed, BEFORE)
    assert (alert.kind, alert.status) == (AlertKind.SPIKE, AlertStatus.FIRING)


def test_it_is_judged_anew_once_and_a_few_series_a_turn() -> None:
    feed = with_spike()
    feed.complete(11)
    after = BEFORE.model_copy(update={"floor": 100.0})
    engine, alerts = restarted(feed, after, close_limit=0)
    assert alerts == []
    assert engine.advance(10) == 0
    assert [alert.status for alert in engine.take_alerts()] == [AlertStatus.WITHDRAWN]
    again = Engine(policies=make_book(after))
    for key, snapshot in engine.freeze():
        again.restore(key, snapshot)
    again.apply([])
    assert (again.take_alerts(), again.stats.judged_anew) == ([], 0)
