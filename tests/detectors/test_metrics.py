"""Several metrics of one resource: what parts from the others is told, and what all do together is not."""

import math
import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import NotFiniteError, StateError, Status
from detectors.metrics import MOST_METRICS, Metrics

GRAIN = 300


def taught(seed: int = 1, count: int = 2000) -> Metrics:
    rng, metrics = random.Random(seed), Metrics(3, grain_seconds=GRAIN)
    for number in range(count):
        metrics.learn_one(row(rng.gauss(0.0, 0.4), rng), number * GRAIN)
    return metrics


def row(load: float, rng: random.Random) -> list[float]:
    return [scale * math.exp(load + rng.gauss(0.0, 0.05)) for scale in (50.0, 1e6, 2.0)]


def test_a_metric_that_parts_from_the_others_is_told_though_it_is_ordinary_by_itself() -> None:
    metrics, rng = taught(), random.Random(2)
    cpu, network, cost = row(0.5, rng)
    low = row(-0.5, rng)
    at = 2000 * GRAIN
    assert all(verdict.status is Status.NORMAL for verdict in metrics.judge_one([cpu, network, cost], at))
    assert all(verdict.status is Status.NORMAL for verdict in metrics.judge_one(low, at))
    found = metrics.judge_one([low[0], network, cost], at)
    assert found[0].status is Status.LOW
    assert max(verdict.score for verdict in found) == found[0].score
    assert found[0].band is not None
    assert found[0].band.expected == pytest.approx(cpu, rel=0.3)


def test_judging_changes_nothing_and_a_restored_state_continues_identically() -> None:
    metrics, twin = taught(), Metrics(3, grain_seconds=GRAIN)
    twin.restore(metrics.export())
    rng = random.Random(3)
    for number in range(2000, 2100):
        given_row = row(rng.gauss(0.0, 1.0), rng)
        before = metrics.export()
        assert metrics.judge_one(given_row, number * GRAIN) == twin.judge_one(given_row, number * GRAIN)
        assert metrics.export() == before
        metrics.learn_one(given_row, number * GRAIN)
        twin.learn_one(given_row, number * GRAIN)
    assert metrics.export() == twin.export()


def test_a_state_that_is_cut_off_or_of_another_count_is_refused() -> None:
    state = taught().export()
    for bad in (state[:1], state[:20], state[:-1], (*state, 1.0)):
        with pytest.raises(StateError):
            Metrics(3, grain_seconds=GRAIN).restore(bad)
    with pytest.raises(StateError, match="other parameters"):
        Metrics(2, grain_seconds=GRAIN).restore(state)


def test_nan_is_refused_and_changes_nothing() -> None:
    metrics = taught()
    before = metrics.export()
    with pytest.raises(NotFiniteError):
        metrics.judge_one([1.0, math.nan, 1.0], 0)
    with pytest.raises(NotFiniteError):
        metrics.learn_one([1.0, math.inf, 1.0], 0)
    assert metrics.export() == before


@pytest.mark.parametrize("count", [0, MOST_METRICS + 1])
def test_no_metric_or_too_many_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 16 metrics, got"):
        Metrics(count, grain_seconds=GRAIN)


extremes = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, 1e308, -1e308, 1e-308, sys.float_info.max, -sys.float_info.max]
)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(extremes, extremes, extremes), min_size=1, max_size=30), start=st.integers(-(2**62), 2**62)
)
def test_finite_numbers_never_raise(rows: list[tuple[float, float, float]], start: int) -> None:
    metrics = taught(count=400)
    for number, given_row in enumerate(rows):
        for verdict in metrics.judge_one(given_row, start + number * GRAIN):
            assert 0.0 <= verdict.score <= 1.0
            assert verdict.band is not None
            assert all(map(math.isfinite, (verdict.band.lower, verdict.band.upper)))
        metrics.learn_one(given_row, start + number * GRAIN)
    assert all(map(math.isfinite, metrics.export()))
