import pytest

from connectors.pace import Pace
from tests.clock import FakeTime


async def test_event_time_passes_at_its_speed() -> None:
    time = FakeTime()
    pace = Pace(3600.0, clock=time.clock, sleep=time.sleep)
    await pace.until(1_700_000_000.0)
    assert time.now == 1000.0
    await pace.until(1_700_000_000.0 + 7200)
    assert time.now == pytest.approx(1002.0)


async def test_what_is_late_is_not_waited_for() -> None:
    time = FakeTime()
    pace = Pace(1.0, clock=time.clock, sleep=time.sleep)
    await pace.until(50.0)
    time.now += 30
    await pace.until(60.0)
    assert time.now == 1030.0


async def test_a_gap_is_waited_for_no_longer_than_the_limit() -> None:
    time = FakeTime()
    pace = Pace(60.0, longest_wait=5.0, clock=time.clock, sleep=time.sleep)
    await pace.until(0.0)
    await pace.until(365 * 86400.0)
    assert time.now == pytest.approx(1005.0)
    await pace.until(365 * 86400.0 + 60)
    assert time.now == pytest.approx(1006.0)


async def test_without_a_speed_nothing_is_waited_for() -> None:
    time = FakeTime()
    pace = Pace(None, clock=time.clock, sleep=time.sleep)
    await pace.until(0.0)
    await pace.until(1e9)
    assert time.now == 1000.0


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_must_be_positive(speed: float) -> None:
    with pytest.raises(ValueError, match="speed must be above 0"):
        Pace(speed)
