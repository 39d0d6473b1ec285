"""A month of several sources with incidents and corrections, for tests of whether order and restarts matter."""

import random
from collections.abc import Sequence

from connectors.facts import Basis, Fact, Fold, Watermark
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.settings import Policy
from tests.service.core.support import ADS, day, make_book, make_driver, make_fact

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


def disturbed(facts: Sequence[Fact], rng: random.Random) -> list[Fact]:
    """Shuffled, and a fifth of them twice."""
    mixed = [*facts, *rng.sample(list(facts), len(facts) // 5)]
    rng.shuffle(mixed)
    return mixed
