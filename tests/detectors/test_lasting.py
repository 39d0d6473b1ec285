"""Shift and creep: what lasts is told, what does not last is not."""

import math
import random

import pytest

from benchmarks.driving import drive
from detectors import StateError, Status, create
from detectors.calendar import DAY, HOUR, weekday
from detectors.detector import Attentive
from tests.detectors.spend import FIRST_MONDAY

LASTING = ("shift", "creep")


def weekly(seed: int, days: int, *, noise: float = 0.05) -> list[tuple[float, int]]:
    rng = random.Random(seed)
    times = [FIRST_MONDAY + day * DAY for day in range(days)]
    return [(100.0 * (0.5 if weekday(at) >= 5 else 1.0) * math.exp(rng.gauss(0.0, noise)), at) for at in times]


def first_told(name: str, series: list[tuple[float, int]], since: int) -> int | None:
    abnormal = drive(create(name, grain_seconds=DAY, params={}), series, grain_seconds=DAY).abnormal
    return min((day - since for day in abnormal if day >= since), default=None)


@pytest.mark.parametrize("name", LASTING)
def test_weekends_are_quiet(name: str) -> None:
    told = [
        drive(create(name, grain_seconds=DAY, params={}), weekly(seed, 200), grain_seconds=DAY) for seed in range(8)
    ]
    assert sum(len(driven.abnormal) for driven in told) <= 1


@pytest.mark.parametrize("name", LASTING)
def test_three_percent_a_day_is_told_within_two_weeks(name: str) -> None:
    delays = []
    for seed in range(10):
        series = weekly(seed, 150)
        rising = [(value * 1.03 ** max(day - 120, 0), at) for day, (value, at) in enumerate(series)]
        delays.append(first_told(name, rising, 120))
    assert all(delay is not None and delay <= 14 for delay in delays)


def test_a_quarter_more_from_one_day_to_the_next_is_told_within_a_week() -> None:
    for seed in range(10):
        series = [(value * (1.25 if day >= 90 else 1.0), at) for day, (value, at) in enumerate(weekly(seed, 110))]
        delay = first_told("shift", series, 90)
        assert delay is not None
        assert delay <= 7


def test_one_day_of_half_as_much_again_is_no_shift() -> None:
    for seed in range(5):
        series = [(value * (1.5 if day == 90 else 1.0), at) for day, (value, at) in enumerate(weekly(seed, 110))]
        assert first_told("shift", series, 90) is None


@pytest.mark.parametrize("name", LASTING)
def test_ordinary_growth_is_followed(name: str) -> None:
    series = [(value * 1.002**day, at) for day, (value, at) in enumerate(weekly(3, 300))]
    assert len(drive(create(name, grain_seconds=DAY, params={}), series, grain_seconds=DAY).abnormal) <= 2


@pytest.mark.parametrize("name", LASTING)
def test_a_fee_on_the_first_of_the_month_is_learned(name: str) -> None:
    """1970-01-01 plus 19,723 days is 2024-01-01; twelve fees."""
    firsts = {0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335}
    start = 19_723 * DAY
    rng = random.Random(1)
    series = [
        (100.0 * math.exp(rng.gauss(0.0, 0.03)) * (2.0 if day in firsts else 1.0), start + day * DAY)
        for day in range(366)
    ]
    abnormal = drive(create(name, grain_seconds=DAY, params={}), series, grain_seconds=DAY).abnormal
    assert [day for day in abnormal if day >= 200] == []


@pytest.mark.parametrize("name", LASTING)
def test_what_is_held_back_is_evidence_and_narrows_the_band(name: str) -> None:
    detector = create(name, grain_seconds=DAY, params={})
    series = weekly(1, 90)
    for value, at in series:
        detector.learn_one(value, at)
    assert isinstance(detector, Attentive)
    at = series[-1][1] + DAY
    before = detector.band_at(at)
    for day in range(4):
        detector.hold_one(130.0, at + day * DAY)
    after = detector.band_at(at + 7 * DAY)
    assert before is not None
    assert after is not None
    assert after.upper < before.upper


@pytest.mark.parametrize("name", ["shift", "creep", "joint"])
@pytest.mark.parametrize("grain_seconds", [60, 300, HOUR, DAY])
def test_state_is_below_a_kilobyte(name: str, grain_seconds: int) -> None:
    detector = create(name, grain_seconds=grain_seconds, params={})
    for number in range(400):
        detector.learn_one(100.0 + number % 7, FIRST_MONDAY + number * grain_seconds)
        assert 8 * len(detector.export()) < 1024


@pytest.mark.parametrize("name", ["shift", "creep", "joint"])
def test_numbers_that_no_baseline_holds_are_refused(name: str) -> None:
    detector = create(name, grain_seconds=DAY, params={})
    for value, at in weekly(1, 60):
        detector.learn_one(value, at)
    good = list(detector.export())
    anchor = len(good) - (8 + 9) + 1  # of the baseline: eight numbers, seven weekdays, two turns of the month
    good[anchor] = -1.0
    with pytest.raises(StateError, match=f"{name}: expected a count, an anchor"):
        create(name, grain_seconds=DAY, params={}).restore(good)


def test_a_series_that_begins_with_idle_weeks_is_not_scaled_to_nothing() -> None:
    rng = random.Random(1)
    series = [
        (rng.uniform(8.0, 12.0) if day > 16 and rng.random() < 0.3 else 0.0, FIRST_MONDAY + day * DAY)
        for day in range(250)
    ]
    abnormal = drive(create("shift", grain_seconds=DAY, params={}), series, grain_seconds=DAY).abnormal
    assert len(abnormal) <= 3


def test_a_summer_time_day_of_hours_is_no_shift() -> None:
    rng = random.Random(1)
    detector = create("shift", grain_seconds=HOUR, params={})
    abnormal = 0
    for number in range(24 * 60):
        local = number + (1 if number >= 24 * 40 else 0)  # the clock of the people who use it goes on an hour
        value = 100.0 * (1.4 if 8 <= local % 24 < 20 else 1.0) * math.exp(rng.gauss(0.0, 0.05))
        at = FIRST_MONDAY + number * HOUR
        status = detector.score_one(value, at).status
        abnormal += status in (Status.HIGH, Status.LOW)
        detector.learn_one(value, at)
    assert abnormal == 0
