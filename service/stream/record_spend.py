"""The agent on the spend topic: statements -> the store. There is none where no digest is configured.

As with alerts, only what is stored is committed, and a store that is away is tried again for as long as it takes.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec
import structlog

from connectors.series import SeriesKey, SeriesKeyError
from service.core.amounts import INT64_MAX
from service.core.spend import SpendStatement
from service.core.validation import DECODE_ERRORS, undecodable
from service.pauses import growing, pause
from service.stream.batch import Batch
from service.stream.dead_letters import DeadLetter
from service.stream.metrics import StreamMetrics
from service.stream.outgoing import Outgoing

UNREADABLE_SPEND = "unreadable_spend"
_MAX_AMOUNT = 1e18
"""As of alerts: far beyond what facts add up to."""
_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_PATIENCE_SECONDS = 30.0
_decode = msgspec.json.Decoder(SpendStatement).decode
_log = structlog.get_logger(__name__)


class SpendRecorder(Protocol):
    """The part of the store that is used here."""

    async def record_spend(self, statements: Sequence[SpendStatement]) -> None: ...


class RecordSpend:
    """store_away: why spend cannot be stored now, for readiness; None when it can."""

    def __init__(self, store: SpendRecorder, outgoing: Outgoing, metrics: StreamMetrics) -> None:
        self._store = store
        self._outgoing = outgoing
        self._metrics = metrics
        self._giving_up = asyncio.Event()
        self.store_away: str | None = None

    async def run(self, batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            statements, letters = read(batch)
            self._outgoing.add_dead_letters(letters)
            if await self._stored(statements):
                batch.finish()  # else whoever owns the partition next reads it again

    def give_up(self) -> None:
        """Stop waiting for the store: the partition is about to be taken away."""
        self._giving_up.set()

    def resume(self) -> None:
        self._giving_up.clear()

    async def _stored(self, statements: Sequence[SpendStatement]) -> bool:
        waits = growing(*_PAUSES_SECONDS)
        while statements:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._store.record_spend(statements)
                break
            except Exception as error:
                self.store_away = f"spend cannot be stored: {type(error).__name__}"
                self._metrics.store_failed()
                seconds = next(waits)
                _log.warning("spend cannot be stored", rows=len(statements), again_in_seconds=seconds, exc_info=error)
                if await pause(self._giving_up, seconds):
                    return False
        self.store_away = None
        self._metrics.spend_stored(len(statements))
        return True


def read(batch: Batch) -> tuple[list[SpendStatement], list[DeadLetter]]:
    """The statements of a batch, and what is none: others than we may be able to write there."""
    statements, letters = [], []
    for record in batch.records:
        try:
            statements.append(statement_of(record.value))
        except ValueError as error:
            letters.append(DeadLetter.of(batch.tp, record, reason=UNREADABLE_SPEND, field="", message=str(error)))
    return statements, letters


def statement_of(value: bytes | None) -> SpendStatement:
    """Raises ValueError for what is no statement, or not one that a database could hold."""
    try:
        statement = _decode(value or b"")
        SeriesKey.parse(statement.series)
    except DECODE_ERRORS as error:
        raise ValueError(str(undecodable(error))) from None
    except SeriesKeyError as error:
        raise ValueError(f"series: {error}") from None
    start = statement.start
    if start.tzinfo is None or not 1 < start.year < 9999:
        raise ValueError(f"start: expected a time with its zone, got {start.isoformat()}")
    if not abs(statement.amount) <= _MAX_AMOUNT:
        raise ValueError(f"amount: expected an amount within +-{_MAX_AMOUNT:g}")
    if not (0 <= statement.born <= INT64_MAX and -1 <= statement.offset <= INT64_MAX):
        raise ValueError(f"born, offset: expected whole numbers from 0 to {INT64_MAX}")
    return statement
