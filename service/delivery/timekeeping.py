"""What becomes due by the clock: an acknowledgement that ends lets its alert fire again.

Any number of processes may do this: the store changes each alert once.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import structlog

from service.clock import Clock
from service.core.alerts import AlertEvent
from service.errors import UnavailableError
from service.pauses import pause

EVERY_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Expiring(Protocol):
    """The part of the alert store that this needs."""

    async def expire_acknowledgements(self, now: datetime) -> Sequence[AlertEvent]: ...


class Timekeeper:
    """`run` until *stop*; `tick` looks once."""

    def __init__(self, store: Expiring, clock: Clock, *, every_seconds: float = EVERY_SECONDS) -> None:
        self._store = store
        self._clock = clock
        self._every_seconds = every_seconds
        self._away = False

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.tick()
            await pause(stop, self._every_seconds)

    async def tick(self) -> int:
        """Do what is due; returns how much it was. While the store is away it waits: nothing is lost by it."""
        try:
            events = await self._store.expire_acknowledgements(self._clock.now())
        except UnavailableError as error:
            if not self._away:
                _log.warning("the store is away; what is due waits", problem=str(error))
            self._away = True
            return 0
        except Exception:
            _log.exception("what is due by the clock could not be done; it is tried again")
            return 0
        self._away = False
        if events:
            _log.info("acknowledgements have expired", count=len(events))
        return len(events)
