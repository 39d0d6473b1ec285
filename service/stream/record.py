"""The agent on the alerts topic: alerts -> the store, then a word to whoever watches live.

Only what is stored is committed. A store that is away is tried again with a growing pause, for as long as it takes:
nothing is lost, facts go on being judged, and readiness says why alerts wait. An alert that the store refuses though it
is there is put aside after a few tries, and the rest goes on; a store that refuses one alert after the other has a
fault of its own, and is waited for like one that is away.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

import structlog

from service.announcing import Announce, announced
from service.core.alerts import Alert, AlertEvent
from service.errors import UnavailableError
from service.pauses import growing, pause
from service.stream.alert_messages import UnreadableAlertError, alert_of
from service.stream.batch import Batch, TopicPartition
from service.stream.batch import Record as KafkaRecord
from service.stream.dead_letters import DeadLetter
from service.stream.metrics import StreamMetrics
from service.stream.outgoing import Outgoing

UNREADABLE_ALERT = "unreadable_alert"
REFUSED_ALERT = "refused_by_store"
_AWAY = (UnavailableError, OSError)
"""What a store raises that cannot be reached, or does not answer in time; anything else may be an alert's fault."""
_TRIES = 3
"""A deadlock looks like a refusal, but passes."""
_REFUSED_IN_A_ROW = 20
_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_PATIENCE_SECONDS = 30.0
_log = structlog.get_logger(__name__)


class Incoming(NamedTuple):
    """An alert, and the record it came in."""

    record: KafkaRecord
    alert: Alert


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
        self._refused_in_a_row = 0
        self.store_away: str | None = None

    async def run(self, batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            incoming, letters = read(batch)
            self._put_aside(letters)
            events = await self._stored(batch.tp, incoming)
            if events is None:
                continue  # unfinished: whoever owns the partition next reads it again
            batch.finish()
            if not await announced(self._announce, events):
                self._metrics.announce_failed()

    def give_up(self) -> None:
        """Stop waiting for the store: the partition is about to be taken away."""
        self._giving_up.set()

    def resume(self) -> None:
        self._giving_up.clear()

    async def _stored(self, tp: TopicPartition, incoming: Sequence[Incoming]) -> Sequence[AlertEvent] | None:
        """None when it had to be given up. Halves what is refused until it is a single alert."""
        events: list[AlertEvent] = []
        left = [incoming] if incoming else []
        while left:
            group = left.pop()
            outcome = await self._store_group(group)
            if outcome is None:
                return None
            if not isinstance(outcome, Exception):
                events += outcome
            elif len(group) > 1:
                half = len(group) // 2
                left += [group[half:], group[:half]]
            else:
                self._refused(tp, group[0], outcome)
        return events

    async def _store_group(self, group: Sequence[Incoming]) -> Sequence[AlertEvent] | Exception | None:
        """What the store refused it with, if it did; None when it had to be given up."""
        alerts = [one.alert for one in group]
        waits, refusals = growing(*_PAUSES_SECONDS), 0
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    events = await self._store.record(alerts)
            except Exception as error:
                self.store_away = f"alerts cannot be stored: {type(error).__name__}"
                self._metrics.store_failed()
                if not isinstance(error, _AWAY):
                    refusals += 1
                    if len(group) > 1 or (refusals >= _TRIES and self._refused_in_a_row < _REFUSED_IN_A_ROW):
                        return error
                seconds = next(waits)
                _log.warning("alerts cannot be stored", alerts=len(alerts), again_in_seconds=seconds, exc_info=error)
                if await pause(self._giving_up, seconds):
                    return None
                continue
            self.store_away = None
            self._refused_in_a_row = 0
            self._metrics.stored(len(alerts), len(events))
            return events

    def _refused(self, tp: TopicPartition, one: Incoming, error: Exception) -> None:
        self._refused_in_a_row += 1
        self.store_away = None
        _log.error("alert refused by the store", alert=one.alert.id, offset=one.record.offset, exc_info=error)
        message = f"{type(error).__name__}: {error}"
        self._put_aside([DeadLetter.of(tp, one.record, reason=REFUSED_ALERT, field="", message=message)])

    def _put_aside(self, letters: Sequence[DeadLetter]) -> None:
        self._outgoing.add_dead_letters(letters)
        self._metrics.unreadable_alerts(len(letters))


def read(batch: Batch) -> tuple[list[Incoming], list[DeadLetter]]:
    """The alerts of a batch, and what is none."""
    incoming, letters = [], []
    for record in batch.records:
        try:
            incoming.append(Incoming(record, alert_of(record.value)))
        except UnreadableAlertError as error:
            letters.append(
                DeadLetter.of(batch.tp, record, reason=UNREADABLE_ALERT, field=error.field, message=str(error))
            )
    return incoming, letters
