"""What the default detector finds, and what it leaves in peace."""

import math
import random

import pytest

from detectors import Detector, Status, create
from detectors.calendar import DAY, HOUR, day_of_month, hour_of_day, weekday
from tests.detectors.spend import (
    FIRST_MONDAY,
    NOISES,
    Bucket,
    daily,
    daily_spend,
    drive,
    episodes,
    hourly,
    hourly_spend,
    judged,
)

SUNDAY, TUESDAY, SATURDAY = 6, 1, 5


def five_minutes() -> Detector:
    return create("seasonal", grain_seconds=300, params={})


def statuses(detector: Detector, buckets: list[Bucket], factors: list[float]) -> list[Status]:
    return [
        verdict.status
        for verdict in drive(
            detector,
            [Bucket(bucket.value * factor, bucket.at) for bucket, factor in zip(buckets, factors, strict=True)],
        )
    ]


@pytest.mark.parametrize("noise", NOISES)
def test_ordinary_days_raise_few_false_alarms(noise: float) -> None:
    found = days = 0
    for seed in range(100):
        verdicts = drive(daily(), daily_spend(seed, days=150, noise=noise))
        found += episodes(verdicts)
        days += judged(verdicts)
    assert found / days * 30 < 0.05


@pytest.mark.parametrize("noise", NOISES)
def test_ordinary_hours_raise_few_false_alarms(noise: float) -> None:
    found = hours = 0
    for seed in range(12):
        verdicts = drive(hourly(), hourly_spend(seed, days=35, noise=noise))
        found += episodes(verdicts)
        hours += judged(verdicts)
    assert found / hours * 720 < 0.4


@pytest.mark.parametrize(("noise", "least"), [(0.02, 1.0), (0.05, 1.0), (0.1, 0.95)])
def test_sunday_of_more_than_twice_its_cost_is_found(noise: float, least: float) -> None:
    found = 0
    for seed in range(60):
        buckets = daily_spend(seed, days=64, noise=noise, month_effects=False)
        sunday = next(number for number in range(56, 64) if weekday(buckets[number].at) == SUNDAY)
        detector = daily()
        drive(detector, buckets[:sunday])
        found += detector.score_one(2.2 * buckets[sunday].value, buckets[sunday].at).status is Status.HIGH
    assert found / 60 >= least


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
def test_threefold_step_is_found_on_its_first_three_days(noise: float) -> None:
    found = 0
    for seed in range(60):
        buckets = daily_spend(seed, days=59, noise=noise)
        found += statuses(daily(), buckets, [1.0] * 56 + [3.0] * 3)[-3:] == [Status.HIGH] * 3
    assert found >= 59


@pytest.mark.parametrize(("noise", "least"), [(0.05, 54), (0.1, 57), (0.2, 33)])
def test_step_of_three_deviations_is_often_found_within_four_days(noise: float, least: int) -> None:
    found = 0
    for seed in range(100):
        buckets = daily_spend(seed, days=104, noise=noise, month_effects=False)
        found += Status.HIGH in statuses(daily(), buckets, [1.0] * 100 + [1.0 + 3.0 * noise] * 4)[-4:]
    assert found >= least


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("history", [15, 60])
def test_drop_to_zero_is_found(noise: float, history: int) -> None:
    for seed in range(30):
        buckets = daily_spend(seed, days=history + 1, noise=noise)
        assert statuses(daily(), buckets, [1.0] * history + [0.0])[-1] is Status.LOW


def test_new_level_is_normal_once_accepted() -> None:
    for seed in range(20):
        buckets = daily_spend(seed, days=120, noise=0.1, month_effects=False)
        found = statuses(daily(), buckets, [1.0] * 60 + [3.0] * 60)
        assert found[60:67] == [Status.HIGH] * 7
        assert set(found[67:]) == {Status.NORMAL}


def test_spike_does_not_hide_the_next_one() -> None:
    buckets = daily_spend(3, days=70, noise=0.05, month_effects=False)
    found = statuses(daily(), buckets, [1.0] * 60 + [1.0, 4.0, 1.0, 1.0, 4.0, 1.0, 1.0, 1.0, 4.0, 1.0])
    assert [status is Status.HIGH for status in found[60:]] == [n in (1, 4, 8) for n in range(10)]


def test_learning_a_spike_all_the_same_does_not_hide_the_next_one() -> None:
    buckets = daily_spend(3, days=63, noise=0.05, month_effects=False)
    detector = daily()
    for bucket in buckets[:60]:
        detector.learn_one(bucket.value, bucket.at)
    detector.learn_one(buckets[60].value * 50.0, buckets[60].at)
    assert detector.score_one(buckets[61].value, buckets[61].at).status is Status.NORMAL
    assert detector.score_one(3.0 * buckets[61].value, buckets[61].at).status is Status.HIGH


def test_spike_while_warming_up_does_not_blind_for_long() -> None:
    found = 0
    for seed in range(20):
        buckets = daily_spend(seed, days=57, noise=0.05, month_effects=False)
        factors = [5.0 if number == 9 else 1.0 for number in range(56)]
        found += statuses(daily(), buckets, [*factors, 2.2])[-1] is Status.HIGH
    assert found >= 19


