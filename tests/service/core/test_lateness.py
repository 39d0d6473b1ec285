"""A tag whose records come late is waited for, as long as its records are late and no longer."""

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest

from connectors.facts import Fact, Watermark
from connectors.series import Grain
from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.engine import Engine
from service.core.lateness import STEPS, Lateness, may_come
from service.core.packing import unpack_lateness
from service.core.policies import PolicyBook
from service.settings import Policy
from tests.service.core.fleet import complete, daily, levels, tag
from tests.service.core.support import Feed, make_fact, standing

TEAMS = levels(20, 3)
LATE = "late"
PRICE = 90.0


def make_feed(offset: int = 0) -> Feed:
    return Feed(Engine(policies=PolicyBook((Policy(),))), offset=offset)


def fact_of(number: int) -> Fact:
    return make_fact(number, PRICE + number % 3, series=tag(LATE))


def arriving(days: int, late: dict[int, int], *, without: range = range(0)) -> Iterator[list[Fact | Watermark]]:
    """Day after day, each vouched for at its end. late: of a day, so many days after that its record comes."""
    for today in range(days):
        facts: list[Fact | Watermark] = list(daily(TEAMS, [today], today))
        come = [number for number in range(today + 1) if number + late.get(number, 0) == today]
        facts += [fact_of(number) for number in come if number not in without]
        yield [*facts, complete(today + 1)]


def missing(feed: Feed) -> list[Alert]:
    return [alert for alert in feed.alerts if alert.kind is AlertKind.MISSING]


def play(feed: Feed, batches: Iterator[list[Fact | Watermark]]) -> Feed:
    for batch in batches:
        feed.send(*batch)
    return feed


def sometimes_late(days: int, seed: int) -> dict[int, int]:
    rng = random.Random(seed)
    return {number: rng.choice((1, 1, 2, 3)) if rng.random() < 0.2 else 0 for number in range(days)}


def test_records_that_are_often_late_are_hardly_ever_missing() -> None:
    told = 0
    for seed in range(10):
        feed = play(make_feed(), arriving(120, sometimes_late(120, seed)))
        told += len(standing(missing(feed)))
    assert told <= 3  # with two days for every tag there are 15


def test_a_tag_that_always_comes_two_days_late_is_never_missing() -> None:
    assert missing(play(make_feed(), arriving(60, dict.fromkeys(range(60), 2)))) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_tag_that_is_often_late_is_missing_within_two_days_more(seed: int) -> None:
    feed = make_feed()
    late = sometimes_late(80, seed)
    told_at = None
    for today, batch in enumerate(arriving(80, late, without=range(60, 65))):
        feed.send(*batch)
        if told_at is None and any(alert.starts_at.day for alert in missing(feed) if alert.buckets and today >= 60):
            told_at = today
    alert = missing(feed)[-1]
    assert alert.status is AlertStatus.RESOLVED
    assert alert.buckets >= 5
    assert told_at is not None
    assert told_at <= 60 + 1 + 2 + max(late[number] for number in range(40, 60))


def test_a_gap_that_its_series_has_left_behind_is_told_when_it_is_too_long_for_it() -> None:
    late = dict.fromkeys(range(0, 60, 7), 2)
    feed = make_feed()
    counts = []
    for batch in arriving(75, late, without=range(64, 66)):
        feed.send(*batch)
        counts.append(len(missing(feed)))
    assert counts[65] == 0
    (alert,) = standing(missing(feed)).values()
    assert (alert.status, alert.buckets, counts[72]) == (AlertStatus.RESOLVED, 2, 1)


def test_what_fills_a_gap_that_was_waited_for_leaves_nothing_to_tell() -> None:
    late = dict.fromkeys(range(0, 60, 5), 3) | {64: 3, 65: 2}
    feed = play(make_feed(), arriving(80, late))
    assert missing(feed) == []


def test_a_gap_that_is_filled_from_its_beginning_keeps_its_alert() -> None:
    feed = play(make_feed(), arriving(64, {}, without=range(60, 64)))
    (before,) = standing(missing(feed)).values()
    for now in (60, 61):
        feed.send(fact_of(now), complete(65))
        (after,) = standing(missing(feed)).values()
        assert (after.id, after.status) == (before.id, AlertStatus.FIRING)
        assert f"since {after.starts_at:%Y-%m-%d}" in after.reason
    assert after.starts_at - before.starts_at == timedelta(days=2)


@pytest.mark.parametrize("seed", range(3))
def test_a_restart_waits_as_long(seed: int) -> None:
    rng = random.Random(seed)
    late = sometimes_late(90, seed)
    batches = list(arriving(90, late, without=range(60, 63)))
    expected = play(make_feed(), iter(batches))
    feed, alerts = make_feed(), list[Alert]()
    topic: dict[bytes, bytes] = {}
    for batch in batches:
        if rng.random() < 0.5:
            topic.update(feed.engine.freeze())
            feed = make_feed(feed.offset)
            for key, snapshot in topic.items():
                feed.engine.restore(key, snapshot)
        alerts += feed.send(*batch)
    assert standing(alerts) == standing(expected.alerts)
    assert feed.engine.digest() == expected.engine.digest()


def test_lateness_of_one_record_in_ten_excuses_one_bucket_and_not_three() -> None:
    lateness = Lateness(0)
    for number in range(0, 60, 10):
        lateness.saw(Grain.DAY, number, 1)
    known = {"end": 60, "seen": 60}
    assert 0.08 < lateness.share_beyond(Grain.DAY, 0, **known) < 0.2
    assert lateness.share_beyond(Grain.DAY, 1, **known) < 0.02
    assert may_come(lateness, Grain.DAY, [0], **known)
    assert may_come(lateness, Grain.DAY, [1], **known)
    assert not may_come(lateness, Grain.DAY, [1, 0], **known)


def test_lateness_is_forgotten_in_time_and_does_not_depend_on_the_order() -> None:
    one, other = Lateness(3), Lateness(40)
    for lateness, numbers in ((one, (3, 20, 40)), (other, (40, 3, 20))):
        for number in numbers:
            lateness.saw(Grain.DAY, number, number % 4 + 1)
    assert one.weights == pytest.approx(other.weights)
    soon, later = (one.share_beyond(Grain.DAY, 0, end=end, seen=90) for end in (41, 400))
    assert later < soon / 3


@pytest.mark.parametrize("weights", [[1.0], [-1.0] * STEPS, [float("nan")] * STEPS], ids=["few", "negative", "nan"])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="lateness has 7 weights"):
        unpack_lateness(4, weights)
