"""What a person says of an alert changes its series at once, and is kept."""

import msgspec
import pytest

from connectors.facts import Fact, Feedback, FeedbackVerdict, encode, key_of
from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.engine import Engine
from service.core.feedback import feedback_of
from service.core.rejects import RejectReason
from service.settings import Policy
from tests.service.core.support import Feed, Record, make_engine, make_fact, standing

EXPECTED, FALSE_ALARM, NEW_NORMAL = FeedbackVerdict


def said_of(alert: Alert, verdict: FeedbackVerdict, *, revision: int = 1) -> Feedback:
    return feedback_of(alert, verdict, revision=revision)


def tell(feed: Feed, feedback: Feedback) -> list[Alert]:
    feed.offset += 1
    feed.engine.apply([Record(offset=feed.offset, key=key_of(feedback), value=encode(feedback))])
    raised = feed.engine.take_alerts()
    feed.alerts += raised
    return raised


def alarmed(values: list[float]) -> tuple[Feed, Alert]:
    feed = Feed(make_engine(Policy(accept_after=7, floor=1.0)))
    feed.days([*[100.0] * 10, *values])
    (alert,) = standing(feed.alerts).values()
    return feed, alert


@pytest.mark.parametrize("values", [[300.0], [300.0, 300.0]], ids=["still-open", "closed"])
def test_new_normal_ends_the_alert_and_judges_by_the_new_level(values: list[float]) -> None:
    feed, alert = alarmed(values)
    (after,) = tell(feed, said_of(alert, NEW_NORMAL))
    assert (after.id, after.status, after.feedback) == (alert.id, AlertStatus.RESOLVED, NEW_NORMAL)
    feed.days([300.0] * 5, start=10 + len(values))
    (last,) = standing(feed.alerts).values()
    assert (last.status, last.buckets) == (AlertStatus.RESOLVED, len(values))
    assert last.reason.endswith("taken as the new normal")


def test_expected_ends_the_alert_and_teaches_nothing() -> None:
    feed, alert = alarmed([300.0])
    (after,) = tell(feed, said_of(alert, EXPECTED))
    assert (after.status, after.feedback) == (AlertStatus.RESOLVED, EXPECTED)
    assert after.reason.endswith("said to be expected")
    feed.days([300.0, 100.0, 100.0, 300.0], start=11)
    first, second = sorted(standing(feed.alerts).values(), key=lambda alert: alert.starts_at)
    assert (first.id, first.status, first.buckets) == (alert.id, AlertStatus.RESOLVED, 2)
    assert (second.status, second.feedback, second.expected) == (AlertStatus.FIRING, None, 100.0)


def test_a_false_alarm_is_withdrawn_and_the_like_of_it_raises_nothing() -> None:
    feed, alert = alarmed([180.0])
    (after,) = tell(feed, said_of(alert, FALSE_ALARM))
    assert (after.id, after.status, after.feedback) == (alert.id, AlertStatus.WITHDRAWN, FALSE_ALARM)
    assert "said to be a false alarm" in after.reason
    feed.days([100.0, 100.0, 180.0, 100.0, 100.0], start=11)
    assert list(standing(feed.alerts)) == [alert.id]
    feed.days([400.0], start=16)
    assert len(standing(feed.alerts)) == 2


def test_it_says_nothing_of_the_other_direction() -> None:
    feed, alert = alarmed([180.0])
    tell(feed, said_of(alert, FALSE_ALARM))
    feed.days([100.0, 30.0, 30.0, 100.0], start=11)
    assert {alert.kind for alert in standing(feed.alerts).values()} == {AlertKind.SPIKE, AlertKind.DROP}


@pytest.mark.parametrize("verdict", FeedbackVerdict)
def test_it_is_part_of_the_snapshot(verdict: FeedbackVerdict) -> None:
    feed, alert = alarmed([300.0, 300.0])
    tell(feed, said_of(alert, verdict))
    again = make_engine(Policy(accept_after=7, floor=1.0))
    for key, snapshot in feed.engine.freeze():
        again.restore(key, snapshot)
    restored = Feed(again, offset=feed.offset)
    rest = [300.0, 300.0, 100.0, 300.0]
    assert restored.days(rest, start=12) == feed.days(rest, start=12)
    assert again.digest() == feed.engine.digest()


