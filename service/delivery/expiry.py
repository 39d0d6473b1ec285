"""Warns of silences that end soon: looks at short intervals, and has a letter put into the outbox for each.

Any number of processes may do so: the store warns of each end once.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from service.clock import Clock
from service.digests.expiry import ExpiryWarning
from service.errors import UnavailableError
from service.pauses import pause

EVERY_SECONDS = 15.0
_log = structlog.get_logger(__name__)


class WarnsOfExpiry(Protocol):
    """The part of the store that this needs."""

    async def warn_of_expiry(
        self, *, at: datetime, within: timedelta, receivers: Sequence[str]
    ) -> list[ExpiryWarning]: ...


class ExpiryWatch:
    """`run` until *stop*; `look` looks once. within: so long before its end a silence is warned of."""

    def __init__(self, store: WarnsOfExpiry, clock: Clock, *, within: timedelta, receivers: Sequence[str]) -> None:
        self._store = store
        self._clock = clock
        self._within = within
        self._receivers = tuple(dict.fromkeys(receivers))
        self._away = False

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.look()
            await pause(stop, EVERY_SECONDS)

    async def look(self) -> None:
        """Warn of what is due. Whatever fails is tried again at the next look."""
        try:
            found = await self._store.warn_of_expiry(
                at=self._clock.now(), within=self._within, receivers=self._receivers
            )
        except UnavailableError as error:
            if not self._away:
                _log.warning("the store is away; it is warned of silences later", problem=str(error))
            self._away = True
            return
        except Exception:
            _log.exception("it could not be warned of silences that end; it is tried again")
            return
        self._away = False
        for warning in found:
            _log.info("a silence ends soon", silence=warning.silence, until=warning.until.isoformat())
