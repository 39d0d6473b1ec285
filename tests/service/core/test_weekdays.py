"""What a series by the day has learned of its weekdays: not what a single odd day made of one of them."""

import random

import pytest

from tests.service.core.days import spend, told


@pytest.mark.parametrize("seed", range(6))
def test_a_credit_on_the_only_wednesday_is_not_what_wednesdays_cost(seed: int) -> None:
    values: list[float | None] = list(spend(random.Random(seed), 200, noise=0.1))
    values[2], values[9] = None, 4.0
    assert [days for days in told(values) if days.start >= 21] == []


@pytest.mark.parametrize("seed", range(6))
def test_a_weekday_that_was_a_holiday_twice_may_cost_what_others_do_in_the_third_week(seed: int) -> None:
    values = spend(random.Random(seed), 30)
    values[2] *= 0.7
    values[9] *= 0.7
    assert told(values) == []


def test_a_weekday_of_a_series_may_be_unlike_all_others() -> None:
    for noise in (0.02, 0.1):
        values = [
            3.0 * value if day % 7 == 2 else value
            for day, value in enumerate(spend(random.Random(1), 150, noise=noise))
        ]
        assert told(values) == []
        late = [
            values[day - 1] if day == 101 else value for day, value in enumerate(values)
        ]  # a Thursday like Wednesday
        assert [days.start for days in told(late)] == [101]


def test_weekends_may_be_on_other_days() -> None:
    for first in range(7):
        values = [60.0 if day % 7 in (first, (first + 1) % 7) else 100.0 for day in range(150)]
        rng = random.Random(first)
        noisy = [value * rng.lognormvariate(0.0, 0.05) for value in values]
        assert told(noisy) == []
        assert [days.start for days in told([*noisy[:120], 2.2 * noisy[120], *noisy[121:]])] == [120]


@pytest.mark.parametrize(("factor", "weeks"), [(3.0, 3), (20.0, 6)])
def test_a_new_job_of_one_weekday_is_told_of_a_few_times_and_expected_then(factor: float, weeks: int) -> None:
    for day in range(7):
        values = spend(random.Random(day), 190, noise=0.05)
        for week in range(9, 27):
            values[7 * week + day] *= factor
        alerts = told(values)
        assert 1 <= len(alerts) <= weeks
        assert alerts[-1].start < 7 * (9 + weeks)
