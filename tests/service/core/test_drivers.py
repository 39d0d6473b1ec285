"""What adds up to the change, to the last nano-unit."""

import random

import pytest

from service.core.alerts import Alert, DriverType
from service.core.buckets import Labels, Part, Parts
from service.core.drivers import OTHER, explain, shown, with_rest
from service.core.engine import Engine
from service.settings import Policy
from tests.service.core.support import Feed, make_book, make_driver, make_engine, make_event, make_fact

EC2: Labels = (("service_name", "EC2"),)
S3: Labels = (("service_name", "S3"),)


def feed_days(feed: Feed, values: list[float], *, start: int = 0) -> list[Alert]:
    """EC2 is nine tenths of each day, S3 a twentieth."""
    raised: list[Alert] = []
    for place, value in enumerate(values):
        drivers = (make_driver(round(value * 0.9, 9), "EC2", "i-1"), make_driver(round(value * 0.05, 9), "S3"))
        raised += feed.send(make_fact(start + place, value, drivers=drivers))
    return raised


def test_changes_and_the_rest_add_up() -> None:
    changes = explain(
        {EC2: Part(900), S3: Part(40)}, [{EC2: Part(100), S3: Part(50)}, {EC2: Part(200)}], actual=1000, expected=200
    )
    assert [(change.labels, change.before, change.now) for change in changes] == [
        (EC2, 150, 900),
        (S3, 25, 40),
        (OTHER, 25, 60),
    ]
    assert sum(change.change for change in changes) == 800


def test_largest_changes_are_shown_and_the_small_ones_are_the_rest() -> None:
    parts: Parts = {(("resource_id", f"i-{number:02}"),): Part(number * 10) for number in range(30)}
    changes = explain(parts, [{}], actual=5000, expected=0)
    assert len(changes) == 11
    assert changes[0].now == 290
    assert changes[-1].labels == OTHER
    assert sum(change.change for change in changes) == 5000


def test_what_is_no_longer_among_the_largest_is_not_called_gone() -> None:
    hidden = explain({EC2: Part(900)}, [{EC2: Part(100), S3: Part(50)}], actual=1010, expected=200)
    assert [change.labels for change in hidden] == [EC2, OTHER]
    gone = explain({EC2: Part(900)}, [{EC2: Part(100), S3: Part(50)}], actual=910, expected=200)
    assert [change.labels for change in gone] == [EC2, S3, OTHER]
    assert sum(change.change for change in gone) == 710


def test_without_drivers_the_whole_change_is_the_rest() -> None:
    (whole,) = explain({}, [], actual=10, expected=5)
    assert (whole.labels, whole.change) == (OTHER, 5)
    assert with_rest((), actual=10, expected=5) == (whole,)
    assert with_rest((), actual=10, expected=10) == ()


@pytest.mark.parametrize("seed", range(20))
def test_drivers_sum_to_the_cent(seed: int) -> None:
    rng = random.Random(seed)
    feed = Feed(make_engine())
    feed_days(feed, [round(100 + rng.gauss(0, 5), 6) for _ in range(10)])
    (alert, *_) = feed_days(feed, [round(rng.uniform(200, 900), 6)], start=10)
    assert {driver.labels.get("service_name", "other") for driver in alert.drivers} == {"EC2", "S3", "other"}
    assert round(sum(driver.change for driver in alert.drivers), 2) == round(alert.actual - alert.expected, 2)
    for driver in alert.drivers:
        assert round(driver.now - driver.before, 6) == round(driver.change, 6)


def test_the_action_names_the_driver() -> None:
    feed = Feed(make_engine())
    feed_days(feed, [100.0] * 10)
    (alert,) = feed_days(feed, [400.0], start=10)
    assert alert.action == "Look at EC2 i-1: +270.00 USD (usually 90.00)"


def test_a_new_driver_is_called_new() -> None:
    feed = Feed(make_engine())
    feed_days(feed, [100.0] * 10)
    drivers = (make_driver(90.0, "EC2", "i-1"), make_driver(5.0, "S3"), make_driver(300.0, "Bedrock", "model-x"))
    (alert,) = feed.send(make_fact(10, 400.0, drivers=drivers))
    assert alert.action == "Look at Bedrock model-x: +300.00 USD, not seen in the days before"


