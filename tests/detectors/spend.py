"""Seeded spend for the tests of detectors, and the loop that drives them as the service does.

Invented numbers: they show that a detector does what it is meant to, never how good it is on real bills.
"""

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

from detectors import Detector, Status, Verdict, create
from detectors.calendar import DAY, HOUR, day_of_month, hour_of_day, weekday
from detectors.parameters import Value

FIRST_MONDAY = 19_723 * DAY
"""2024-01-01."""
NOISES = (0.02, 0.05, 0.1, 0.2)


class Bucket(NamedTuple):
    value: float
    at: int


def daily(**params: Value) -> Detector:
    return create("seasonal", grain_seconds=DAY, params=params)


def hourly(**params: Value) -> Detector:
    return create("seasonal", grain_seconds=HOUR, params=params)


def daily_spend(seed: int, *, days: int, noise: float, month_effects: bool = True) -> list[Bucket]:
    """Spend of one tag: weekends at 40-100 %, -2 to +8 % a month, AR(1) noise, month-turn fees and batches."""
    rng = random.Random(f"{seed}/{noise}")
    level = math.exp(rng.uniform(math.log(5.0), math.log(5000.0)))
    weekend, growth = rng.uniform(0.4, 1.0), rng.uniform(-0.02, 0.08)
    fee = rng.uniform(0.2, 1.5) if rng.random() < 0.4 and month_effects else 0.0
    batch = rng.uniform(0.1, 0.6) if rng.random() < 0.3 and month_effects else 0.0
    start = FIRST_MONDAY + rng.randrange(365) * DAY
    deviation, buckets = 0.0, []
    for number in range(days):
        at = start + number * DAY
        deviation = 0.5 * deviation + math.sqrt(0.75) * rng.gauss(0.0, noise)
        day, left = day_of_month(at)
        value = level * (1.0 + growth) ** (number / 30) * math.exp(deviation)
        value *= weekend if weekday(at) >= 5 else 1.0
        value *= 1.0 + (fee if day == 1 else batch if left < 2 else 0.0)
        buckets.append(Bucket(value, at))
    return buckets


def hourly_spend(seed: int, *, days: int, noise: float) -> list[Bucket]:
    """As daily_spend, with up to 50 % more by day than by night, and without effects of the month."""
    rng = random.Random(f"{seed}/{noise}/hourly")
    level = math.exp(rng.uniform(math.log(0.2), math.log(200.0)))
    weekend, growth = rng.uniform(0.4, 1.0), rng.uniform(-0.02, 0.08)
    swing, shift = rng.uniform(0.0, 0.5), rng.randrange(24)
    deviation, buckets = 0.0, []
    for number in range(24 * days):
        at = FIRST_MONDAY + number * HOUR
        deviation = 0.5 * deviation + math.sqrt(0.75) * rng.gauss(0.0, noise)
        value = level * (1.0 + growth) ** (number / 720) * math.exp(deviation)
        value *= weekend if weekday(at) >= 5 else 1.0
        value *= 1.0 + swing * math.sin(2.0 * math.pi * (hour_of_day(at) - shift) / 24)
        buckets.append(Bucket(value, at))
    return buckets


def drive(detector: Detector, buckets: Sequence[Bucket], *, accept_after: int = 7) -> list[Verdict]:
    """Judge first, learn second; hold the abnormal back, and accept its level after so many in a row."""
    verdicts: list[Verdict] = []
    held: list[Bucket] = []
    for bucket in buckets:
        verdict = detector.score_one(bucket.value, bucket.at)
        verdicts.append(verdict)
        if verdict.status in (Status.NORMAL, Status.WARMING_UP):
            held.clear()
            detector.learn_one(bucket.value, bucket.at)
            continue
        held.append(bucket)
        if len(held) >= accept_after:
            detector.accept_level(held)
            held.clear()
    return verdicts


def episodes(verdicts: Sequence[Verdict]) -> int:
    """How many alerts these would be: runs of abnormal buckets."""
    abnormal = [verdict.status in (Status.HIGH, Status.LOW) for verdict in verdicts]
    return sum(now and not before for before, now in zip([False, *abnormal], abnormal, strict=False))


def judged(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict.status is not Status.WARMING_UP for verdict in verdicts)
