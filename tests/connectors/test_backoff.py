import doctest

import pytest

from connectors import backoff
from connectors.backoff import backoff_seconds


def test_the_wait_doubles_up_to_its_limit() -> None:
    assert [backoff_seconds(failures, longest=300.0) for failures in range(1, 12)] == [
        1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300,
    ]  # fmt: skip


@pytest.mark.parametrize("failures", [1_023, 1_024, 1_025, 2_000, 10**9])
def test_no_number_of_failures_overflows(failures: int) -> None:
    assert backoff_seconds(failures, longest=30.0) == 30.0


def test_the_example_holds() -> None:
    assert doctest.testmod(backoff).failed == 0
