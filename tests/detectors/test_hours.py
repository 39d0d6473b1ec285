"""What the default detector makes of hours: holidays, summer time, hours of the week, and falls that look like them."""

import math
import random
from collections.abc import Callable

import pytest

from detectors import Status, create
from detectors.calendar import DAY, HOUR, clocks_may_have_changed, day_of_month, hour_of_day, weekday
from detectors.detector import Attentive
from tests.detectors.spend import FIRST_MONDAY, Bucket, hourly_spend

HIGH, LOW, NORMAL = Status.HIGH, Status.LOW, Status.NORMAL
LAST_SUNDAY_OF_MARCH = FIRST_MONDAY + 90 * DAY
"""2024-03-31, when clocks were set on at 01:00 UTC."""


def hourly() -> Attentive:
    detector = create("seasonal", grain_seconds=HOUR, params={})
    assert isinstance(detector, Attentive)
    return detector


def made(
    cost: Callable[[int], float], *, start: int = FIRST_MONDAY, days: int, noise: float, seed: int = 1
) -> list[Bucket]:
    """*cost* of the hour that starts then, times noise that resembles its neighbour."""
    rng = random.Random(seed)
    deviation, buckets = 0.0, []
    for at in range(start, start + days * DAY, HOUR):
        deviation = 0.5 * deviation + math.sqrt(0.75) * rng.gauss(0.0, noise)
        buckets.append(Bucket(cost(at) * math.exp(deviation), at))
    return buckets


def drive(detector: Attentive, buckets: list[Bucket]) -> list[Status]:
    """As the service does: told of what is held back, two of which in a row are told of."""
    found = []
    for bucket in buckets:
        status = detector.score_one(bucket.value, bucket.at).status
        found.append(status)
        if status in (HIGH, LOW):
            detector.hold_one(bucket.value, bucket.at)
        else:
            detector.learn_one(bucket.value, bucket.at)
    return found


def told(found: list[Status]) -> int | None:
    """The first bucket that is the second in a row to be abnormal."""
    return next(
        (place for place in range(1, len(found)) if found[place] is found[place - 1] and found[place] in (HIGH, LOW)),
        None,
    )


def with_weekends(at: int) -> float:
    return 60.0 if weekday(at) >= 5 else 100.0


def by_day(at: int) -> float:
    return 100.0 * (1.0 + 0.4 * math.sin(2.0 * math.pi * hour_of_day(at) / 24))


def test_a_lasting_fall_of_three_deviations_is_told_within_two_days_though_it_could_begin_a_holiday() -> None:
    found = 0
    for seed in range(12):
        buckets = made(with_weekends, days=44, noise=0.05, seed=seed)
        since = FIRST_MONDAY + 42 * DAY + 9 * HOUR
        fallen = [Bucket(b.value / 1.15 if b.at >= since else b.value, b.at) for b in buckets]
        place = told(drive(hourly(), fallen)[42 * 24 + 9 :])
        found += place is not None
    assert found >= 11


