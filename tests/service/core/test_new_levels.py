"""What a series by the day has learned when an episode is over: its new level, and nothing that it has not shown."""

import random

import pytest

from tests.service.core.days import MONDAY, spend, told


@pytest.mark.parametrize("first", range(80, 87))
def test_a_rise_of_weeks_that_becomes_the_level_leaves_the_weekdays_as_they_were(first: int) -> None:
    values = spend(random.Random(first), 200)
    grown = [value * 1.03 ** min(max(day - first + 1, 0), 28) for day, value in enumerate(values)]
    assert [days for days in told(grown) if days.start >= first + 28 + 14] == []


@pytest.mark.parametrize("seed", range(12))
def test_credits_do_not_keep_a_tag_that_rests_from_its_new_level(seed: int) -> None:
    rng = random.Random(seed)
    values = [0.0 if rng.random() < 0.5 else value for value in spend(rng, 360, noise=0.1)]
    risen = [value * (3.0 if day >= 200 else 1.0) for day, value in enumerate(values)]
    for day in range(5, 360, 15):
        risen[day] -= 240.0 if day >= 200 else 80.0
    rises = [days for days in told(risen) if days.start >= 200 and max(risen[day] for day in days) > 0.0]
    assert rises, "a rise to three times the cost was not told"
    assert [days for days in rises if days.start >= 260] == []


def test_a_month_turn_that_was_learned_wrong_is_no_fall_each_month() -> None:
    start = MONDAY + 90  # 2024-03-31, a Sunday: the only one before the next has a credit
    values = spend(random.Random(2), 300, start=start)
    values[7] -= 45.0
    assert [days for days in told(values, start=start) if days.start > 14] == []


@pytest.mark.parametrize("factor", [0.4, 1.6, 3.0])
@pytest.mark.parametrize("length", [4, 5])
def test_a_working_week_that_was_an_incident_is_not_the_new_level(factor: float, length: int) -> None:
    rng = random.Random(1)
    values = [0.0 if day % 7 >= 5 else 100.0 * rng.lognormvariate(0.0, 0.03) for day in range(120)]
    for day in range(75 - length, 75):  # up to a Friday
        values[day] *= factor
    assert told(values) == [range(75 - length, 75)]


def test_a_weekly_job_may_have_exceptions() -> None:
    values = [100.0 + day % 2 if day % 7 == 0 else 0.0 for day in range(120)]
    for day in (28, 42):
        values[day] = 2000.0
    assert [days.start for days in told(values)][:2] == [28, 42]


def test_a_crumb_does_not_wake_a_tag_that_is_off() -> None:
    assert [days for days in told([10.0] * 400 + [0.0] * 12 + [0.5] + [0.0] * 40) if days.start > 407] == []
    returned = told([10.0] * 200 + [0.0] * 30 + [0.5] + [0.0] * 5 + [10.0] * 20)
    assert any(days.start == 236 for days in returned)


def test_a_fall_to_nothing_is_told_at_once_and_a_credit_that_leaves_next_to_nothing_is_not() -> None:
    values = spend(random.Random(3), 60)
    for left, expected in ((0.0, [range(45, 46)]), (0.05, [])):
        assert told([*values[:45], left, *values[46:]]) == expected
