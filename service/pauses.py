"""Waiting for something that is away: pauses that grow, and end when we are asked to."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterator


def growing(*seconds: float) -> Iterator[float]:
    """*seconds* one after the other, then the last of them for ever."""
    return itertools.chain(seconds, itertools.repeat(seconds[-1]))


async def pause(stop: asyncio.Event, seconds: float) -> bool:
    """Wait, but not longer than until *stop* is set; returns whether it is."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