def test_steady_growth_stays_quiet() -> None:
    rng = random.Random(4)
    buckets = [Bucket(100.0 * 1.008**n * rng.lognormvariate(0, 0.03), FIRST_MONDAY + n * DAY) for n in range(200)]
    assert episodes(drive(daily(), buckets)) == 0


def test_expected_follows_the_weekday() -> None:
    buckets = [Bucket(30.0 if n % 7 >= 5 else 100.0, FIRST_MONDAY + n * DAY) for n in range(28)]
    detector = daily()
    drive(detector, buckets)
    expected = [band.expected for n in range(28, 35) if (band := detector.band_at(FIRST_MONDAY + n * DAY))]
    assert expected == pytest.approx([100.0] * 5 + [30.0] * 2, rel=0.03)


def test_fee_on_the_first_of_a_month_is_learned() -> None:
    buckets = [
        Bucket(200.0 if day_of_month(at)[0] == 1 else 100.0, at)
        for at in range(FIRST_MONDAY + 3 * DAY, FIRST_MONDAY + 150 * DAY, DAY)
    ]
    detector = daily()
    assert episodes(drive(detector, buckets)) == 0
    first_of_june = FIRST_MONDAY + 152 * DAY
    assert day_of_month(first_of_june)[0] == 1
    assert detector.score_one(100.0, first_of_june).status is Status.LOW
    assert detector.score_one(200.0, first_of_june).status is Status.NORMAL


def test_weekend_without_any_spend_is_normal_and_one_with_it_is_not() -> None:
    buckets = [
        Bucket(0.0 if weekday(bucket.at) >= SATURDAY else bucket.value, bucket.at)
        for bucket in daily_spend(5, days=70, noise=0.1, month_effects=False)
    ]
    detector = daily()
    assert episodes(drive(detector, buckets)) == 0
    following = range(buckets[-1].at + DAY, buckets[-1].at + 8 * DAY, DAY)
    saturday = next(at for at in following if weekday(at) == SATURDAY)
    tuesday = next(at for at in following if weekday(at) == TUESDAY)
    usual = max(bucket.value for bucket in buckets)
    assert detector.score_one(0.0, saturday).status is Status.NORMAL
    assert detector.score_one(usual, saturday).status is Status.HIGH
    assert detector.score_one(0.0, tuesday).status is Status.LOW


def test_machine_left_running_overnight_is_found() -> None:
    buckets = [
        Bucket(bucket.value if weekday(bucket.at) < SATURDAY and 7 <= hour_of_day(bucket.at) < 19 else 0.0, bucket.at)
        for bucket in hourly_spend(6, days=35, noise=0.1)
    ]
    detector = hourly()
    assert episodes(drive(detector, buckets)) <= 1
    usual, monday = max(bucket.value for bucket in buckets), buckets[-1].at + HOUR
    assert detector.score_one(usual, monday + 2 * HOUR).status is Status.HIGH
    assert detector.score_one(0.0, monday + 12 * HOUR).status is Status.LOW
    assert detector.score_one(usual, monday + (5 * 24 + 12) * HOUR).status is Status.HIGH


def test_tag_that_idles_now_and_then_may_idle() -> None:
    rng = random.Random(7)
    buckets = [
        Bucket(0.0 if rng.random() < 0.5 else rng.lognormvariate(4.0, 0.1), FIRST_MONDAY + n * DAY) for n in range(120)
    ]
    detector = daily()
    assert episodes(drive(detector, buckets)) <= 2
    at = FIRST_MONDAY + 121 * DAY
    assert detector.score_one(0.0, at).status is Status.NORMAL
    assert detector.score_one(math.exp(4.0), at).status is Status.NORMAL
    assert detector.score_one(8.0 * math.exp(4.0), at).status is Status.HIGH


def test_rest_that_falls_on_the_same_weekday_by_chance_is_hardly_ever_a_rhythm() -> None:
    mistaken = 0
    for seed in range(40):
        rng = random.Random(seed)
        detector = daily()
        for n in range(26):  # a quarter of all days rest, and three Sundays of three
            rests = rng.random() < 0.25 or n % 7 == SUNDAY
            detector.learn_one(0.0 if rests else rng.lognormvariate(4.0, 0.05), FIRST_MONDAY + n * DAY)
        mistaken += detector.score_one(math.exp(4.0), FIRST_MONDAY + 27 * DAY).status is Status.HIGH
    assert mistaken <= 2


def test_rest_on_each_weekend_is_a_rhythm_after_three() -> None:
    detector = daily()
    for n in range(26):
        detector.learn_one(0.0 if n % 7 >= SATURDAY else 55.0 + n % 3, FIRST_MONDAY + n * DAY)
    assert detector.score_one(55.0, FIRST_MONDAY + 26 * DAY).status is Status.HIGH


