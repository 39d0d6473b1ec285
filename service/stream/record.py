"""The agent on the alerts topic: alerts -> the store, then a word to whoever watches live.

Only what is stored is committed. A store that is away is tried again with a growing pause, for as long as it takes:
nothing is lost, facts go on being judged, and readiness says why alerts wait.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from service.core.alerts import Alert, AlertEvent
from service.stream.batch import Batch
from service.stream.dead_letters import DeadLetter
from service.stream.metrics import StreamMetrics
from service.stream.outgoing import Outgoing

Announce = Callable[[Sequence[AlertEvent]], Awaitable[None]]
UNREADABLE_ALERT = "unreadable_alert"
_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_PATIENCE_SECONDS = 30.0
_ANNOUNCE_SECONDS = 2.0
_decode = msgspec.json.Decoder(Alert).decode
_log = structlog.get_logger(__name__)


class Recorder(Protocol):
    """The part of AlertStore that is used here."""

    async def record(self, alerts: Sequence[Alert]) -> list[AlertEvent]: ...


class Record:
    """store_away: why alerts cannot be stored now, for readiness; None when they can."""

    def __init__(self, store: Recorder, announce: Announce, outgoing: Outgoing, metrics: StreamMetrics) -> None:
        self._store = store
        self._announce = announce
        self._outgoing = outgoing
        self._metrics = metrics
        self._giving_up = asyncio.Event()
        self.store_away: str | None = None

    async def run(self, batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            alerts, letters = read(batch)
            self._outgoing.add_dead_letters(letters)
            self._metrics.unreadable_alerts(len(letters))
            events = await self._stored(alerts)
            if events is None:
                continue  # unfinished: whoever owns the partition next reads it again
            batch.finish()
            await self._announced(events)

    def give_up(self) -> None:
        """Stop waiting for the store: the partition is about to be taken away."""
        self._giving_up.set()

    def resume(self) -> None:
        self._giving_up.clear()

    async def _stored(self, alerts: Sequence[Alert]) -> Sequence[AlertEvent] | None:
        """None when it had to be given up."""
        if not alerts:
            return ()
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    events = await self._store.record(alerts)
            # Also what looks like our own fault: alerts are never dropped, and readiness shows that they wait.
            except Exception as error:
                self.store_away = f"alerts cannot be stored: {type(error).__name__}"
                pause = _PAUSES_SECONDS[min(attempt, len(_PAUSES_SECONDS) - 1)]
                self._metrics.store_failed()
                _log.warning("alerts cannot be stored", alerts=len(alerts), again_in_seconds=pause, exc_info=error)
                attempt += 1
                try:
                    await asyncio.wait_for(self._giving_up.wait(), pause)
                    return None
                except TimeoutError:
                    continue
            self.store_away = None
            self._metrics.stored(len(alerts), len(events))
            return events

    async def _announced(self, events: Sequence[AlertEvent]) -> None:
        """Nothing but speed depends on it: readers of the live stream look into the store too."""
        if not events:
            return
        try:
            async with asyncio.timeout(_ANNOUNCE_SECONDS):
                await self._announce(events)
        except Exception as error:
            self._metrics.announce_failed()
            _log.warning("events could not be announced", events=len(events), error=type(error).__name__)


def read(batch: Batch) -> tuple[list[Alert], list[DeadLetter]]:
    """The alerts of a batch, and what is none."""
    alerts, letters = [], []
    for record in batch.records:
        try:
            alerts.append(_decode(record.value or b""))
        except msgspec.DecodeError as error:
            letters.append(DeadLetter.of(batch.tp, record, reason=UNREADABLE_ALERT, field="", message=str(error)))
    return alerts, letters
