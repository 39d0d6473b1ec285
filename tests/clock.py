"""Clocks that stand still until a test moves them."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2024, 9, 18, 12, tzinfo=UTC)


class FakeClock:
    """The wall clock, in UTC."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        self.at += by


class FakeTime:
    """A monotonic clock in seconds; sleeping moves it at once."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
