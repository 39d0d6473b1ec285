"""A word to whoever watches live. Only speed depends on it: readers of the live stream look into the store too."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from service.core.alerts import AlertEvent

Announce = Callable[[Sequence[AlertEvent]], Awaitable[None]]
"""Tells all live hubs that there are new events."""
_SECONDS = 2.0
_log = structlog.get_logger(__name__)


async def announced(announce: Announce, events: Sequence[AlertEvent]) -> bool:
    """Whether it was done, which takes 2 s at most. Never raises."""
    if not events:
        return True
    try:
        async with asyncio.timeout(_SECONDS):
            await announce(events)
    except Exception as error:
        _log.warning("events could not be announced", events=len(events), error=type(error).__name__)
        return False
    return True
