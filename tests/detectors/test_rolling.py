"""The classic rule, with its guards."""

import random
import statistics
import sys

import pytest

from detectors import Detector, StateError, Status, create
from detectors.calendar import DAY
from detectors.parameters import Value
from tests.detectors.spend import FIRST_MONDAY, Bucket, daily_spend, drive


def rolling(**params: Value) -> Detector:
    return create("rolling", grain_seconds=DAY, params=params)


def teach(detector: Detector, values: list[float]) -> None:
    for number, value in enumerate(values):
        detector.learn_one(value, FIRST_MONDAY + number * DAY)


def test_bounds_are_mean_and_deviations_of_the_last_buckets() -> None:
    detector = rolling(window=5, sigma=2.0, min_learned=5)
    values = [9.0, 80.0, 10.0, 14.0, 8.0, 12.0, 11.0]
    teach(detector, values)
    band = detector.band_at(FIRST_MONDAY)
    assert band is not None
    mean, deviation = statistics.mean(values[-5:]), statistics.stdev(values[-5:])
    assert band.expected == pytest.approx(mean)
    assert (band.lower, band.upper) == pytest.approx((mean - 2 * deviation, mean + 2 * deviation))


def test_judged_bucket_is_left_out_of_its_own_baseline() -> None:
    detector = rolling(window=7, sigma=2.3)
    teach(detector, [100.0, 101.0, 99.0, 100.0, 102.0, 98.0])
    detector.learn_one(100.0, FIRST_MONDAY + 6 * DAY)
    assert detector.score_one(200.0, FIRST_MONDAY + 7 * DAY).status is Status.HIGH
    assert detector.score_one(200.0, FIRST_MONDAY + 7 * DAY).score > 0.99


def test_it_judges_from_min_learned_buckets_on() -> None:
    detector = rolling(min_learned=3)
    teach(detector, [1.0, 2.0])
    assert detector.score_one(9.0, FIRST_MONDAY).status is Status.WARMING_UP
    teach(detector, [3.0])
    assert detector.score_one(9.0, FIRST_MONDAY).status is Status.HIGH


@pytest.mark.parametrize(
    ("value", "status"),
    [(105.9, Status.NORMAL), (106.1, Status.HIGH), (94.1, Status.NORMAL), (93.9, Status.LOW)],
)
def test_spread_of_a_flat_series_is_its_floor(value: float, status: Status) -> None:
    detector = rolling(sigma=3.0, relative_floor=0.02)
    teach(detector, [100.0] * 10)
    assert detector.score_one(value, FIRST_MONDAY).status is status


def test_dust_on_a_series_at_zero_is_quiet() -> None:
    detector = rolling(absolute_floor=0.01)
    teach(detector, [0.0] * 10)
    assert detector.score_one(0.02, FIRST_MONDAY).status is Status.NORMAL
    assert detector.score_one(0.04, FIRST_MONDAY).status is Status.HIGH


def test_accepted_level_keeps_the_relative_scatter() -> None:
    rng = random.Random(1)
    detector = rolling(window=28)
    teach(detector, [rng.gauss(100.0, 5.0) for _ in range(28)])
    before = detector.band_at(FIRST_MONDAY)
    detector.accept_level([(300.0, FIRST_MONDAY + 28 * DAY)])
    after = detector.band_at(FIRST_MONDAY)
    assert before is not None
    assert after is not None
    assert after.expected == pytest.approx(300.0, rel=0.01)
    assert after.upper / after.expected == pytest.approx(before.upper / before.expected, rel=0.02)


def test_accepted_drop_to_zero_is_the_new_normal() -> None:
    detector = rolling()
    teach(detector, [100.0, 110.0, 90.0] * 5)
    detector.accept_level([(0.0, FIRST_MONDAY + day * DAY) for day in range(15, 22)])
    assert detector.score_one(0.0, FIRST_MONDAY + 22 * DAY).status is Status.NORMAL
    band = detector.band_at(FIRST_MONDAY)
    assert band is not None
    assert band.expected == pytest.approx(0.0)


def test_growing_window_takes_over_a_state_and_a_shrinking_one_its_end() -> None:
    detector, wider, narrower = rolling(window=10), rolling(window=20), rolling(window=8)
    teach(detector, [float(n) for n in range(30)])
    for other in (wider, narrower):
        other.restore(detector.export())
    assert wider.export() == detector.export()
    assert narrower.export()[2:] == detector.export()[4:]


def test_state_longer_than_any_window_is_refused() -> None:
    state = rolling().export()
    with pytest.raises(StateError, match="rolling: expected at most 402 numbers, got 403"):
        rolling().restore((*state, *[1.0] * 401))


def test_largest_floats_have_finite_bounds() -> None:
    detector = rolling(window=7)
    teach(detector, [sys.float_info.max, -sys.float_info.max] * 4)
    verdict = detector.score_one(sys.float_info.max, FIRST_MONDAY)
    assert verdict.status is Status.NORMAL
    assert verdict.score <= 0.5


def test_a_threefold_step_is_found_on_its_first_three_days() -> None:
    found = 0
    for seed in range(30):
        buckets = daily_spend(seed, days=59, noise=0.02, month_effects=False)
        level = statistics.mean(bucket.value for bucket in buckets)
        flat = [
            Bucket(level * random.Random(f"{seed}/{n}").lognormvariate(0, 0.1), b.at) for n, b in enumerate(buckets)
        ]
        step = [Bucket(3.0 * value, at) for value, at in flat[-3:]]
        verdicts = drive(rolling(), [*flat[:-3], *step])
        found += [verdict.status for verdict in verdicts[-3:]] == [Status.HIGH] * 3
    assert found == 30
