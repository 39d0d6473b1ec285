"""What was told holds as far as corrections let it, under the name it was told by."""

import msgspec

from connectors.facts import FeedbackVerdict
from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.feedback import feedback_of
from service.core.packing import PackedReported, pack_reported, unpack_reported
from service.core.state import Reported
from service.settings import Policy
from tests.service.core.support import Feed, day, make_engine, make_fact, standing

QUIET = [100.0] * 10
"""What makes the small detector expect 50 to 150."""
DAY = 10


def make_feed(*values: float, **policy: object) -> Feed:
    feed = Feed(make_engine(Policy(detector="trailing", drop_after=1, **policy)))
    feed.days([*QUIET, *values])
    return feed


def starts(alert: Alert) -> str:
    return f"{alert.starts_at:%Y-%m-%dT%H:%M:%SZ}"


def test_a_late_day_before_an_alert_makes_it_begin_sooner_under_its_id() -> None:
    feed = make_feed()
    feed.days([400.0, 100.0, 100.0], start=DAY + 1)
    (before,) = standing(feed.alerts).values()
    (alert,) = feed.send(make_fact(DAY, 390.0))
    assert (alert.id, alert.version) == (before.id, before.version + 1)
    assert (starts(before), starts(alert)) == (day(DAY + 1), day(DAY))
    assert (alert.buckets, alert.impact, alert.status) == (2, 590.0, AlertStatus.RESOLVED)


def test_an_alert_begins_later_under_its_id_when_its_first_day_is_corrected() -> None:
    feed = make_feed(390.0, 400.0, 100.0, 100.0)
    (before,) = standing(feed.alerts).values()
    (alert,) = feed.send(make_fact(DAY, 100.0, revision=1))
    assert (alert.id, starts(alert), alert.buckets) == (before.id, day(DAY + 1), 1)


def test_a_restart_forgets_no_name() -> None:
    feed = make_feed()
    feed.days([400.0, 100.0, 100.0], start=DAY + 1)
    feed.send(make_fact(DAY, 390.0))
    (before,) = standing(feed.alerts).values()
    engine = make_engine(Policy(detector="trailing", drop_after=1))
    for key, snapshot in feed.engine.freeze():
        engine.restore(key, snapshot)
    again = Feed(engine, offset=feed.offset)
    (alert,) = again.send(make_fact(DAY - 1, 380.0, revision=1))
    assert (alert.id, starts(alert), alert.version) == (before.id, day(DAY - 1), before.version + 1)


def test_of_two_alerts_that_a_correction_joins_the_earlier_goes_on() -> None:
    feed = make_feed(400.0, 100.0, 400.0, 100.0, 100.0)
    earlier, later = standing(feed.alerts).values()
    feed.send(make_fact(DAY + 1, 300.0, revision=1))
    now = standing(feed.alerts)
    assert (now[earlier.id].status, now[earlier.id].buckets) == (AlertStatus.RESOLVED, 3)
    assert now[later.id].status is AlertStatus.WITHDRAWN
    assert now[later.id].reason.endswith("which is part of another alert")


def test_of_one_alert_that_a_correction_parts_the_earlier_keeps_the_name() -> None:
    feed = make_feed(400.0, 300.0, 400.0, 100.0, 100.0)
    (one,) = standing(feed.alerts).values()
    feed.send(make_fact(DAY + 1, 100.0, revision=1))
    earlier, later = standing(feed.alerts).values()
    assert (earlier.id, starts(earlier), earlier.buckets) == (one.id, day(DAY), 1)
    assert (starts(later), later.buckets) == (day(DAY + 2), 1)


