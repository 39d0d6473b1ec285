"""The agent on the facts topic: batch -> engine -> alerts and dead letters."""

from collections.abc import AsyncIterator

from service.stream.batch import Batch, TopicPartition
from service.stream.dead_letters import DeadLetter, DeadLetterLimit, Limits
from service.stream.metrics import StreamMetrics
from service.stream.outgoing import Outgoing
from service.stream.partitions import Engine, Partitions


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
            if engine is not None:  # else the partition was taken away: the batch stays unfinished
                self.apply(engine, batch)

    def apply(self, engine: Engine, batch: Batch) -> None:
        """One turn of the loop: a checkpoint sees all of a batch or nothing. Raises DeadLetterLimitError."""
        engine.apply(batch.records)
        self._outgoing.add_alerts(alerts := engine.take_alerts())
        letters = self._dead_letters(engine, batch)
        self._outgoing.add_dead_letters(letters)
        batch.finish()
        self._metrics.batch(batch, alerts)

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
        records = {record.offset: record for record in batch.records}
        return [
            DeadLetter.of(
                batch.tp,
                records[reject.offset],
                reason=str(reject.reason),
                field=reject.field or "",
                message=reject.message,
            )
            for reject in rejects
        ]
