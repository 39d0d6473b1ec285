"""Three grains, newcomers, silence, new tags and feedback in one log: batches and restarts change nothing."""

import os
import random
from collections.abc import Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace

from connectors.facts import Fact, Feedback, FeedbackVerdict, Fold, Watermark
from service.core.alerts import Alert
from service.core.engine import Engine
from service.core.feedback import feedback_of
from service.settings import Match, Policy
from tests.service.core.fleet import daily, instant, levels, metered, tag
from tests.service.core.month import FINAL, make_month
from tests.service.core.support import FIRST_DAY, Feed, Record, day, make_book, make_driver, make_fact, standing

ROUNDS = int(os.environ.get("SPENDWATCH_UPHEAVAL_ROUNDS", "3"))
SOURCES = ("cur", "export", "meter", "cloudwatch")
MOVED = 24
"""The day on which a resource goes from one team to another."""


def make_judging_engine(close_limit: int | None = None) -> Engine:
    policies = [Policy(match=Match(grain=grain), detector="trailing", ring_buckets=1000) for grain in ("1h", "5m")]
    book = make_book(*policies, Policy(detector="trailing", ring_buckets=50, accept_after=7))
    return Engine(policies=book, driver_buckets=50, close_limit=close_limit)


def make_facts(seed: int) -> list[Fact]:
    rng = random.Random(seed)
    teams = levels(12, seed)
    mute, left, joined = rng.sample(sorted(teams), 3)
    facts = make_month(seed)
    facts += daily({name: teams[name] for name in teams if name != mute}, range(45), seed)
    facts += daily({mute: teams[mute]}, [*range(25), *range(25 + rng.randint(2, 12), 45)], seed)
    for number in range(3):
        facts += daily({f"new{number}": rng.choice((5.0, 50.0, 5000.0))}, range(rng.randint(20, 40), 45), seed)
    facts += metered("burn", 262.0, 38 * 1440 + rng.randrange(1200), 240, step=20)
    facts += hourly(rng)
    facts += gauged(rng)
    return sorted(move(facts, tag(left), tag(joined), teams[left]), key=lambda fact: fact.charge_period_start)


def hourly(rng: random.Random) -> Iterator[Fact]:
    for hour in range(8 * 24):
        for name in ("steady", "mute"):
            if name == "steady" or not 100 <= hour < 140:
                amount = rng.uniform(9, 11) * (6 if hour in (150, 151) else 1)
                yield make_fact(30, amount, series=tag(name, "1h"), charge_period_start=day(30, hour=hour))


def gauged(rng: random.Random) -> Iterator[Fact]:
    for sample in range(3 * 288):
        yield Fact(
            series="default/cpu_utilization/percent/5m/resource_id=i-9",
            charge_period_start=instant(35 * 1440 + sample * 5),
            value=rng.uniform(40, 43) + (40 if 600 <= sample < 612 else 0),
            origin="cloudwatch:eu",
            fold=Fold.GAUGE,
            event_id=str(sample),
        )


def move(facts: list[Fact], left: str, joined: str, amount: float) -> Iterator[Fact]:
    for fact in facts:
        sign = {left: -1, joined: 1}.get(fact.series, 0)
        if not sign or fact.charge_period_start < day(MOVED):
            yield fact
            continue
        other = (joined if sign < 0 else left).partition("=")[2]
        moved = sign * amount if fact.charge_period_start < day(MOVED + 1) else 0.0
        part = replace(
            make_driver(fact.value / 2 + sign * amount, "EC2", "i-1"),
            retagged=moved or None,
            retagged_with=other if moved else None,
        )
        yield replace(fact, value=fact.value + sign * amount, drivers=(part,), retagged=moved)


def make_log(seed: int) -> tuple[list[Record], Feed]:
    """As one partition holds it, and what came of it record by record. Feedback is about what was told before it."""
    rng = random.Random(seed)
    feed = Feed(make_judging_engine())
    log: list[Record] = []

    def put(message: Fact | Watermark | Feedback) -> None:
        log.append(feed.record(message))  # type: ignore[arg-type]  # feedback is encoded like the others
        feed.engine.apply(log[-1:])
        feed.alerts += feed.engine.take_alerts()

    today = FIRST_DAY
    for number, fact in enumerate(make_facts(seed)):
        while fact.charge_period_start >= day((today - FIRST_DAY).days + 1):
            today += timedelta(days=1)
            for source in SOURCES:
                put(Watermark(source=source, complete_until=day((today - FIRST_DAY).days)))
        put(fact)
        if number % 150 == 149 and feed.alerts:
            told = rng.choice(list(standing(feed.alerts).values())[-6:])
            put(feedback_of(told, rng.choice(list(FeedbackVerdict)), revision=number))
    for watermark in FINAL:
        put(watermark)
    assert feed.engine.take_rejects() == []
    return log, feed


def in_batches(log: list[Record], rng: random.Random) -> Iterator[list[Record]]:
    place = 0
    while place < len(log):
        size = rng.randint(1, 150)
        yield log[place : place + size]
        place += size


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_batches_put_off_closing_and_restarts_change_nothing(seed: int) -> None:
    log, undisturbed = make_log(seed)
    expected = standing(undisturbed.alerts)
    assert {alert.kind.value for alert in expected.values()} >= {"spike", "drop", "new_spend", "missing"}
    assert {alert.grain for alert in expected.values()} == {"1d", "1h", "5m"}
    for close_limit in (None, 0, 3):
        for restarts in (0.0, 0.6):
            rng = random.Random(seed)
            topic: dict[bytes, bytes] = {}
            alerts: list[Alert] = []
            engine = make_judging_engine(close_limit)
            for batch in in_batches(log, rng):
                engine.apply(batch)
                alerts += engine.take_alerts()
                if rng.random() < restarts:
                    topic.update(engine.freeze())
                    engine = make_judging_engine(close_limit)
                    for key in rng.sample(sorted(topic), len(topic)):
                        engine.restore(key, topic[key])
                elif rng.random() < 0.5:
                    engine.advance(rng.randint(0, 5))
            engine.apply(())
            assert engine.advance(1000) == 0
            alerts += engine.take_alerts()
            assert standing(alerts) == expected, f"close_limit {close_limit}, restarts {restarts}"
            assert engine.digest() == undisturbed.engine.digest()