def test_a_name_that_has_gone_elsewhere_is_given_to_no_other_alert() -> None:
    """It was told from the second day on, and keeps that name while it covers the first alone."""
    feed = make_feed()
    feed.days([400.0, 100.0, 100.0], start=DAY + 1)
    feed.send(make_fact(DAY, 400.0))
    feed.send(make_fact(DAY + 1, 100.0, revision=1))
    feed.send(make_fact(DAY + 1, -400.0, revision=2))
    feed.send(make_fact(DAY + 1, 100.0, revision=3), make_fact(DAY, 100.0, revision=1))
    feed.send(make_fact(DAY + 1, 500.0, revision=4))
    ids = [alert.id for alert in standing(feed.alerts).values()]
    assert len(ids) == len(set(ids))
    (rise,) = [alert for alert in standing(feed.alerts).values() if alert.status is AlertStatus.RESOLVED]
    assert (rise.kind, starts(rise), rise.actual) == (AlertKind.SPIKE, day(DAY + 1), 500.0)


def test_what_a_correction_leaves_more_than_half_of_is_over_and_not_withdrawn() -> None:
    feed = make_feed(400.0, 100.0, 100.0)
    (before,) = standing(feed.alerts).values()
    (alert,) = feed.send(make_fact(DAY, 130.0, revision=1))
    assert (alert.id, alert.status, alert.actual, alert.impact) == (before.id, AlertStatus.RESOLVED, 130.0, 30.0)
    assert alert.reason.endswith("after a correction it would not be told, though 60% of what it took is left")
    assert alert.score < 0.5
    (alert,) = feed.send(make_fact(DAY, 120.0, revision=2))
    assert alert.status is AlertStatus.WITHDRAWN
    assert "20% above the 100.00 USD expected (50.00 to 150.00)" in alert.reason
    assert feed.send(make_fact(DAY, 140.0, revision=3)) == []  # what was taken back has to be told anew


def test_a_baseline_that_has_moved_a_little_takes_nothing_back() -> None:
    """The day was one dollar above the bound, and is one below it since another was corrected."""
    feed = make_feed(151.0, 100.0, 100.0)
    assert [alert.status for alert in standing(feed.alerts).values()] == [AlertStatus.RESOLVED]
    (alert,) = feed.send(make_fact(DAY - 1, 110.0, revision=1))
    assert alert.status is AlertStatus.RESOLVED
    assert "though 99% of what it took is left" in alert.reason


def test_an_alert_that_goes_on_is_over_when_a_correction_leaves_too_little() -> None:
    feed = make_feed(400.0)
    feed.send(make_fact(DAY, 400.0))
    assert standing(feed.alerts)[feed.alerts[0].id].status is AlertStatus.FIRING
    (alert,) = feed.send(make_fact(DAY, 135.0, revision=1))
    assert (alert.status, alert.ends_at is None) == (AlertStatus.RESOLVED, False)
    (again,) = feed.send(make_fact(DAY, 300.0, revision=2))
    assert (again.id, again.status) == (alert.id, AlertStatus.FIRING)


def test_how_far_it_has_to_be_is_policy() -> None:
    feed = make_feed(400.0, 100.0, 100.0, keep_firing_above=0.7)
    (alert,) = feed.send(make_fact(DAY, 130.0, revision=1))
    assert alert.status is AlertStatus.WITHDRAWN


def test_alerts_of_snapshots_of_versions_before_are_read() -> None:
    known = Reported(AlertKind.SPIKE, 7, 700_000)
    known.begins, known.reach = 5, 3
    packed = msgspec.to_builtins(pack_reported(known))
    now = unpack_reported(msgspec.convert(packed, PackedReported), lambda labels: labels)
    assert (now.first, now.begins, now.reach) == (7, 5, 3)
    before = unpack_reported(msgspec.convert(packed[:11], PackedReported), lambda labels: labels)
    assert (before.first, before.begins, before.reach) == (7, 7, 0)


def test_what_a_person_said_of_an_alert_goes_on_when_it_begins_sooner() -> None:
    feed = make_feed()
    feed.days([400.0, 100.0, 100.0], start=DAY + 1)
    (alert,) = standing(feed.alerts).values()
    said = feedback_of(alert, FeedbackVerdict.EXPECTED, revision=1)
    feed.engine.apply([feed.record(said)])  # type: ignore[arg-type]  # feedback is encoded like the others
    *_, after = feed.send(make_fact(DAY, 390.0))
    assert (after.id, after.buckets, after.feedback) == (alert.id, 2, FeedbackVerdict.EXPECTED)