def test_the_days_after_a_holiday_are_as_normal_as_it_was() -> None:
    alarms = 0
    for seed in range(12):
        buckets = made(with_weekends, days=56, noise=0.1, seed=seed)
        holiday = [Bucket(b.value * 0.6 if b.at // DAY == FIRST_MONDAY // DAY + 45 else b.value, b.at) for b in buckets]
        alarms += told(drive(hourly(), holiday)[45 * 24 :]) is not None
    assert alarms <= 1


def test_a_holiday_in_the_first_week_is_not_taken_for_what_its_weekday_costs() -> None:
    for seed in range(6):
        buckets = made(with_weekends, days=21, noise=0.05, seed=seed)
        holiday = [Bucket(b.value * 0.6 if b.at // DAY == FIRST_MONDAY // DAY + 3 else b.value, b.at) for b in buckets]
        assert told(drive(hourly(), holiday)[10 * 24 : 11 * 24]) is None


@pytest.mark.parametrize("east", [-8, 5, 9])
def test_a_fall_that_sets_in_while_the_day_goes_on_is_no_holiday_in_any_time_zone(east: int) -> None:
    local = east * HOUR
    since = FIRST_MONDAY + 45 * DAY + 14 * HOUR - local
    for seed in range(6):
        buckets = made(lambda at: with_weekends(at + local), days=48, noise=0.05, seed=seed)
        fallen = [Bucket(b.value * 0.7 if b.at >= since else b.value, b.at) for b in buckets]
        found = drive(hourly(), fallen)[(since - FIRST_MONDAY) // HOUR :]
        place = told(found)
        assert place is not None
        assert place <= 2


@pytest.mark.parametrize("part", [0.6, 0.7, 0.8])
def test_a_holiday_of_half_of_the_people_is_one_too(part: float) -> None:
    for seed in range(6):
        buckets = made(with_weekends, days=56, noise=0.05, seed=seed)
        holiday = [
            Bucket(b.value * part if b.at // DAY == FIRST_MONDAY // DAY + 45 else b.value, b.at) for b in buckets
        ]
        assert told(drive(hourly(), holiday)[45 * 24 :]) is None


def test_a_holiday_of_a_series_that_idles_at_random_is_one_though_its_first_hours_may_be_idle() -> None:
    for seed in range(6):
        rng = random.Random(seed)
        buckets = [
            Bucket(0.0 if rng.random() < 0.4 else b.value, b.at)
            for b in made(with_weekends, days=56, noise=0.05, seed=seed)
        ]
        holiday = [Bucket(b.value * 0.6 if b.at // DAY == FIRST_MONDAY // DAY + 45 else b.value, b.at) for b in buckets]
        assert told(drive(hourly(), holiday)[45 * 24 :]) is None


def test_the_same_weekday_on_holiday_twice_makes_no_alarm_each_week_where_a_series_idles_at_random() -> None:
    rng = random.Random(2)
    first = (FIRST_MONDAY + 2 * DAY, FIRST_MONDAY + 9 * DAY)
    buckets = []
    for bucket in made(with_weekends, days=70, noise=0.05):
        quiet = 0.6 if bucket.at // DAY * DAY in first else 1.0
        buckets.append(Bucket(0.0 if rng.random() < 0.5 else bucket.value * quiet, bucket.at))
    assert told(drive(hourly(), buckets)[18 * 24 :]) is None


def test_a_fee_that_a_holiday_has_hidden_is_no_news_in_the_month_after_it() -> None:
    first_days = (FIRST_MONDAY + 121 * DAY, FIRST_MONDAY + 152 * DAY, FIRST_MONDAY + 182 * DAY)  # May, June, July
    begin = FIRST_MONDAY + 105 * DAY

    def cost(at: int) -> float:
        factor = 2.0 if day_of_month(at)[0] == 1 else 1.0
        return factor * (60.0 if first_days[0] <= at < first_days[0] + DAY else with_weekends(at))

    found = drive(hourly(), made(cost, start=begin, days=90, noise=0.05))
    june, july = ((day - begin) // HOUR for day in first_days[1:])
    assert told(found[june : june + 24]) is None
    assert told(found[july : july + 24]) is None


def test_a_rise_at_the_end_of_a_month_is_not_what_the_ends_of_months_cost() -> None:
    begin = FIRST_MONDAY + 155 * DAY  # 2024-06-04
    since, last_days = begin + 24 * DAY + 9 * HOUR, 56 * 24
    for seed in range(8):
        buckets = made(with_weekends, start=begin, days=58, noise=0.1, seed=seed)
        risen = [Bucket(b.value * 1.5 if b.at >= since else b.value, b.at) for b in buckets]
        assert LOW not in drive(hourly(), risen)[last_days:]


def test_a_weekday_that_was_christmas_and_new_year_may_cost_what_others_do() -> None:
    begin = FIRST_MONDAY + 352 * DAY  # 2024-12-18, a Wednesday
    for seed in range(6):
        buckets = made(with_weekends, start=begin, days=24, noise=0.05, seed=seed)
        quiet = [Bucket(b.value * 0.6 if (b.at - begin) // DAY in (7, 14) else b.value, b.at) for b in buckets]
        assert told(drive(hourly(), quiet)[20 * 24 :]) is None


@pytest.mark.parametrize("east", [-8, 5, 9])
def test_a_holiday_is_one_in_every_time_zone(east: int) -> None:
    local = east * HOUR
    for seed in range(4):
        buckets = made(lambda at: with_weekends(at + local), days=56, noise=0.05, seed=seed)
        begin = FIRST_MONDAY + 45 * DAY - local
        holiday = [Bucket(b.value * 0.6 if begin <= b.at < begin + DAY else b.value, b.at) for b in buckets]
        assert told(drive(hourly(), holiday)[45 * 24 - 12 :]) is None


def test_hours_of_credits_are_the_mirror_of_hours_of_cost() -> None:
    plain, mirrored = hourly(), hourly()
    for bucket in made(with_weekends, days=28, noise=0.05):
        day = bucket.at // DAY - FIRST_MONDAY // DAY
        value = bucket.value * (0.6 if day in (3, 22) else 1.5 if day == 25 else 1.0)
        statuses = [plain.score_one(value, bucket.at).status, mirrored.score_one(-value, bucket.at).status]
        assert statuses in ([NORMAL, NORMAL], [HIGH, LOW], [LOW, HIGH], [Status.WARMING_UP] * 2)
        for detector, cost in ((plain, value), (mirrored, -value)):
            if statuses[0] in (HIGH, LOW):
                detector.hold_one(cost, bucket.at)
            else:
                detector.learn_one(cost, bucket.at)
    band, other = plain.band_at(bucket.at + HOUR), mirrored.band_at(bucket.at + HOUR)
    assert band is not None
    assert other is not None
    assert (-other.upper, -other.expected, -other.lower) == pytest.approx((band.lower, band.expected, band.upper))


def test_the_quietest_weekday_is_no_holiday_from_itself() -> None:
    buckets = made(with_weekends, days=42, noise=0.05)
    detector = hourly()
    drive(detector, buckets)
    sunday = FIRST_MONDAY + 48 * DAY
    assert weekday(sunday) == 6
    assert detector.score_one(40.0, sunday).status is LOW


def test_hours_go_by_the_clock_that_people_have_set() -> None:
    def cost(at: int) -> float:
        return by_day(at + (HOUR if at >= LAST_SUNDAY_OF_MARCH + HOUR else 0))

    buckets = made(cost, start=LAST_SUNDAY_OF_MARCH - 42 * DAY, days=60, noise=0.02)
    detector = hourly()
    assert told(drive(detector, buckets)[42 * 24 :]) is None
    for hour in range(24):
        at = buckets[-1].at + (hour + 1) * HOUR
        band = detector.band_at(at)
        assert band is not None
        assert band.expected == pytest.approx(cost(at), rel=0.06)


def test_a_clock_that_is_never_set_excuses_nothing_in_other_months() -> None:
    detector = hourly()
    start = FIRST_MONDAY + 119 * DAY
    drive(detector, made(by_day, start=start, days=42, noise=0.02))
    at = start + 42 * DAY
    assert not clocks_may_have_changed(at)
    assert detector.score_one(by_day(at), at).status is NORMAL
    assert detector.score_one(by_day(at + HOUR), at).status is HIGH


def test_a_shift_is_not_taken_for_a_clock_that_was_set() -> None:
    buckets = made(by_day, days=42, noise=0.02)
    detector = hourly()
    drive(detector, [Bucket(b.value * (1.1 if b.at >= FIRST_MONDAY + 35 * DAY else 1.0), b.at) for b in buckets])
    detector.accept_level([(b.value * 1.1, b.at) for b in buckets[-72:]])
    for hour in range(24):
        at = buckets[-1].at + (hour + 1) * HOUR
        band = detector.band_at(at)
        assert band is not None
        assert band.expected == pytest.approx(1.1 * by_day(at), rel=0.05)


def test_a_job_of_one_night_of_the_week_is_expected_there_and_only_there() -> None:
    def cost(at: int) -> float:
        return 300.0 if weekday(at) == 2 and 2 <= hour_of_day(at) < 5 else 100.0

    buckets = made(cost, days=42, noise=0.05)
    detector = hourly()
    found = drive(detector, buckets)
    assert told(found[21 * 24 :]) is None
    wednesday = FIRST_MONDAY + 44 * DAY + 3 * HOUR
    assert detector.score_one(300.0, wednesday).status is NORMAL
    assert detector.score_one(300.0, wednesday + DAY).status is HIGH
    assert detector.score_one(100.0, wednesday).status is LOW


def test_an_amount_far_below_the_usual_one_is_a_fall_also_where_nothing_at_all_is_normal() -> None:
    rng = random.Random(3)
    buckets = [
        Bucket(0.0 if rng.random() < 0.5 else bucket.value, bucket.at)
        for bucket in made(lambda at: 100.0, days=42, noise=0.05)
    ]
    detector = hourly()
    drive(detector, buckets)
    at = buckets[-1].at + HOUR
    assert detector.score_one(0.0, at).status is NORMAL
    assert detector.score_one(100.0, at).status is NORMAL
    assert detector.score_one(10.0, at).status is LOW


def test_what_creeps_and_is_learned_all_the_same_is_seen_as_long_as_it_creeps() -> None:
    detector = hourly()
    begin = FIRST_MONDAY + 42 * DAY
    high = 0
    for bucket in made(lambda at: 100.0, days=49, noise=0.02):
        value = bucket.value * 1.03 ** max((bucket.at - begin) / DAY, 0.0)
        high += detector.score_one(value, bucket.at).status is HIGH
        detector.learn_one(value, bucket.at)  # since it is below the floor of the policy, say
    assert high >= 24


def test_the_hour_after_one_that_is_high_needs_less_to_be_high_too() -> None:
    detector = hourly()
    buckets = hourly_spend(4, days=35, noise=0.05)
    drive(detector, buckets)
    at = buckets[-1].at + HOUR
    before = detector.band_at(at + HOUR)
    detector.hold_one(2.0 * buckets[-24].value, at)
    after = detector.band_at(at + HOUR)
    assert before is not None
    assert after is not None
    assert after.upper / after.expected < before.upper / before.expected
    assert after.lower / after.expected < before.lower / before.expected
