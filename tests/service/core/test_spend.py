"""What an engine states of spend: every closed bucket once, again when it is restated, the same in any order."""

import random
from collections.abc import Iterable, Sequence

import pytest
from msgspec.structs import replace

from connectors.facts import Basis, Fact, Watermark
from service.core.engine import Engine
from service.core.spend import Followed, SpendStatement, followed
from service.settings import Digest, Policy
from tests.service.core.month import FINAL, disturbed, make_month
from tests.service.core.support import ADS, FIRST_DAY, SEARCH, Feed, make_book, make_event, make_fact

TEAMS = frozenset({Followed("effective_cost", "tag:team")})
BILL_ENDS = Watermark(source="cur", complete_until="2024-09-05T00:00:00Z")

Stated = tuple[str, int, float, Basis]


def engine_of(followed: Iterable[Followed] = TEAMS, *, born: int = 1) -> Engine:
    return Engine(policies=make_book(), spend=frozenset(followed), born=born)


def plain(statements: Iterable[SpendStatement]) -> list[Stated]:
    """Series, number of the day, amount, basis."""
    return [(one.series, (one.start - FIRST_DAY).days, one.amount, one.basis) for one in statements]


def kept(statements: Iterable[SpendStatement]) -> dict[str, tuple[float, Basis]]:
    """What a store keeps of them: the newest about each bucket."""
    newest: dict[str, SpendStatement] = {}
    for one in statements:
        known = newest.get(one.key)
        if known is None or (one.born, one.offset) > (known.born, known.offset):
            newest[one.key] = one
    return {key: (one.amount, one.basis) for key, one in newest.items()}


def test_a_bucket_is_stated_when_it_closes_and_not_before() -> None:
    feed = Feed(engine_of())
    feed.send(make_fact(0, 10.0), make_fact(1, 11.0))
    assert plain(feed.engine.take_spend()) == [(SEARCH, 0, 10.0, Basis.BILLED)]
    assert feed.engine.take_spend() == []
    feed.complete(2)
    [statement] = feed.engine.take_spend()
    assert plain([statement]) == [(SEARCH, 1, 11.0, Basis.BILLED)]
    assert (statement.born, statement.offset) == (1, 3)


def test_a_restated_bucket_is_stated_again_and_a_repetition_is_not() -> None:
    feed = Feed(engine_of())
    feed.send(make_event(0, 9.0, "e1"), make_event(1, 9.0, "e2"))
    assert plain(feed.engine.take_spend()) == [(SEARCH, 0, 9.0, Basis.ESTIMATED)]
    feed.send(make_fact(0, 12.5))
    assert plain(feed.engine.take_spend()) == [(SEARCH, 0, 12.5, Basis.BILLED)]
    feed.send(make_fact(0, 12.5))
    assert feed.engine.take_spend() == []


def test_half_a_delivery_is_not_stated() -> None:
    """A source that sends watermarks has said all of a restatement when the next one comes."""
    feed = Feed(engine_of())
    feed.send(make_fact(0, 10.0), make_fact(1, 11.0), BILL_ENDS)
    assert len(feed.engine.take_spend()) == 2
    feed.send(make_fact(0, 20.0, revision=2), make_fact(1, 21.0, revision=2))
    assert feed.engine.take_spend() == []
    feed.send(BILL_ENDS)
    assert plain(feed.engine.take_spend()) == [(SEARCH, 0, 20.0, Basis.BILLED), (SEARCH, 1, 21.0, Basis.BILLED)]


@pytest.mark.parametrize(
    "series",
    [
        "default/effective_cost/USD/1d/service_name=EC2",
        "default/billed_cost/USD/1d/tag:team=search",
        "default/effective_cost/USD/5m/tag:team=search",
    ],
)
def test_what_no_digest_asks_for_is_not_stated(series: str) -> None:
    feed = Feed(engine_of())
    feed.send(make_fact(0, 10.0, series=series), make_fact(5, 11.0, series=series))
    assert feed.engine.stats.closed == 1
    assert feed.engine.take_spend() == []


def test_without_a_digest_nothing_is_stated() -> None:
    feed = Feed(engine_of(()))
    feed.send(make_fact(0, 10.0), make_fact(1, 11.0))
    assert feed.engine.take_spend() == []


