from datetime import timedelta
from random import Random

import pytest

from service.delivery.backoff import LONGEST_RETRY_AFTER, Backoff, parse_retry_after
from tests.clock import NOON

BACKOFF = Backoff(base=timedelta(seconds=2), cap=timedelta(minutes=10))


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (5, 32), (9, 512), (10, 600), (10_000, 600), (0, 2)])
def test_the_bound_doubles_up_to_the_cap(attempt: int, seconds: int) -> None:
    assert BACKOFF.bound(attempt) == timedelta(seconds=seconds)


def test_delays_spread_over_the_whole_range() -> None:
    random = Random(7)
    delays = [BACKOFF.delay(5, random) / timedelta(seconds=32) for _ in range(2000)]
    assert 0 <= min(delays) < 0.01
    assert 0.99 < max(delays) < 1
    assert 0.47 < sum(delays) / len(delays) < 0.53


def test_delays_that_are_cut_short_are_spread_as_well() -> None:
    random = Random(7)
    longest = timedelta(seconds=8)
    delays = [BACKOFF.delay(9, random, longest=longest) / longest for _ in range(2000)]
    assert 0 <= min(delays) < 0.01
    assert 0.99 < max(delays) < 1
    assert 0.47 < sum(delays) / len(delays) < 0.53


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("0", timedelta()),
        (" 120 ", timedelta(seconds=120)),
        ("999999999", LONGEST_RETRY_AFTER),
        ("99999999999999999999", None),
        ("Wed, 18 Sep 2024 12:00:30 GMT", timedelta(seconds=30)),
        ("Wed, 18 Sep 2024 14:00:30 +0200", timedelta(seconds=30)),
        ("Wed, 18 Sep 2024 12:00:30 -0000", timedelta(seconds=30)),
        ("Wed, 18 Sep 2024 11:00:00 GMT", timedelta()),
        ("Wed, 18 Sep 2030 12:00:00 GMT", LONGEST_RETRY_AFTER),
        ("Wed, 99 Sep 2024 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, expected: timedelta | None) -> None:
    assert parse_retry_after(text, NOON) == expected
