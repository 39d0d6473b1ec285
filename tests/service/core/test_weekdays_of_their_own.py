"""A weekday that is like no other of its group keeps what was learned of it when one such day was an incident."""

import random
from collections.abc import Sequence

import pytest

from tests.service.core.days import told


def by_the_hour(week: Sequence[float], days: int = 140) -> list[float]:
    rng = random.Random(0)
    return [10.0 * week[hour // 24 % 7] * rng.lognormvariate(0.0, 0.06) for hour in range(24 * days)]


@pytest.mark.parametrize(
    ("week", "day"),
    [
        ([1.0, 1.0, 2.0, 1.0, 1.0, 0.6, 0.6], 72),
        ([1.0, 1.0, 1.0, 1.0, 0.4, 0.4, 1.0], 74),
        ([1.0, 1.0, 1.0, 1.0, 0.4, 0.4, 0.4], 74),
        ([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.4], 76),
    ],
    ids=["a job of Wednesdays", "a weekend on Friday and Saturday", "four working days", "a rest on Sunday only"],
)
def test_one_incident_by_the_hour_does_not_make_each_such_weekday_an_alert(week: list[float], day: int) -> None:
    values = by_the_hour(week)
    values[24 * day : 24 * day + 24] = [2.0 * value for value in values[24 * day : 24 * day + 24]]
    assert [hours.start // 24 for hours in told(values, grain="1h")] == [day]


def test_a_new_job_of_one_weekday_is_learned_by_the_hour_after_two_or_three_times() -> None:
    values = [
        value * (2.0 if hour >= 720 and hour // 24 % 7 == 2 else 1.0)
        for hour, value in enumerate(by_the_hour([1.0] * 7))
    ]
    assert len(told(values, grain="1h")) <= 3


def test_one_incident_in_the_third_week_does_not_make_each_such_weekday_an_alert() -> None:
    values = [(2000.0 if day % 7 == 2 else 100.0) * (1.0 + 0.03 * (day % 3 - 1)) for day in range(120)]
    values[16] *= 3.0
    assert [days.start for days in told(values)] == [16]


@pytest.mark.parametrize("rests", [14, 20, 26, 27])
def test_spend_that_follows_a_trickle_after_weeks_of_rest_is_told_at_once(rests: int) -> None:
    assert [days.start - rests for days in told([0.0] * rests + [5.0] + [5000.0] * 10)][:1] in ([0], [1])


@pytest.mark.parametrize("seed", range(12))
def test_a_working_week_of_an_incident_is_not_the_level_of_a_tag_that_rests(seed: int) -> None:
    rng = random.Random(seed)
    values = [0.0 if rng.random() < 0.5 else 100.0 * rng.lognormvariate(0.0, 0.1) for _ in range(150)]
    values[80:85] = [300.0] * 5
    assert [days.start for days in told(values) if days.start >= 85] == []
