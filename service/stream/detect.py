"""The agent on the facts topic: batch -> engine -> alerts, spend and dead letters."""

import asyncio
from collections.abc import AsyncIterator

import structlog

from service.core.notes import said
from service.stream.batch import Batch, TopicPartition
from service.stream.dead_letters import DeadLetter, DeadLetterLimit, Limits
from service.stream.metrics import StreamMetrics
from service.stream.outgoing import Outgoing
from service.stream.partitions import Engine, Partitions

_CLOSED_A_TURN = 500
_log = structlog.get_logger(__name__)


class Detect:
    def __init__(
        self,
        partitions: Partitions,
        outgoing: Outgoing,
        metrics: StreamMetrics,
        limits: Limits,
    ) -> None:
        self._partitions = partitions
        self._outgoing = outgoing
        self._metrics = metrics
        self._limits = limits
        self._counts: dict[TopicPartition, DeadLetterLimit] = {}

    async def run(self, batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            engine = await self._partitions.wait_for(batch.tp)
            if engine is None:
                continue  # the partition was taken away: the batch stays unfinished
            self.apply(engine, batch)
            # The end of a day closes every series: done in parts, so that the loop is never held up.
            while engine.advance(_CLOSED_A_TURN) and self._partitions.get(batch.tp) is engine:
                self._take_alerts(engine)
                await asyncio.sleep(0)
            self._take_alerts(engine)
            batch.finish()
            del engine, batch  # until the next one comes, what was taken away in the meantime must not be held here

    def apply(self, engine: Engine, batch: Batch) -> None:
        """One turn of the loop: a checkpoint sees all of a batch or nothing. Raises DeadLetterLimitError."""
        engine.apply(batch.records)
        self._metrics.batch(batch)
        self._take_alerts(engine)
        self._outgoing.add_dead_letters(self._dead_letters(engine, batch))

    def _take_alerts(self, engine: Engine) -> None:
        """In the same turn of the loop as what made them: see Outgoing."""
        alerts = engine.take_alerts()
        self._outgoing.add_alerts(alerts)
        self._metrics.emitted(alerts)
        self._outgoing.add_spend(engine.take_spend())
        for note in engine.take_notes():
            _log.info("re-tagged", series=note.series, at=note.at.isoformat(), moved=note.moved, note=said(note))

    def _dead_letters(self, engine: Engine, batch: Batch) -> list[DeadLetter]:
        rejects = engine.take_rejects()
        limit = self._counts.get(batch.tp) or self._counts.setdefault(batch.tp, DeadLetterLimit(batch.tp, self._limits))
        limit.count(
            last=batch.last,
            records=len(batch.records),
            rejected=sorted({reject.offset for reject in rejects}),
        )
        if not rejects:
            return []
        for reject in rejects:
            self._metrics.rejected(str(reject.reason))
        return [
            DeadLetter.of(
                batch.tp,
                reject,
                reason=str(reject.reason),
                field=reject.field or "",
                message=reject.message,
            )
            for reject in rejects
        ]
