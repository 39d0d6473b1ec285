"""Event time played against the wall clock, for recordings and synthetic spend."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pace:
    """Lets event time pass at *speed* event seconds a second; None lets it pass at once.

    The first instant it is asked for is now. longest_wait: a gap in a recording (a year between two files) is waited
    for no longer than so many seconds. clock: seconds that never go back.
    """

    def __init__(
        self,
        speed: float | None,
        *,
        longest_wait: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if speed is not None and not speed > 0:
            raise ValueError(f"speed must be above 0 event seconds a second, got {speed}")
        self._speed = speed
        self._longest_wait = longest_wait
        self._clock = clock
        self._sleep = sleep
        self._zero: float | None = None  # wall time at which event time 0 would have been

    def wait_seconds(self, at: float) -> float:
        """How long until event time *at* (seconds since 1970) is due; 0 when it is."""
        if self._speed is None:
            return 0.0
        now = self._clock()
        if self._zero is None:
            self._zero = now - at / self._speed
        wait = self._zero + at / self._speed - now
        if wait > self._longest_wait:
            self._zero -= wait - self._longest_wait
            wait = self._longest_wait
        return max(wait, 0.0)

    async def until(self, at: float) -> None:
        """Return when event time *at* is due."""
        if (wait := self.wait_seconds(at)) > 0:
            await self._sleep(wait)