def test_a_driver_that_is_gone_explains_a_fall() -> None:
    feed = Feed(make_engine())
    feed_days(feed, [100.0] * 10)
    feed.send(make_fact(10, 5.0, drivers=(make_driver(5.0, "S3"),)))
    (alert,) = feed.complete(11)
    assert alert.action == "Check whether this was meant: EC2 i-1: -90.00 USD, gone"


def test_what_costs_nothing_any_more_has_lost_all_its_drivers() -> None:
    feed = Feed(make_engine())
    feed_days(feed, [100.0] * 10)
    feed.send(make_fact(10, 0.0))
    (alert,) = feed.complete(11)
    assert [(driver.change, driver.type) for driver in alert.drivers] == [
        (-90.0, DriverType.GONE),
        (-5.0, DriverType.GONE),
        (-5.0, DriverType.OTHER),
    ]


def test_abnormal_days_are_not_what_it_is_held_against() -> None:
    feed = Feed(make_engine())
    feed_days(feed, [*[100.0] * 10, 400.0, 500.0])
    assert [driver.before for driver in feed.alerts[-1].drivers if "resource_id" in driver.labels] == [90.0]


def test_the_drivers_of_a_later_revision_replace_the_earlier_ones() -> None:
    feed = Feed(make_engine())
    feed_days(feed, [100.0] * 10)
    feed.send(make_fact(10, 120.0, drivers=(make_driver(120.0, "Mistake"),)))
    (alert,) = feed.send(make_fact(10, 400.0, revision=1, drivers=(make_driver(400.0, "EC2", "i-1"),)))
    assert "Mistake" not in {driver.labels.get("service_name") for driver in alert.drivers}


def test_the_drivers_of_events_add_up() -> None:
    feed = Feed(make_engine())
    feed.days([100.0] * 10)
    for number in range(4):
        drivers = (make_driver(40.0, "EC2", "i-1"),)
        feed.send(make_event(10, 50.0, str(number), drivers=drivers))
    (driver, other) = feed.alerts[-1].drivers
    assert (driver.now, driver.change) == (160.0, 160.0)
    assert (other.labels, other.change) == ({"other": "true"}, -60.0)


def test_what_was_said_of_drivers_stays_when_they_are_forgotten() -> None:
    feed = Feed(make_engine())
    feed_days(feed, [*[100.0] * 10, 400.0, 100.0])
    said = feed.alerts[-1].drivers
    feed_days(feed, [100.0] * 20, start=12)
    (alert,) = feed.send(make_fact(3, 128.0, revision=1))
    assert alert.expected == 104.0
    assert [driver.now for driver in alert.drivers] == [driver.now for driver in said]
    assert round(sum(driver.change for driver in alert.drivers), 6) == 296.0


def test_drivers_of_old_days_are_forgotten() -> None:
    def frozen(driver_buckets: int) -> int:
        feed = Feed(Engine(policies=make_book(Policy(detector="trailing")), driver_buckets=driver_buckets))
        feed_days(feed, [100.0] * 40)
        return len(feed.engine.freeze()[0][1])

    assert frozen(8) < frozen(40) / 2


def test_shown_in_units() -> None:
    (change,) = shown(explain({EC2: Part(1_500_000_000)}, [], actual=1_500_000_000, expected=0))
    assert (change.labels, change.change, change.before, change.now) == ({"service_name": "EC2"}, 1.5, 0.0, 1.5)


def test_a_driver_that_may_only_be_hidden_is_held_against_where_it_is_named() -> None:
    """EC2 is named on one of two days; on the other as much is not named as it usually costs."""
    parts: Parts = {EC2: Part(100), S3: Part(90)}
    baseline: list[Parts] = [{EC2: Part(100)}, {S3: Part(90)}]
    assert explain(parts, baseline, actual=190, expected=190, totals=[190, 190]) == ()


def test_a_driver_that_was_surely_not_there_is_averaged_with_zero() -> None:
    changes = explain({EC2: Part(100)}, [{EC2: Part(100)}, {}], actual=100, expected=50, totals=[100, 0])
    assert [(change.before, change.now) for change in changes] == [(50, 100)]


@pytest.mark.parametrize(("now", "kinds"), [(300_001, ["quantity"]), (300_300, ["quantity", "price"])])
def test_rounding_is_no_change_of_price(now: int, kinds: list[str]) -> None:
    parts, before = {EC2: Part(now, 30, "Hrs")}, {EC2: Part(100_000, 10, "Hrs")}
    entries = shown(explain(parts, [before], actual=now, expected=100_000))
    assert [entry.type for entry in entries] == kinds
