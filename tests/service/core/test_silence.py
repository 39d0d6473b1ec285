"""Missing, late and zero are three states."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from connectors.facts import Fact, Watermark
from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.core.stats import EngineStats
from service.settings import Policy
from tests.service.core.fleet import complete, daily, levels, tag
from tests.service.core.support import SEARCH, Feed, concluded, make_fact, said, standing

REGULAR = 20
"""Days with facts before anything is missing."""
TEAMS = levels(40, 1)


def make_feed(**policy: Any) -> Feed:
    return Feed(Engine(policies=PolicyBook((Policy(**policy),))))


def play(
    feed: Feed,
    days: range,
    skipped: Callable[[str, int], bool] = lambda name, number: False,
    *,
    promised: bool = True,
    teams: dict[str, float] = TEAMS,
) -> None:
    """Day after day; a source that promises is complete after each, one that does not when its next facts come."""
    for number in days:
        feed.send(*(fact for fact in daily(teams, [number], number) if not skipped(name_of(fact), number)))
        if promised:
            feed.send(complete(number + 1))


def name_of(fact: Fact) -> str:
    return fact.series.rpartition("=")[2]


def missing(feed: Feed) -> list[Alert]:
    return [alert for alert in feed.alerts if alert.kind is AlertKind.MISSING]


def figures(feed: Feed) -> EngineStats:
    feed.engine.freeze()
    return feed.engine.stats


@pytest.mark.parametrize(("floor", "told"), [(1.0, True), (500.0, False)], ids=["above the floor", "below it"])
def test_nobody_misses_what_costs_less_than_the_floor(floor: float, told: bool) -> None:
    feed = make_feed(floor=floor)
    play(feed, range(REGULAR))
    play(feed, range(REGULAR, REGULAR + 3), lambda name, _: name == "t0007")
    assert TEAMS["t0007"] < 500.0
    assert bool(missing(feed)) is told


@pytest.mark.parametrize("promised", [True, False], ids=["with watermarks", "without"])
def test_a_tag_that_falls_silent_while_its_source_goes_on_is_missing_after_two_days(promised: bool) -> None:
    feed = make_feed()
    play(feed, range(REGULAR), promised=promised)
    play(feed, range(REGULAR, REGULAR + 2), lambda name, _: name == "t0007", promised=promised)
    assert bool(missing(feed)) is promised
    play(feed, range(REGULAR + 2, REGULAR + 3), lambda name, _: name == "t0007", promised=promised)
    (alert,) = missing(feed)
    assert (alert.series, alert.status, alert.buckets, alert.actual) == (tag("t0007"), AlertStatus.FIRING, 2, 0.0)
    assert alert.reason.startswith("No facts about team=t0007 since 2024-09-22, though its source is complete; usually")
    assert alert.action.startswith("Check that team=t0007 still runs and is still tagged")
    assert alert.detector == "silence"


def test_a_day_late_is_not_missing() -> None:
    feed = make_feed()
    play(feed, range(REGULAR))
    play(feed, range(REGULAR, REGULAR + 1), lambda name, _: name == "t0007")
    feed.send(make_fact(REGULAR, 10.0, series=tag("t0007")))
    play(feed, range(REGULAR + 1, REGULAR + 4))
    assert missing(feed) == []


def test_a_fact_of_zero_is_a_fall_and_not_missing() -> None:
    feed = make_feed()
    play(feed, range(REGULAR), lambda name, _: name == "zero", teams={**TEAMS, "zero": 100.0})
    for number in range(REGULAR):
        feed.send(make_fact(number, 100.0, series=tag("zero")))
    for number in range(REGULAR, REGULAR + 3):
        feed.send(make_fact(number, 0.0, series=tag("zero")), complete(number + 1))
    told = {alert.kind for alert in feed.alerts if alert.series == tag("zero")}
    assert told == {AlertKind.DROP}


def test_a_retracted_day_is_zero_and_not_missing() -> None:
    feed = make_feed()
    play(feed, range(REGULAR + 1))
    feed.send(make_fact(REGULAR, 0.0, series=tag("t0003"), revision=1), complete(REGULAR + 1))
    (alert,) = standing(feed.alerts).values()
    assert (alert.kind, alert.actual) == (AlertKind.DROP, 0.0)


def test_a_source_that_is_late_is_not_the_tags_fault() -> None:
    feed = make_feed()
    play(feed, range(REGULAR))
    other = {f"other{number}": 50.0 for number in range(10)}
    for number in range(REGULAR + 10):  # another source goes on, this one says nothing any more
        feed.send(
            *(make_fact(number, level, series=tag(name), origin="export:x") for name, level in other.items()),
            complete(number + 1, "export"),
        )
    assert feed.alerts == []
    assert figures(feed).late_seconds == 10 * 86_400


def test_a_source_that_promises_and_sends_nothing_raises_no_alert_of_its_tags() -> None:
    """Day after day it says that it is complete: an exporter that has lost its input."""
    feed = make_feed()
    play(feed, range(REGULAR), teams=levels(2_000, 2))
    for number in range(REGULAR, REGULAR + 5):
        feed.send(complete(number + 1))
    assert missing(feed) == []
    assert figures(feed).withheld == 2_000
    play(feed, range(REGULAR + 5, REGULAR + 7), teams=levels(2_000, 2))
    assert figures(feed).withheld == 0
    assert missing(feed) == []


def test_an_account_that_does_not_report_is_late_too() -> None:
    feed = make_feed()
    play(feed, range(REGULAR))
    play(feed, range(REGULAR, REGULAR + 4), lambda name, _: name < "t0010")
    assert missing(feed) == []


def test_the_total_says_that_a_source_has_nothing_left() -> None:
    total = "default/effective_cost/USD/1d/total="
    feed = make_feed()
    for number in range(REGULAR):
        play(feed, range(number, number + 1))
        feed.send(make_fact(number, 5_000.0, series=total))
    for number in range(REGULAR, REGULAR + 3):
        feed.send(complete(number + 1))
    (alert,) = missing(feed)
    assert alert.series == total


@pytest.mark.parametrize("share", [0.15, 0.3, 0.6, 0.9])
def test_sparse_tags_are_quiet(share: float) -> None:
    """Twenty of them, for two months; what is missing by chance is told of a tenth of them at most."""
    rng = random.Random(5)
    feed = make_feed()
    play(feed, range(60), lambda name, _: name < "t0020" and rng.random() < share)
    assert len({alert.series for alert in missing(feed)}) <= 2


def test_tags_that_take_their_weekends_off_are_quiet() -> None:
    feed = make_feed()
    play(feed, range(56), lambda name, number: name == "t0001" and number % 7 >= 5)
    assert missing(feed) == []


def test_what_arrives_late_takes_the_alert_back() -> None:
    feed = make_feed()
    play(feed, range(REGULAR))
    play(feed, range(REGULAR, REGULAR + 3), lambda name, _: name == "t0007")
    assert [alert.status for alert in missing(feed)] == [AlertStatus.FIRING]
    feed.send(*(make_fact(number, 10.0, series=tag("t0007")) for number in range(REGULAR, REGULAR + 3)))
    feed.send(complete(REGULAR + 3))
    before, after = missing(feed)
    assert (after.id, after.status, after.version) == (before.id, AlertStatus.WITHDRAWN, 2)
    assert after.reason == (
        "Withdrawn: what was missing of team=t0007 on 2024-09-22 has come, or is late with its whole source"
    )


def test_a_tag_that_comes_back_resolves_its_alert() -> None:
    feed = make_feed()
    play(feed, range(REGULAR))
    play(feed, range(REGULAR, REGULAR + 4), lambda name, _: name == "t0007")
    play(feed, range(REGULAR + 4, REGULAR + 5))
    alert = missing(feed)[-1]
    assert (alert.status, alert.buckets) == (AlertStatus.RESOLVED, 4)
    assert alert.reason.startswith("No facts about team=t0007 for 4 days from 2024-09-22 on")


def test_a_retired_tag_is_told_of_once_and_resolved_after_a_week() -> None:
    feed = make_feed()
    play(feed, range(REGULAR))
    play(feed, range(REGULAR, REGULAR + 40), lambda name, _: name == "t0007")
    assert [(alert.status, alert.buckets) for alert in missing(feed)] == [
        (AlertStatus.FIRING, 2),
        (AlertStatus.RESOLVED, 7),
    ]
    assert missing(feed)[-1].reason.endswith("; taken for its end")


def test_missing_days_can_be_waited_for_longer_or_for_ever() -> None:
    for after, told in ((0, 0), (2, 1), (5, 0)):
        feed = make_feed(missing_after=after)
        play(feed, range(REGULAR))
        play(feed, range(REGULAR, REGULAR + 4), lambda name, _: name == "t0007")
        assert len(missing(feed)) == told


def test_a_series_that_nobody_knows_well_is_not_missing() -> None:
    feed = make_feed()
    play(feed, range(REGULAR), lambda name, number: name == "t0007" and not 5 <= number < 15)
    assert missing(feed) == []


def test_an_episode_before_a_gap_stays_as_it_was() -> None:
    feed = make_feed()
    feed.days([100.0] * REGULAR)
    feed.send(make_fact(REGULAR, 900.0))
    feed.complete(REGULAR + 4)
    kinds = {alert.kind: alert.status for alert in standing(feed.alerts).values()}
    assert kinds == {AlertKind.SPIKE: AlertStatus.RESOLVED, AlertKind.MISSING: AlertStatus.FIRING}
    assert feed.alerts[0].series == SEARCH


def make_outages() -> list[Fact]:
    """Forty days of forty teams: one falls silent for ever, one for a while, one is sparse, many for two days."""
    rng = random.Random(11)
    facts = []
    for number in range(40):
        for fact in daily(TEAMS, [number], number):
            name = name_of(fact)
            gone = (
                (name == "t0003" and number >= 30)
                or (name == "t0004" and 20 <= number < 24)
                or (name == "t0005" and rng.random() < 0.5)
                or (name >= "t0020" and 26 <= number < 29)
            )
            if not gone:
                facts.append(fact)
    return facts


def test_any_order_gives_the_same_gaps() -> None:
    facts = make_outages()
    final = [complete(42)]
    expected = run_through(facts, final)
    assert {(alert.series, alert.status) for alert in missing(expected) if alert.id in said(expected.alerts)} >= {
        (tag("t0003"), AlertStatus.RESOLVED),
        (tag("t0004"), AlertStatus.RESOLVED),
    }
    standing_gaps = [alert for alert in said(expected.alerts).values() if alert.kind is AlertKind.MISSING]
    assert not any(alert.series >= tag("t0020") for alert in standing_gaps)
    for seed in range(12):
        rng = random.Random(seed)
        mixed: list[Fact | Watermark] = [*facts, *rng.sample(facts, len(facts) // 5)]
        rng.shuffle(mixed)
        for _ in range(seed % 3 * 5):
            mixed.insert(rng.randrange(len(mixed)), complete(rng.randrange(40)))
        feed = run_through(mixed, final)
        assert concluded(feed.alerts) == concluded(expected.alerts), f"seed {seed}"
        assert feed.engine.digest() == expected.engine.digest(), f"seed {seed}"


def test_a_restart_amid_outages_ends_the_same() -> None:
    facts: list[Fact | Watermark] = [*make_outages(), complete(42)]
    expected = run_through(facts, [])
    topic: dict[bytes, bytes] = {}
    alerts: list[Alert] = []
    feed = make_feed()
    for place in range(0, len(facts), 173):
        feed = Feed(make_feed().engine, offset=feed.offset)
        for key, snapshot in topic.items():
            feed.engine.restore(key, snapshot)
        feed.send(*facts[place : place + 173])
        alerts += feed.alerts
        topic.update(feed.engine.freeze())
    assert feed.engine.digest() == expected.engine.digest()
    assert said(alerts) == said(expected.alerts)


def run_through(facts: list[Fact | Watermark] | list[Fact], final: list[Watermark]) -> Feed:
    feed = make_feed()
    feed.send(*facts)
    feed.send(*final)
    return feed
