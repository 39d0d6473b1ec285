"""What is told of a tag that rests: of days without cost there may be any number, and the others are few."""

import random

from tests.service.core.days import told


def resting(seed: int, days: int, *, share: float) -> list[float]:
    """About 24 a day, or nothing."""
    rng = random.Random(seed)
    return [0.0 if rng.random() < share else 24.0 * rng.lognormvariate(0.0, 0.05) for _ in range(days)]


def test_the_first_cost_of_a_tag_that_has_only_rested_is_told() -> None:
    values = [0.0] * 40 + [24.0] * 3
    assert [days.start for days in told(values)] == [40]


def test_a_rise_of_a_tag_that_rests_is_told_and_is_the_level_after_some_weeks() -> None:
    alerts = 0
    for seed in range(20):
        risen = [cost * (3.0 if day >= 120 else 1.0) for day, cost in enumerate(resting(seed, 240, share=0.75))]
        found = [days for days in told(risen) if days.start >= 120]
        assert found
        alerts += len(found)
    assert alerts <= 90
