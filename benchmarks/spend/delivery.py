"""How the records of a month arrive: late, first in part, restated, twice and out of order. Seeded.

A record is late by up to 72 hours after its period began to be known, 8 in the median; 2 % come after five days. The
first says 70 %, the following ones up to 100 %; 1 % of periods are restated by up to 10 % within ten days after that;
half a percent arrive twice. The source vouches for a period 24 hours after its end.
"""

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.spend.calendars import DAY, HOUR
from benchmarks.spend.tags import Tag

VOUCHED_HOURS = 24
RUN_HOURS = {DAY: 6, HOUR: 1}
"""So often the source delivers what it has."""
_MEDIAN_HOURS = 8.0
_MOST_HOURS = 72.0
_SIGMA = 0.8


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """value: as this record states it. at: when it arrives, seconds since 1970. revision: rises with each."""

    at: int
    tag: int
    period: int
    revision: int
    value: float


def arrivals(tags: list[Tag], seed: int) -> list[Arrival]:
    """In the order in which they come; of one tag in any order."""
    found: list[Arrival] = []
    for number, tag in enumerate(tags):
        rng = random.Random(f"{seed}/{tag.name}/delivery")
        for period, value in enumerate(tag.values):
            if value is not None:
                found.extend(_of_period(number, period, value, tag, rng))
    heapq.heapify(found)
    return [heapq.heappop(found) for _ in range(len(found))]


def _of_period(number: int, period: int, value: float, tag: Tag, rng: random.Random) -> Iterator[Arrival]:
    end = tag.calendar[period].at + tag.grain_seconds
    hours = 120.0 if rng.random() < 0.02 else min(_MEDIAN_HOURS * math.exp(rng.gauss(0.0, _SIGMA)), _MOST_HOURS)
    at = end + hours * HOUR
    steps = (0.7, 0.95, 1.0)[-rng.randint(1, 3) :] if hours < VOUCHED_HOURS / 2 else (1.0,)
    gap = (VOUCHED_HOURS - hours) / (len(steps) + 1)
    revision = 0
    for revision, part in enumerate(steps):
        yield Arrival(int(at + revision * gap * HOUR), number, period, revision, value * part)
    if rng.random() < 0.01:
        later = at + rng.uniform(2, 10) * DAY
        yield Arrival(
            int(later), number, period, revision + 1, value * (1.0 + rng.choice((-1, 1)) * rng.uniform(0.01, 0.1))
        )
    if rng.random() < 0.005:
        yield Arrival(int(at + rng.uniform(0, 3) * DAY), number, period, revision, value)
