"""Buckets and a detector make episodes: what is held back, and what a detector with a memory makes of it."""

import random
from collections.abc import Iterable

import pytest

from connectors.facts import Basis
from connectors.series import Grain, SeriesKey
from service.core.amounts import to_nano
from service.core.judging import Fold
from service.core.policies import PolicyBook
from service.settings import Policy

START = 2_000_000


def make_fold(detector: str | None, floor: float = 5.0) -> Fold:
    series = SeriesKey(metric="cpu", unit="percent", grain=Grain.FIVE_MINUTES, dimension="resource_id", value="i-1")
    judge = PolicyBook((Policy(detector=detector, floor=floor),)).judge_of(series)
    return Fold(judge, judge.make(), None)


def feed(fold: Fold, values: Iterable[float]) -> list[tuple[int, int]]:
    """First bucket (counted from 0) and length of the episodes."""
    for number, value in enumerate(values):
        fold.bucket(START + number, to_nano(value), Basis.ESTIMATED)
    fold.bucket(START + 1_000_000, 0, Basis.ESTIMATED)  # so much later, whatever went on is over
    return [(episode.first - START, len(episode.held)) for episode in fold.ended]


def noise(count: int, level: float = 40.0) -> list[float]:
    rng = random.Random(1)
    return [rng.gauss(level, 2.0) for _ in range(count)]


@pytest.mark.parametrize(("detector", "learned"), [("rolling", False), ("usage", True)])
def test_an_abnormal_bucket_is_held_back_unless_the_detector_wants_it(detector: str, learned: bool) -> None:
    fold = make_fold(detector)
    feed(fold, noise(400))
    before = fold.detector.export()
    fold.bucket(START + 400, to_nano(95.0), Basis.ESTIMATED)
    assert fold.run is not None
    assert (fold.detector.export() != before) is learned


def test_usage_of_five_minutes_raises_one_alert_per_incident() -> None:
    values = noise(1500)
    values[700:712] = [95.0] * 12
    values[1100] = 0.0
    assert feed(make_fold(None, floor=20.0), values) == [(700, 12), (1100, 1)]


def test_a_new_level_of_usage_is_one_alert_and_then_the_rule() -> None:
    episodes = feed(make_fold(None, floor=20.0), [*noise(700), *noise(1000, level=80.0)])
    assert episodes == [(700, 101)]


def test_what_is_below_the_floor_is_learned_too() -> None:
    values = noise(1500)
    values[700:712] = [55.0] * 12
    assert feed(make_fold(None, floor=30.0), values) == []
