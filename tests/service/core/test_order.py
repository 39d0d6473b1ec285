"""Any order, repetition or correction of the same facts gives the same state and the same alerts."""

import os
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.facts import Basis, Fact, Watermark
from service.core.alerts import AlertStatus
from service.settings import Policy
from tests.service.core.month import DAYS, FINAL, disturbed, make_judging_engine, make_month
from tests.service.core.support import (
    ADS,
    SEARCH,
    Feed,
    concluded,
    day,
    is_left_over,
    make_engine,
    make_event,
    make_fact,
    standing,
)

ROUNDS = int(os.environ.get("SPENDWATCH_SHUFFLE_ROUNDS", "40"))


def run(facts: Sequence[Fact | Watermark], *, batches: random.Random | None = None, detector: str = "trailing") -> Feed:
    feed = Feed(make_judging_engine(detector))
    place = 0
    while place < len(facts):
        size = batches.randint(1, 400) if batches is not None else 50
        feed.send(*facts[place : place + size])
        place += size
    feed.send(*FINAL)
    assert feed.engine.take_rejects() == []
    return feed


def with_promises(facts: Sequence[Fact], rng: random.Random) -> list[Fact | Watermark]:
    """Sources say that they are complete at moments when they are anything but."""
    mixed: list[Fact | Watermark] = list(facts)
    for _ in range(rng.randrange(60)):
        promise = Watermark(source=rng.choice(FINAL).source, complete_until=day(rng.randrange(DAYS)))
        mixed.insert(rng.randrange(len(mixed)), promise)
    return mixed


@pytest.mark.parametrize("detector", ["trailing", "seasonal"])
def test_shuffled_repeated_and_corrected_facts_give_the_same_state_and_alerts(detector: str) -> None:
    facts = make_month(seed=1)
    expected = run(facts, detector=detector)
    assert len(concluded(expected.alerts)) >= 4
    rounds = ROUNDS if detector == "trailing" else max(ROUNDS // 10, 3)
    for seed in range(rounds):
        rng = random.Random(seed)
        mixed = disturbed(facts, rng)
        feed = run(with_promises(mixed, rng) if seed % 2 else mixed, batches=rng, detector=detector)
        assert feed.engine.digest() == expected.engine.digest(), f"seed {seed}"
        assert concluded(feed.alerts) == concluded(expected.alerts), f"seed {seed}"


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_few_facts_in_any_order_give_the_same(data: st.DataObject) -> None:
    fact = st.builds(
        make_fact,
        st.integers(0, 12),
        st.sampled_from([0.0, 10.0, 11.0, 100.0, -5.0]),
        series=st.sampled_from([SEARCH, ADS]),
        origin=st.sampled_from(["cur:a", "cur:b", "meter:a"]),
        basis=st.sampled_from(Basis),
        revision=st.integers(0, 2),
    )
    facts = data.draw(st.lists(fact, min_size=1, max_size=40))
    other = data.draw(st.permutations(facts))
    first, second = run(facts), run(other)
    assert first.engine.digest() == second.engine.digest()
    assert concluded(first.alerts) == concluded(second.alerts)


def test_batches_change_nothing_not_even_versions() -> None:
    rng = random.Random(5)
    facts = disturbed(make_month(seed=2), rng)
    at_once = run(facts)
    one_by_one = Feed(make_judging_engine("trailing"))
    for fact in facts:
        one_by_one.send(fact)
    one_by_one.send(*FINAL)
    assert one_by_one.alerts == at_once.alerts
    assert one_by_one.engine.freeze() == at_once.engine.freeze()


def test_alerts_that_no_order_ends_with_are_withdrawn_or_left_over_from_a_correction() -> None:
    facts = make_month(seed=1)
    final = concluded(run(facts).alerts)
    for seed in range(5):
        rng = random.Random(seed)
        feed = run(disturbed(facts, rng), batches=rng)
        for alert in standing(feed.alerts).values():
            is_final = (alert.series, alert.kind, alert.starts_at) in final
            assert is_final or alert.status is AlertStatus.WITHDRAWN or is_left_over(alert)


def test_facts_older_than_the_ring_are_counted_in_any_order_and_judge_nothing() -> None:
    """In another order one of them might have been in the ring: that is what its length is for."""
    old = [fact for fact in make_month(seed=4) if fact.charge_period_start < day(15)]
    ends = []
    for seed in range(10):
        feed = Feed(make_engine(Policy(detector="trailing", ring_buckets=10)))
        feed.days([100.0] * 28)
        feed.send(*(make_event(number, 50.0, f"n-{number}", series=ADS) for number in range(28)))
        feed.complete(28)
        before = feed.engine.month_to_date(ADS)
        late = disturbed([fact for fact in old if fact.series in (SEARCH, ADS)], random.Random(seed))
        assert feed.send(*late) == []
        assert feed.engine.stats.too_late == len(late)
        assert feed.engine.month_to_date(SEARCH) == ("2024-09", 2800.0)
        assert feed.engine.month_to_date(ADS) != before == ("2024-09", 1400.0)
        ends.append((feed.engine.digest(), feed.engine.month_to_date(ADS)))
    assert len(set(ends)) == 1