@pytest.mark.parametrize("verdict", FeedbackVerdict)
def test_hearing_it_again_changes_nothing(verdict: FeedbackVerdict) -> None:
    feed, alert = alarmed([300.0, 300.0])
    assert tell(feed, said_of(alert, verdict))
    digest = feed.engine.digest()
    assert tell(feed, said_of(alert, verdict)) == []
    assert feed.engine.digest() == digest
    assert feed.engine.stats.repeated == 1


def test_of_two_the_later_counts_whichever_comes_first() -> None:
    digests = set()
    for revisions in ([(1, EXPECTED), (2, FALSE_ALARM)], [(2, FALSE_ALARM), (1, EXPECTED)]):
        feed, alert = alarmed([300.0, 300.0])
        for revision, verdict in revisions:
            tell(feed, said_of(alert, verdict, revision=revision))
        digests.add(feed.engine.digest())
        assert standing(feed.alerts)[alert.id].status is AlertStatus.WITHDRAWN
    assert len(digests) == 1


@pytest.mark.parametrize("verdict", FeedbackVerdict)
def test_a_restated_past_is_folded_with_it(verdict: FeedbackVerdict) -> None:
    """The correction of an older day before or after the feedback: the same state."""
    digests = set()
    for corrected_first in (True, False):
        feed, alert = alarmed([300.0, 300.0, 300.0])
        correction = make_fact(4, 101.0, revision=1)
        if corrected_first:
            feed.send(correction)
        tell(feed, said_of(alert, verdict))
        if not corrected_first:
            feed.send(correction)
        digests.add(feed.engine.digest())
    assert len(digests) == 1


@pytest.mark.parametrize("verdict", [FALSE_ALARM, NEW_NORMAL])
def test_it_outlives_the_ring(verdict: FeedbackVerdict) -> None:
    feed = Feed(make_engine(Policy(accept_after=7, floor=1.0, ring_buckets=12)))
    feed.days([*[100.0] * 10, 180.0])
    (alert,) = standing(feed.alerts).values()
    tell(feed, said_of(alert, verdict))
    level = 100.0 if verdict is FALSE_ALARM else 180.0
    feed.days([level] * 60, start=11)
    count = len(standing(feed.alerts))
    feed.days([level * 1.7, level], start=71)
    assert len(standing(feed.alerts)) == count + (0 if verdict is FALSE_ALARM else 1)


def test_of_a_series_that_is_not_known_it_says_nothing() -> None:
    _, alert = alarmed([300.0])
    stranger = Feed(make_engine())
    assert tell(stranger, said_of(alert, NEW_NORMAL)) == []
    assert stranger.engine.stats.feedback_unknown == 1
    assert stranger.engine.take_rejects() == []


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"kind": "odd"}, RejectReason.UNDECODABLE, "kind"),
        ({"starts_at": "yesterday"}, RejectReason.BAD_TIME, "starts_at"),
        ({"through": "today"}, RejectReason.BAD_TIME, "through"),
        ({"deviation": -1.0}, RejectReason.BAD_VALUE, "deviation"),
    ],
    ids=["kind", "start", "end", "amount"],
)
def test_what_is_wrong_with_it_is_told(change: dict[str, object], reason: RejectReason, field: str) -> None:
    feed, alert = alarmed([300.0])
    digest = feed.engine.digest()
    assert tell(feed, msgspec.structs.replace(said_of(alert, EXPECTED), **change)) == []
    (rejected,) = feed.engine.take_rejects()
    assert (rejected.reason, rejected.field) == (reason, field)
    assert feed.engine.digest() == digest


def test_batches_of_any_size_say_the_same() -> None:
    def run(batch: int) -> list[Alert]:
        engine: Engine = make_engine(Policy(accept_after=7, floor=1.0))
        _, alert = alarmed([300.0])
        messages: list[Fact | Feedback] = [make_fact(number, 100.0) for number in range(10)]
        messages += [make_fact(10, 300.0), said_of(alert, NEW_NORMAL), make_fact(11, 300.0), make_fact(12, 300.0)]
        records = [Record(offset=at, key=key_of(one), value=encode(one)) for at, one in enumerate(messages)]
        for first in range(0, len(records), batch):
            engine.apply(records[first : first + batch])
        return engine.take_alerts()

    assert run(1) == run(3) == run(100)
