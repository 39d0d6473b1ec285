"""A month of several sources with incidents and corrections, for tests of whether order and restarts matter."""

import random
from collections.abc import Sequence

from msgspec.structs import replace

from connectors.facts import Basis, Fact, Fold, Watermark
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.settings import Policy
from tests.service.core.support import ADS, day, make_book, make_driver, make_fact

DAYS = 45
TOTAL = "default/effective_cost/USD/1d/total="
CPU = "default/cpu_utilization/percent/1d/resource_id=i-1"


def make_month(seed: int) -> list[Fact]:
    """45 days of four series and more: bills of two accounts, a meter, a gauge; with incidents and 5 % corrections.

    And one bill is delivered again in full."""
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
    for fact in rng.sample(facts, len(facts) // 20):
        facts += correct(fact, rng)
    return facts + restate_in_full([fact for fact in facts if fact.origin == "cur:b"], rng)


def correct(fact: Fact, rng: random.Random) -> list[Fact]:
    """What a source may say later of what it has said: by how much it was wrong, that it takes it back, a new amount,
    two amounts under one revision, or that it was another currency. Or somebody else says something besides."""
    delta = fact.value * rng.choice((-0.5, 0.1, 2.0))
    if fact.fold is Fold.ADD:
        return rng.choice(
            (
                [replace(fact, value=delta, event_id=f"{fact.event_id}-delta")],
                [replace(fact, value=-fact.value, event_id=f"{fact.event_id}-reversed")],
                [replace(fact, value=fact.value * 2, fold=Fold.SET, event_id="", origin="meter:us", revision=1)],
            )
        )
    if fact.fold is Fold.GAUGE:
        return rng.choice(
            (
                [replace(fact, value=fact.value / 2, event_id=f"{fact.event_id}-again")],
                [replace(fact, value=fact.value + 1, basis=Basis.ESTIMATED, event_id=f"{fact.event_id}-guess")],
            )
        )
    return rng.choice(
        (
            [replace(fact, value=fact.value + delta, revision=2)],
            [replace(fact, value=0.0, revision=2, drivers=())],
            [replace(fact, value=fact.value * factor, revision=2) for factor in (0.9, 1.1)],
            [
                replace(fact, value=0.0, revision=2, drivers=()),
                replace(fact, series=fact.series.replace("/USD/", "/EUR/"), value=fact.value * 0.9, revision=2),
            ],
            [replace(fact, value=-fact.value / 4, fold=Fold.ADD, event_id=f"credit-{fact.charge_period_start}")],
        )
    )


def restate_in_full(facts: Sequence[Fact], rng: random.Random) -> list[Fact]:
    """A delivery once more, days 8 to 25 of it: most as before, some changed, some no longer there."""
    latest = {(fact.series, fact.charge_period_start): fact for fact in facts if fact.fold is Fold.SET}
    again = [fact for fact in latest.values() if day(8) <= fact.charge_period_start < day(25)]
    return [replace(fact, value=fact.value * rng.choice((1.0, 1.0, 1.0, 1.2, 0.0)), revision=5) for fact in again]


FINAL = tuple(
    Watermark(source=source, complete_until=day(DAYS + 5)) for source in ("cur", "export", "meter", "cloudwatch")
)


def make_judging_engine(detector: str, *, close_limit: int | None = None) -> Engine:
    policy = Policy(detector=detector, ring_buckets=DAYS + 5)
    book = PolicyBook((policy,)) if detector == "seasonal" else make_book(policy)
    return Engine(policies=book, driver_buckets=DAYS + 5, close_limit=close_limit)


def disturbed(facts: Sequence[Fact], rng: random.Random) -> list[Fact]:
    """Shuffled, and a fifth of them twice."""
    mixed = [*facts, *rng.sample(list(facts), len(facts) // 5)]
    rng.shuffle(mixed)
    return mixed
