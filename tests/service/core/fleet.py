"""A partition of many tags: mature ones, newcomers, meters that report by the minute, and tags that fall silent."""

import random
from collections.abc import Iterable, Iterator
from datetime import timedelta

from connectors.facts import Basis, Fact, Fold, Watermark, format_instant
from tests.service.core.support import FIRST_DAY, day, make_fact

P4D_USD_PER_HOUR = 262.0
"""Eight p4d.24xlarge on demand, us-east-1."""


def tag(name: str, grain: str = "1d") -> str:
    return f"default/effective_cost/USD/{grain}/tag:team={name}"


def instant(minutes: float) -> str:
    """Minutes after the first day's start."""
    return format_instant(FIRST_DAY + timedelta(minutes=minutes))


def levels(count: int, seed: int, *, low: float = 5.0, high: float = 500.0) -> dict[str, float]:
    """Team -> USD a day, spread evenly over the orders of magnitude."""
    rng = random.Random(seed)
    return {f"t{number:04}": low * (high / low) ** rng.random() for number in range(count)}


def daily(
    teams: dict[str, float], days: Iterable[int], seed: int, *, skip: frozenset[str] = frozenset()
) -> Iterator[Fact]:
    """The bill of each day, with 10 % noise and quiet weekends."""
    rng = random.Random(f"daily {seed}")
    for number in days:
        for name, level in teams.items():
            value = level * (0.7 if number % 7 >= 5 else 1.0) * rng.lognormvariate(0.0, 0.1)
            if name not in skip:
                yield make_fact(number, round(value, 4), series=tag(name))


def metered(
    name: str, usd_per_hour: float, start: float, minutes: int, *, step: int = 1, grain: str = "1d"
) -> Iterator[Fact]:
    """A meter's events from minute *start* on, one every *step* minutes."""
    for minute in range(0, minutes + 1, step):
        yield Fact(
            series=tag(name, grain),
            charge_period_start=instant(start + minute),
            value=usd_per_hour * step / 60,
            origin="meter:eu",
            fold=Fold.ADD,
            basis=Basis.ESTIMATED,
            event_id=f"{name}-{start + minute}",
        )


def complete(number: int, source: str = "cur") -> Watermark:
    return Watermark(source=source, complete_until=day(number))
