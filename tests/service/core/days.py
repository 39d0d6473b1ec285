"""Invented spend, and what the service tells of it: judged and learned as in the engine, bucket after bucket."""

import random
from collections.abc import Iterable

from connectors.facts import Basis
from connectors.series import SeriesKey
from service.core.amounts import to_nano
from service.core.judging import Fold
from service.core.policies import PolicyBook
from service.settings import Policy

MONDAY = 19_723
"""2024-01-01, in days since 1970."""


def told(values: Iterable[float | None], *, start: int = MONDAY, grain: str = "1d") -> list[range]:
    """The buckets of each episode that is told, counted from the first; None where there is no record.

    start: the day of the first.
    """
    judge = PolicyBook((Policy(),)).judge_of(SeriesKey.parse(f"default/effective_cost/USD/{grain}/tag:team=search"))
    fold, first = Fold(judge, judge.make(), None), start * 86_400 // judge.grain_seconds
    for number, value in enumerate(values):
        if value is not None:
            fold.bucket(first + number, to_nano(value), Basis.BILLED)
    fold.bucket(first + 100_000, 0, Basis.BILLED)  # so much later, whatever went on is over
    return [range(episode.first - first, episode.last + 1 - first) for episode in fold.ended]


def spend(rng: random.Random, days: int, *, noise: float = 0.02, start: int = MONDAY) -> list[float]:
    """100 a working day, 70 at weekends."""
    return [
        (70.0 if (start + day - MONDAY) % 7 >= 5 else 100.0) * rng.lognormvariate(0.0, noise) for day in range(days)
    ]
