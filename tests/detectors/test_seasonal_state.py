"""The state of the default detector: how large it is, that it goes on as it was, and what is refused."""

import math
import struct

import pytest

from detectors import StateError, Status, create
from detectors.calendar import DAY, day_of_month, hour_of_day
from detectors.detector import Attentive
from tests.detectors.spend import FIRST_MONDAY, Bucket, daily, daily_spend, drive, hourly, hourly_spend


def test_state_is_small() -> None:
    detector = daily()
    sizes = []
    for bucket in daily_spend(15, days=60, noise=0.1):
        detector.learn_one(bucket.value, bucket.at)
        sizes.append(8 * len(detector.export()))
    assert max(sizes) <= 240
    detector = hourly()
    drive(detector, hourly_spend(15, days=21, noise=0.1))
    assert 8 * len(detector.export()) <= 1848


def test_state_of_a_constant_series_is_restored_however_small_the_noise_may_be() -> None:
    detector = create("seasonal", grain_seconds=DAY, params={"relative_floor": 1e-6})
    for day in range(15):
        detector.learn_one(100.0, FIRST_MONDAY + day * DAY)
    again = create("seasonal", grain_seconds=DAY, params={"relative_floor": 1e-6})
    again.restore(detector.export())
    assert again.export() == detector.export()


def test_state_of_a_series_that_rests_by_the_hour_and_of_one_that_remembers_days_continues_identically() -> None:
    rests = [Bucket(0.0 if hour_of_day(b.at) < 5 else b.value, b.at) for b in hourly_spend(1, days=21, noise=0.1)]
    recalls = [
        Bucket(b.value * (3.0 if day_of_month(b.at)[0] == 9 else 1.0), b.at)
        for b in daily_spend(1, days=200, noise=0.05)
    ]
    for detector, twin, buckets in ((hourly(), hourly(), rests), (daily(), daily(), recalls)):
        assert isinstance(detector, Attentive)
        assert isinstance(twin, Attentive)
        for number, bucket in enumerate(buckets):
            status = detector.score_one(bucket.value, bucket.at).status
            if number % 10 == 0:
                twin.restore(detector.export())
            # The twin is not asked first: an answer that is kept must be no other than a new one.
            for one in (detector, twin):
                if status in (Status.HIGH, Status.LOW):
                    one.hold_one(bucket.value, bucket.at)
                else:
                    one.learn_one(bucket.value, bucket.at)
            assert twin.export() == detector.export()


FIRST_SLOT = 3 + 18
"""Behind the header, the mark and the numbers of all grains."""


def joined(effect: float, count: float) -> float:
    """A slot as it stands in an exported state: the bits of its effect, and the upper twenty of its count."""
    upper, lower = struct.unpack("<II", struct.pack("<ff", effect, count))
    return float(upper << 20 | lower >> 12)


@pytest.mark.parametrize(
    ("place", "number", "message"),
    [
        (2, 5.0, "mark of a fitted model must lie between 1 and 4, got 5.0"),
        (3, 0.0, "number of buckets learned must lie between 1 and"),
        (9, 0.0, "noise variance must lie between"),
        (10, -1.0, "anchor must lie between"),
        (12, 1.5, "share of idle buckets must lie between 0 and 1, got 1.5"),
        (FIRST_SLOT, joined(1e9, 1.0), "slot's effect must lie between -3000 and 3000"),
        (FIRST_SLOT, joined(0.0, -1.0), "slot's count must lie between 0 and"),
        (FIRST_SLOT, joined(math.inf, 1.0), "slots must be finite"),
        (FIRST_SLOT, 0.5, "slots must be whole numbers below"),
        (FIRST_SLOT, 2.0**52, "slots must be whole numbers below"),
    ],
)
def test_state_with_an_impossible_number_is_refused(place: int, number: float, message: str) -> None:
    detector = daily()
    drive(detector, daily_spend(16, days=30, noise=0.1))
    state = list(detector.export())
    state[place] = number
    with pytest.raises(StateError, match=message):
        daily().restore(state)


def test_first_buckets_with_an_odd_number_or_a_broken_time_are_refused() -> None:
    detector = daily()
    detector.learn_one(1.0, FIRST_MONDAY)
    state = detector.export()
    with pytest.raises(StateError, match="pairs of value and time, got 3 numbers"):
        daily().restore((*state, 1.0))
    with pytest.raises(StateError, match="times must be whole seconds"):
        daily().restore((*state, 1.0, 0.5))


def test_state_of_another_grain_is_refused() -> None:
    with pytest.raises(StateError, match="other parameters or another grain"):
        hourly().restore(daily().export())