def test_a_label_is_a_tag_or_a_column() -> None:
    digests = (Digest(name="a", receivers=("x",)), Digest(name="b", by="service_name", receivers=("x",)))
    assert {one.dimension for one in followed(digests)} == {"tag:team", "team", "tag:service_name", "service_name"}


def run(facts: Sequence[Fact | Watermark], rng: random.Random | None = None) -> list[SpendStatement]:
    """All that is stated of *facts*. rng: cuts them into batches, and kills the worker after some of them.

    A successor begins from the last snapshots and reads again what came after them.
    """
    feed = Feed(engine_of())
    records = [feed.record(message) for message in [*facts, *FINAL]]
    stated: list[SpendStatement] = []
    snapshots: list[tuple[bytes, bytes]] = []
    place = committed = 0
    while place < len(records):
        size = rng.randint(1, 60) if rng else 50
        feed.engine.apply(records[place : place + size])
        place += size
        stated += feed.engine.take_spend()
        if rng and rng.random() < 0.2:
            snapshots += feed.engine.freeze()
            committed = place
        if rng and rng.random() < 0.15:
            feed = Feed(engine_of(born=2))
            for key, snapshot in rng.sample(snapshots, len(snapshots)):
                feed.engine.restore(key, snapshot)
            place = committed
    return stated


def test_any_order_any_batches_and_any_crash_state_the_same() -> None:
    facts = make_month(seed=3)
    expected = kept(run(facts))
    assert len(expected) > 50
    for seed in range(12):
        rng = random.Random(seed)
        stated = run(disturbed(facts, rng), rng)
        rng.shuffle(stated)
        assert kept(stated) == expected, f"seed {seed}"


def test_a_digest_that_is_configured_later_learns_what_the_ring_knows() -> None:
    before = Feed(engine_of(()))
    before.send(make_fact(0, 10.0), make_fact(1, 11.0), make_fact(2, 12.0), make_fact(0, 5.0, series=ADS))
    after = restarted(before, engine_of())
    after.send(make_fact(3, 13.0))
    assert sorted(plain(after.engine.take_spend())) == [
        (ADS, 0, 5.0, Basis.BILLED),
        (SEARCH, 0, 10.0, Basis.BILLED),
        (SEARCH, 1, 11.0, Basis.BILLED),
        (SEARCH, 2, 12.0, Basis.BILLED),
    ]
    again = restarted(after, engine_of())
    again.send(make_fact(4, 14.0))
    assert plain(again.engine.take_spend()) == [(SEARCH, 3, 13.0, Basis.BILLED)], "what was stated is not repeated"


def test_what_waited_for_a_watermark_over_a_restart_is_stated_with_it() -> None:
    before = Feed(engine_of())
    before.send(make_fact(0, 10.0), make_fact(1, 11.0), BILL_ENDS)
    before.engine.take_spend()
    before.send(make_fact(1, 21.0, revision=2))
    after = restarted(before, engine_of())
    after.send(BILL_ENDS)
    assert plain(after.engine.take_spend()) == [(SEARCH, 1, 21.0, Basis.BILLED)]


def test_the_age_of_a_state_outlives_the_worker_and_not_the_log() -> None:
    before = Feed(engine_of(born=7))
    before.send(make_fact(0, 10.0))
    after = restarted(before, engine_of(born=9))
    after.send(make_fact(1, 11.0))
    assert [one.born for one in after.engine.take_spend()] == [7]
    anew = Feed(engine_of(born=9))
    anew.send(make_fact(0, 10.5), make_fact(1, 11.0))
    assert [one.born for one in anew.engine.take_spend()] == [9]


def test_what_is_put_off_at_the_end_of_a_day_is_stated_when_it_is_closed() -> None:
    series = [replace(make_fact(0, 10.0), series=f"{SEARCH}-{n}") for n in range(5)]
    feed = Feed(Engine(policies=make_book(Policy(detector="trailing")), spend=TEAMS, close_limit=2))
    feed.send(*series, Watermark(source="cur", complete_until="2024-09-03T00:00:00Z"))
    assert len(feed.engine.take_spend()) == 2
    while feed.engine.advance(2):
        pass
    assert len(feed.engine.take_spend()) == 3


def restarted(before: Feed, engine: Engine) -> Feed:
    for key, snapshot in before.engine.freeze():
        engine.restore(key, snapshot)
    return Feed(engine, offset=before.offset)
