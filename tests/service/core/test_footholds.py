"""Folding again from nearby is folding again: nobody sees from where."""

import random
from collections.abc import Iterator

import pytest

from connectors.facts import Fact, Watermark
from connectors.series import Grain, SeriesKey
from service.core.alerts import Alert
from service.core.footholds import Footholds, at_or_before, places
from service.core.state import Foothold, SeriesState
from service.settings import Policy
from tests.service.core.support import Feed, day, make_book, make_engine, make_fact

HOURLY = "default/effective_cost/USD/1h/tag:team=search"
HOURS = 24 * 24
POLICY = Policy(detector="trailing", drop_after=1, spike_after=1)


def arriving(seed: int) -> Iterator[list[Fact | Watermark]]:
    """A batch an hour: what is on time, what is up to ten days late, and what is restated; some hours cost three times
    as much, or nothing."""
    rng = random.Random(seed)
    batches: list[list[Fact | Watermark]] = [[] for _ in range(HOURS)]
    for hour in range(HOURS):
        amount = 10.0 + rng.random() + 20.0 * (rng.random() < 0.03) - 10.0 * (hour % 97 in (40, 41, 42))
        late = rng.choice((1, 3, 10, 30, 240)) if rng.random() < 0.2 else 0
        restated = rng.random() < 0.1
        for revision, after in enumerate((late, late + rng.randrange(200))[: 1 + restated]):
            if hour + after < HOURS:
                value = amount * rng.choice((0.5, 0.9, 1.1, 3.0)) if revision else amount
                fact = make_fact(0, value, series=HOURLY, charge_period_start=day(0, hour=hour), revision=revision)
                batches[hour + after].append(fact)
    for hour, batch in enumerate(batches):
        yield [*batch, Watermark(source="cur", complete_until=day(0, hour=hour + 1))]


@pytest.mark.parametrize("seed", range(3))
def test_a_restart_that_has_lost_them_says_the_same_not_even_another_version(seed: int) -> None:
    rng = random.Random(seed)
    expected, feed, alerts = Feed(make_engine(POLICY)), Feed(make_engine(POLICY)), list[Alert]()
    topic: dict[bytes, bytes] = {}
    for batch in arriving(seed):
        expected.send(*batch)
        alerts += feed.send(*batch)
        if rng.random() < 0.4:
            topic.update(feed.engine.freeze())
            feed = Feed(make_engine(POLICY), offset=feed.offset)
            for key, snapshot in topic.items():
                feed.engine.restore(key, snapshot)
    assert len({alert.id for alert in alerts}) > 20
    assert expected.engine.stats.refolds > 100
    assert alerts == expected.alerts
    assert feed.engine.digest() == expected.engine.digest()


def make_state(name: str) -> SeriesState:
    key = HOURLY.replace("search", name)
    return SeriesState(key.encode(), make_book().judge_of(SeriesKey.parse(key)))


def found(*buckets: int) -> list[Foothold]:
    return [Foothold(bucket, b"", None) for bucket in buckets]


def test_those_beyond_where_the_ring_was_folded_from_are_replaced_and_far_ones_lie_further_apart() -> None:
    state, footholds = make_state("search"), Footholds()
    footholds.put(state, 0, found(*range(12, 120, 12)), end=120)
    footholds.put(state, 84, found(96, 108), end=120)
    assert [foothold.bucket for foothold in state.rare.footholds or ()] == [48, 72, 84, 96, 108]
    assert at_or_before(state, 95) == found(84)[0]
    assert at_or_before(state, 47) is None
    footholds.drop_before(state, 96)
    assert [foothold.bucket for foothold in state.rare.footholds or ()] == [96, 108]
    footholds.drop_old(state, 108 + 97)
    assert state.rare.footholds is None


def test_only_so_many_series_have_them() -> None:
    one, other = make_state("one"), make_state("other")
    footholds = Footholds(limit=1)
    footholds.put(one, 0, found(12), end=24)
    footholds.put(other, 0, found(12), end=24)
    assert (one.rare.footholds, other.rare.footholds) == (None, tuple(found(12)))


def test_places_lie_within_what_is_folded() -> None:
    assert places(Grain.HOUR, 300, 336, 310) == [310, 312, 324]
    assert len(places(Grain.HOUR, 0, 336, 1)) <= 9
