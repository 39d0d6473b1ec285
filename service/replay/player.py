"""The messages of the facts topic, handed to one engine per partition as the broker would: production without the wire.

The partition of a series is the one it has on Kafka, and offsets count per partition. A watermark goes to each of them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from aiokafka.partitioner import DefaultPartitioner

from connectors.connector import BadRecord
from connectors.facts import Fact, Feedback, Watermark, encode, key_of
from service.core.alerts import Alert
from service.core.engine import Engine
from service.core.notes import Note
from service.core.policies import PolicyBook
from service.core.rejects import Rejected
from service.settings import Settings

_AT_ONCE = 2_000
"""Records per call of an engine; what it says does not depend on it."""


class Record(NamedTuple):
    """As the engine takes it."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0


def engines_for(settings: Settings, book: PolicyBook, partitions: int) -> list[Engine]:
    """As the worker has them, but that all series due are closed at once."""
    share = max(1, settings.max_new_values // settings.kafka.partitions)
    return [Engine(policies=book, partition=number, max_new_series=share) for number in range(partitions)]


class Player:
    """Where the connectors' runner publishes to (connectors.runner.FactSink), and what came out of it.

    alerts: the latest version of each, by id. raised: how many versions there were. rejected: records that no engine
    could use, with their partition. notes: what was worth a line and no alert. bad: what the connectors could not make
    facts of.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        *,
        on_alerts: Callable[[Sequence[Alert]], None] = lambda _alerts: None,
        record: bool = False,
    ) -> None:
        self._engines = engines
        self._on_alerts = on_alerts
        self._partitions = list(range(len(engines)))
        self._partition_of: dict[str, int] = {}
        self._partitioner = DefaultPartitioner()
        self._waiting: list[list[Record]] = [[] for _ in engines]
        self._offsets = [0] * len(engines)
        self.tape: list[tuple[int, Sequence[Record]]] | None = [] if record else None
        self.alerts: dict[str, Alert] = {}
        self.raised = 0
        self.facts = 0
        self.series: set[str] = set()
        self.rejected: list[tuple[int, Rejected]] = []
        self.bad: list[BadRecord] = []
        self.notes: list[Note] = []

    async def publish(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self.take(fact)

    async def watermark(self, watermark: Watermark) -> None:
        self.take(watermark)

    async def dead_letter(self, bad: BadRecord) -> None:
        self.bad.append(bad)

    def take(self, message: Fact | Watermark | Feedback) -> None:
        if isinstance(message, Watermark):
            for partition in self._partitions:
                self._add(partition, key_of(message), encode(message))
            return
        self.facts += 1
        self._add(self._partition(message.series), key_of(message), encode(message))

    def apply(self, partition: int, records: Sequence[Record]) -> None:
        """Records of a partition, with their own offsets."""
        if self.tape is not None:
            self.tape.append((partition, records))
        engine = self._engines[partition]
        engine.apply(records)
        alerts = engine.take_alerts()
        self.raised += len(alerts)
        for alert in alerts:
            known = self.alerts.get(alert.id)
            if known is None or alert.version > known.version:
                self.alerts[alert.id] = alert
        if alerts:
            self._on_alerts(alerts)
        self.notes += engine.take_notes()
        self.rejected += [(partition, rejected) for rejected in engine.take_rejects()]

    def flush(self) -> None:
        """Hand on what waits to be a full batch."""
        for partition, records in enumerate(self._waiting):
            if records:
                self._waiting[partition] = []
                self.apply(partition, records)

    @property
    def series_count(self) -> int:
        return sum(map(len, self._engines))

    @property
    def last_start(self) -> int:
        """The newest charge period start, seconds since 1970; 0 when there is none."""
        return max((engine.stats.last_start for engine in self._engines), default=0)

    @property
    def closed(self) -> int:
        """Buckets judged for good."""
        return sum(engine.stats.closed for engine in self._engines)

    def _add(self, partition: int, key: bytes, value: bytes) -> None:
        waiting = self._waiting[partition]
        waiting.append(Record(self._offsets[partition], key, value))
        self._offsets[partition] += 1
        if len(waiting) >= _AT_ONCE:
            self._waiting[partition] = []
            self.apply(partition, waiting)

    def _partition(self, series: str) -> int:
        partition = self._partition_of.get(series)
        if partition is None:
            partition = self._partitioner(series.encode(), self._partitions, self._partitions)
            self._partition_of[series] = partition
        return partition
