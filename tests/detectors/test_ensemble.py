"""Calibrated members: one rate of false alarms, whatever the series; whoever speaks, its bound is the band's."""

import math
import random
from statistics import NormalDist

import pytest

from benchmarks.driving import drive, episodes
from benchmarks.quiet import KINDS, series
from detectors import ParameterError, StateError, Status, create
from detectors.calendar import DAY
from detectors.tail import Prior, Tail, normal_prior


def rate_of(name: str, kind: str, members: str | None = None) -> float:
    """False alarms of 12 series in 30 days each."""
    told = judged = 0
    for seed in range(12):
        params = {} if members is None else {"members": members}
        driven = drive(
            create(name, grain_seconds=DAY, params=params),
            series(kind, seed, grain_seconds=DAY, count=400),
            grain_seconds=DAY,
        )
        told += episodes(driven.abnormal, grain_seconds=DAY)
        judged += driven.judged
    return 30 * told / judged


@pytest.mark.parametrize("kind", KINDS)
def test_quiet_series_raise_no_more_than_a_few_times_the_nominal_rate(kind: str) -> None:
    assert rate_of("ensemble", kind) <= 0.05 * (5 if kind == "heavy_tail" else 3)


def test_calibration_quietens_the_classic_rule_tenfold_where_it_is_loudest() -> None:
    assert rate_of("ensemble", "sparse", "rolling") < 0.25 * rate_of("rolling", "sparse")


def test_a_member_with_narrow_bounds_and_one_with_wide_ones_come_to_the_same() -> None:
    """A tail that has seen enough gives the quantile of what it saw, whatever theory said."""
    wanted = NormalDist().inv_cdf(1 - 1 / 500)
    for theory in (2.0, 8.0):
        rng, tail = random.Random(1), Tail(normal_prior(theory))
        for _ in range(8000):
            tail.learn_one(rng.gauss(0.0, 1.0))
        assert tail.bound(1 / 500) == pytest.approx(wanted, rel=0.15)


def test_rarity_falls_with_the_distance_without_an_end() -> None:
    for prior in (Prior(1.0, 0.3, 0.12), Prior(1.0, 0.3, 0.5)):
        tail = Tail(prior)
        bound = tail.bound(0.001)
        rarities = [tail.rarity(bound * 1.5**step, 0.001) for step in range(20)]
        assert rarities[0] == pytest.approx(0.0, abs=1e-9)
        assert rarities == sorted(rarities, reverse=True)
        assert rarities[-1] < -50.0


def test_the_band_lies_within_that_of_every_member() -> None:
    rng = random.Random(1)
    together = create("ensemble", grain_seconds=DAY, params={})
    alone = {name: create("ensemble", grain_seconds=DAY, params={"members": name}) for name in ("seasonal", "shift")}
    for day in range(200):
        value = 100.0 * math.exp(rng.gauss(0.0, 0.05))
        for detector in (together, *alone.values()):
            detector.learn_one(value, day * DAY)
    band = together.band_at(200 * DAY)
    assert band is not None
    for detector in alone.values():
        other = detector.band_at(200 * DAY)
        assert other is not None
        # Alone a member need not share its rate, so its bounds lie nearer.
        assert band.upper < 1.5 * other.upper
    assert together.score_one(band.upper * 1.01, 200 * DAY).status is Status.HIGH


def test_a_creep_is_told_by_the_ensemble_though_no_single_day_stands_out() -> None:
    rng = random.Random(1)
    given = [(100.0 * math.exp(rng.gauss(0.0, 0.03)) * 1.03 ** max(day - 120, 0), day * DAY) for day in range(150)]
    driven = drive(create("ensemble", grain_seconds=DAY, params={"members": "rolling,creep"}), given, grain_seconds=DAY)
    assert min(day for day in driven.abnormal if day >= 120) <= 134


@pytest.mark.parametrize("members", ["", "seasonal,", "seasonal,seasonal", "usage", "seasonal;shift"])
def test_members_that_do_not_exist_or_come_twice_are_refused(members: str) -> None:
    expected = "members must be some of seasonal, rolling, shift, creep, each once, with commas in between, got"
    with pytest.raises(ParameterError, match=expected):
        create("ensemble", grain_seconds=DAY, params={"members": members})


def test_a_state_of_other_members_is_refused() -> None:
    detector = create("ensemble", grain_seconds=DAY, params={"members": "shift"})
    with pytest.raises(StateError, match="other parameters"):
        detector.restore(create("ensemble", grain_seconds=DAY, params={"members": "creep"}).export())


def test_a_daily_state_is_below_two_kilobytes() -> None:
    detector = create("ensemble", grain_seconds=DAY, params={})
    for day in range(400):
        detector.learn_one(100.0 + day % 7, day * DAY)
        assert 8 * len(detector.export()) < 2048
