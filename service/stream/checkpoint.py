"""One checkpoint: what the offsets stand for becomes durable, in the order that loses nothing.

1. Freeze what changed, some thousand series per turn of the loop; what changes meanwhile is frozen again, and the last
   part together with the state of the partition itself in one turn, so that together they are of one moment. The
   offsets were computed before, so snapshots are never behind them; to be ahead is harmless.
2. Alerts and dead letters are acknowledged by the broker. 3. Snapshots are. 4. The caller commits.
Any failure raises: nothing is committed, the process ends, and its successor reads the facts again.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from enum import StrEnum

from service.stream.batch import TopicPartition
from service.stream.metrics import StreamMetrics
from service.stream.outgoing import Outgoing
from service.stream.partitions import Engine, Partitions
from service.stream.snapshots import Snapshot, SnapshotWriter

_SERIES_A_TURN = 5_000
_TURNS = 100
"""Then all that is left is frozen at once: facts may change series faster than they are frozen."""


class Step(StrEnum):
    """What a checkpoint has just done; tests end the process there."""

    FROZEN = "frozen"
    ALERTS_SENT = "alerts_sent"
    SNAPSHOTS_SENT = "snapshots_sent"
    COMMITTED = "committed"


class Checkpoint:
    """parts: how many parts of checkpoints were frozen or acknowledged; a checkpoint that makes progress moves it."""

    def __init__(
        self,
        *,
        facts_topic: str,
        partitions: Partitions,
        outgoing: Outgoing,
        snapshots: SnapshotWriter,
        metrics: StreamMetrics,
        on_step: Callable[[Step], None],
    ) -> None:
        self._facts_topic = facts_topic
        self._partitions = partitions
        self._outgoing = outgoing
        self._snapshots = snapshots
        self._metrics = metrics
        self._on_step = on_step
        self._frozen = 0

    @property
    def parts(self) -> int:
        return self._frozen + self._snapshots.acknowledged

    async def __call__(self, offsets: Mapping[TopicPartition, int]) -> None:
        """offsets: the next to read of each partition, as they will be committed, of any topic."""
        started = time.monotonic()
        facts = {tp: offset for tp, offset in offsets.items() if tp.topic == self._facts_topic}
        frozen: dict[int, list[Snapshot]] = {}
        for tp in facts:
            # None only when nothing of it was applied: finished batches have an engine.
            if (engine := self._partitions.get(tp)) is not None:
                frozen[tp.partition] = await freeze(engine, self._part_frozen)
            await asyncio.sleep(0)
        self._on_step(Step.FROZEN)
        await self._outgoing.flush()
        self._on_step(Step.ALERTS_SENT)
        if facts:
            size = await self._snapshots.write(frozen, {tp.partition: offset for tp, offset in facts.items()})
            self._on_step(Step.SNAPSHOTS_SENT)
            self._metrics.checkpoint(
                seconds=time.monotonic() - started, size=size, series=sum(len(group) for group in frozen.values())
            )

    def _part_frozen(self) -> None:
        self._frozen += 1


async def freeze(engine: Engine, on_part: Callable[[], None] = lambda: None) -> list[Snapshot]:
    """All that has changed, by key: of several snapshots of a series the last."""
    frozen: dict[bytes, bytes] = {}
    for _ in range(_TURNS):
        part = engine.freeze(_SERIES_A_TURN)
        on_part()
        frozen.update(part)
        if len(part) < _SERIES_A_TURN:
            break
        await asyncio.sleep(0)
    else:
        frozen.update(engine.freeze())
    return list(frozen.items())
