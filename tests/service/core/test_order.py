"""Any order, repetition or correction of the same facts gives the same state and the same alerts."""

import os
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.facts import Basis, Fact, Fold, Watermark
from service.core.alerts import AlertStatus
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.settings import Policy
from tests.service.core.support import ADS, SEARCH, Feed, day, make_book, make_driver, make_fact, said

ROUNDS = int(os.environ.get("SPENDWATCH_SHUFFLE_ROUNDS", "40"))
DAYS = 45
TOTAL = "default/effective_cost/USD/1d/total="
CPU = "default/cpu_utilization/percent/1d/resource_id=i-1"


def make_month(seed: int) -> list[Fact]:
    """45 days of four series: bills of two accounts, a meter, a gauge; with incidents and 5 % corrections."""
    rng = random.Random(seed)
    facts: list[Fact] = []
    for number in range(DAYS):
        level = 100 * (1 + 0.1 * rng.random())
        factor = {20: 4.0, 21: 3.5, 30: 0.05}.get(number, 1.0)
        for account in ("a", "b"):
            value = round(level * factor / 2, 4)
            facts.append(
                make_fact(
                    number,
                    value,
                    origin=f"cur:{account}",
                    revision=1,
                    drivers=(make_driver(value * 0.7, "EC2", "i-1"), make_driver(value * 0.2, "S3")),
                )
            )
            facts.append(make_fact(number, value * 3, series=TOTAL, origin=f"cur:{account}", revision=1))
        if number >= 40:  # the bill of the last days is not there yet
            facts = [fact for fact in facts if fact.series != ADS or fact.charge_period_start < day(40)]
        else:
            facts.append(make_fact(number, round(level * factor, 2), series=ADS, origin="export:x", revision=1))
        for part in range(3):
            amount = round(level / 3 * (5.0 if number == 43 else 1.0), 4)
            facts.append(
                make_fact(
                    number,
                    amount,
                    series=ADS,
                    charge_period_start=day(number, hour=part * 7),
                    fold=Fold.ADD,
                    basis=Basis.ESTIMATED,
                    origin="meter:eu",
                    event_id=f"{number}-{part}",
                )
            )
            facts.append(
                make_fact(
                    number,
                    40 + 5 * rng.random() + (45 if number == 25 else 0),
                    series=CPU,
                    charge_period_start=day(number, hour=part * 8),
                    fold=Fold.GAUGE,
                    origin="cloudwatch:eu",
                    event_id=f"{number}-{part}",
                )
            )
    corrected = rng.sample(facts, len(facts) // 20)
    for fact in corrected:
        change = rng.choice((-0.5, 0.1, 2.0))
        if fact.fold is Fold.SET:
            facts.append(make_correction(fact, fact.value * (1 + change), revision=2))
        elif fact.fold is Fold.ADD:
            facts.append(make_correction(fact, fact.value * change, event_id=f"{fact.event_id}-corrected"))
    return facts


def make_correction(fact: Fact, value: float, *, revision: int = 0, event_id: str = "") -> Fact:
    return Fact(
        series=fact.series,
        charge_period_start=fact.charge_period_start,
        value=value,
        origin=fact.origin,
        revision=revision,
        fold=fact.fold,
        basis=fact.basis,
        event_id=event_id,
        drivers=fact.drivers,
    )


FINAL = tuple(
    Watermark(source=source, complete_until=day(DAYS + 5)) for source in ("cur", "export", "meter", "cloudwatch")
)


def make_judging_engine(detector: str, *, close_limit: int | None = None) -> Engine:
    policy = Policy(detector=detector, ring_buckets=DAYS + 5)
    book = PolicyBook((policy,)) if detector == "seasonal" else make_book(policy)
    return Engine(policies=book, driver_buckets=DAYS + 5, close_limit=close_limit)


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


def disturbed(facts: Sequence[Fact], rng: random.Random) -> list[Fact]:
    """Shuffled, and a fifth of them twice."""
    mixed = [*facts, *rng.sample(list(facts), len(facts) // 5)]
    rng.shuffle(mixed)
    return mixed


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
    assert len(said(expected.alerts)) >= 4
    rounds = ROUNDS if detector == "trailing" else max(ROUNDS // 10, 3)
    for seed in range(rounds):
        rng = random.Random(seed)
        mixed = disturbed(facts, rng)
        feed = run(with_promises(mixed, rng) if seed % 2 else mixed, batches=rng, detector=detector)
        assert feed.engine.digest() == expected.engine.digest(), f"seed {seed}"
        assert said(feed.alerts) == said(expected.alerts), f"seed {seed}"


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
    assert said(first.alerts) == said(second.alerts)


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


def test_alerts_that_no_order_ends_with_are_withdrawn() -> None:
    facts = make_month(seed=1)
    rng = random.Random(3)
    feed = run(disturbed(facts, rng), batches=rng)
    last = {alert.id: alert for alert in feed.alerts}
    final = said(run(facts).alerts)
    for alert in last.values():
        assert alert.id in final or alert.status is AlertStatus.WITHDRAWN
