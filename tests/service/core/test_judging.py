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


def make_daily(**changes: object) -> Fold:
    series = SeriesKey(metric="cost", unit="USD", grain=Grain.DAY, dimension="tag:team", value="search")
    policy = Policy.model_validate({"detector": "rolling", "floor": 5.0, "params": {"sigma": 3.0}, **changes})
    judge = PolicyBook((policy,)).judge_of(series)
    return Fold(judge, judge.make(), None)


def hovering(fold: Fold) -> tuple[list[float], float]:
    """Ordinary days, and a value that is within the bound, but most of the way to it."""
    days = noise(60, level=100.0)
    feed(fold, days)
    band = fold.detector.score_one(100.0, (START + 60) * 86_400).band
    assert band is not None
    return days, band.expected + 0.8 * (band.upper - band.expected)


@pytest.mark.parametrize(
    ("pauses", "expected"),
    [(0, [(60, 1), (62, 1), (64, 1)]), (1, [(60, 5)]), (2, [(60, 5)])],
)
def test_a_series_that_hovers_at_its_bound_makes_one_episode(pauses: int, expected: list[tuple[int, int]]) -> None:
    days, near = hovering(make_daily())
    values = [*days, 200.0, near, 200.0, near, 200.0, 100.0, 100.0]
    assert feed(make_daily(keep_firing_for=pauses), values) == expected


def test_what_is_clearly_back_ends_an_episode_at_once() -> None:
    days, _ = hovering(make_daily())
    assert feed(make_daily(keep_firing_for=2), [*days, 200.0, 100.0, 200.0]) == [(60, 1), (62, 1)]


def test_after_so_many_in_a_row_it_is_over() -> None:
    days, near = hovering(make_daily())
    values = [*days, 200.0, near, near, near, 200.0]
    assert feed(make_daily(keep_firing_for=2), values) == [(60, 1), (64, 1)]


def test_what_was_only_a_pause_is_learned_and_not_part_of_the_money() -> None:
    days, near = hovering(make_daily())
    fold = make_daily(keep_firing_for=2)
    feed(fold, [*days, 200.0, near, 200.0])
    [episode] = fold.ended
    assert (episode.count, episode.held[1]) == (2, None)
    assert abs(episode.impact - 2 * to_nano(100.0)) < to_nano(10.0)
