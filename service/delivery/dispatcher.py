"""Looks at short intervals who is to be told of what has opened: the clock of the dispatch."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from service.announcing import Announce, announced
from service.clock import Clock
from service.core.alerts import AlertEvent
from service.delivery.metrics import DispatchMetrics
from service.errors import UnavailableError
from service.pauses import pause

_log = structlog.get_logger(__name__)


class Dispatching(Protocol):
    @property
    def lag(self) -> timedelta: ...

    async def run(self, now: datetime) -> list[AlertEvent]:
        """Decide about what is due at *now*. Raises UnavailableError."""


class Dispatcher:
    """`run` until *stop*; any number of processes may do so on one store.

    announce: tells whoever watches live of the events.
    """

    def __init__(
        self,
        dispatching: Dispatching,
        announce: Announce,
        metrics: DispatchMetrics,
        clock: Clock,
        *,
        poll_seconds: float,
    ) -> None:
        self._dispatching = dispatching
        self._announce = announce
        self._metrics = metrics
        self._clock = clock
        self._poll_seconds = poll_seconds
        self.problem: str | None = None
        """Why it cannot be decided who is told; None when it can."""

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            events = await self._decide()
            if events:
                await announced(self._announce, events)
            elif await pause(stop, self._poll_seconds):
                return

    async def _decide(self) -> Sequence[AlertEvent]:
        try:
            events = await self._dispatching.run(self._clock.now())
        except UnavailableError as error:
            if self.problem is None:
                _log.warning("the store is away; who is told is decided later", problem=str(error))
            self.problem = str(error)
            return ()
        except Exception as error:
            # Nothing was written; it is tried again at the next look, and readiness and the lag tell of it meanwhile.
            if self.problem is None:
                _log.exception("it cannot be decided who is told")
            self.problem = f"it cannot be decided who is told: {type(error).__name__}"
            return ()
        if self.problem is not None:
            _log.info("it is decided again who is told")
        self.problem = None
        self._metrics.lags(self._dispatching.lag.total_seconds())
        self._metrics.decided(events)
        return events