def test_dormant_series_that_wakes_is_found_and_can_be_accepted() -> None:
    detector = daily()
    drive(detector, [Bucket(0.0, FIRST_MONDAY + n * DAY) for n in range(30)])
    awake = [Bucket(262.0, FIRST_MONDAY + n * DAY) for n in range(30, 45)]
    found = [verdict.status for verdict in drive(detector, awake)]
    assert found == [Status.HIGH] * 7 + [Status.NORMAL] * 8
    assert detector.score_one(2620.0, awake[-1].at + DAY).status is Status.HIGH


def test_stopped_series_is_dormant_once_accepted() -> None:
    detector = daily()
    drive(detector, daily_spend(8, days=60, noise=0.05, month_effects=False))
    start = daily_spend(8, days=61, noise=0.05, month_effects=False)[-1].at
    found = [verdict.status for verdict in drive(detector, [Bucket(0.0, start + n * DAY) for n in range(20)])]
    assert found == [Status.LOW] * 7 + [Status.NORMAL] * 13


def test_credits_and_costs_around_zero_are_judged_as_amounts() -> None:
    rng = random.Random(9)
    buckets = [Bucket(rng.gauss(5.0, 50.0), FIRST_MONDAY + n * DAY) for n in range(120)]
    detector = daily()
    assert episodes(drive(detector, buckets)) == 0
    at = FIRST_MONDAY + 122 * DAY
    assert detector.score_one(900.0, at).status is Status.HIGH
    assert detector.score_one(-900.0, at).status is Status.LOW


def test_negative_series_is_the_mirror_of_the_positive_one() -> None:
    buckets = daily_spend(10, days=60, noise=0.1)
    plain, mirrored = daily(), daily()
    drive(plain, buckets)
    drive(mirrored, [Bucket(-bucket.value, bucket.at) for bucket in buckets])
    band, other = plain.band_at(buckets[-1].at + DAY), mirrored.band_at(buckets[-1].at + DAY)
    assert band is not None
    assert other is not None
    assert (-other.upper, -other.expected, -other.lower) == pytest.approx((band.lower, band.expected, band.upper))


def test_scaling_a_series_scales_its_band() -> None:
    buckets = daily_spend(11, days=60, noise=0.1)
    small, large = daily(), daily()
    drive(small, buckets)
    drive(large, [Bucket(1e6 * bucket.value, bucket.at) for bucket in buckets])
    band, other = small.band_at(buckets[-1].at + DAY), large.band_at(buckets[-1].at + DAY)
    assert band is not None
    assert other is not None
    assert (other.lower, other.expected, other.upper) == pytest.approx(
        tuple(1e6 * part for part in (band.lower, band.expected, band.upper)), rel=1e-6
    )


def test_band_widens_over_a_gap_and_narrows_again() -> None:
    buckets = daily_spend(12, days=60, noise=0.1, month_effects=False)
    detector = daily()
    drive(detector, buckets)

    def width(days: int) -> float:
        band = detector.band_at(buckets[-1].at + days * DAY)
        assert band is not None
        return math.log(band.upper / band.lower)

    assert width(8) > width(1)
    assert width(7 * 52) < 3 * width(1)


def test_five_minute_usage_knows_the_hours_of_the_day() -> None:
    rng = random.Random(13)
    buckets = [
        Bucket((80.0 if 8 <= hour_of_day(at) < 20 else 20.0) * rng.lognormvariate(0, 0.05), at)
        for at in range(FIRST_MONDAY, FIRST_MONDAY + 6 * DAY, 300)
    ]
    detector = five_minutes()
    assert episodes(drive(detector, buckets)) <= 1
    midnight = FIRST_MONDAY + 6 * DAY
    assert detector.score_one(80.0, midnight).status is Status.HIGH
    assert detector.score_one(80.0, midnight + 12 * HOUR).status is Status.NORMAL


def test_without_season_all_days_are_alike() -> None:
    detector = daily(season="none")
    drive(detector, [Bucket(100.0, FIRST_MONDAY + n * DAY) for n in range(30)])
    assert len({detector.band_at(FIRST_MONDAY + n * DAY) for n in (30, 40)}) == 2  # only the level gets less certain
    assert len({detector.band_at(FIRST_MONDAY + n * DAY) for n in range(25)}) == 1


def test_larger_sigma_widens_the_band_of_a_state_already_learned() -> None:
    narrow, wide = daily(sigma=3.0), daily(sigma=6.0)
    drive(narrow, daily_spend(14, days=60, noise=0.1))
    wide.restore(narrow.export())
    at = FIRST_MONDAY + 500 * DAY
    band, other = narrow.band_at(at), wide.band_at(at)
    assert band is not None
    assert other is not None
    assert other.lower < band.lower < band.upper < other.upper


def test_mistaken_time_in_the_far_future_does_not_stop_learning() -> None:
    detector = daily()
    drive(detector, [Bucket(100.0 + n % 3, FIRST_MONDAY + n * DAY) for n in range(30)])
    detector.learn_one(100.0, 250_000_000_000)
    for n in range(30, 130):
        detector.learn_one(150.0 + n % 3, FIRST_MONDAY + n * DAY)
    band = detector.band_at(FIRST_MONDAY + 130 * DAY)
    assert band is not None
    assert band.expected == pytest.approx(151.0, rel=0.05)
