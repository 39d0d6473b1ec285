"""The engines of the partitions that are ours: loaded after every assignment, dropped at every revocation.

Dropped also where a partition comes back at once: there is one way only in which state comes to life, always exercised
and right after a missed generation too. Loading costs milliseconds.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import structlog

from service.core.alerts import Alert
from service.core.notes import Note
from service.core.spend import SpendStatement
from service.core.stats import EngineStats
from service.stream.batch import Record, TopicPartition
from service.stream.collector import collector_at_rest
from service.stream.owner import Position
from service.stream.snapshots import Snapshot, SnapshotLoader

_log = structlog.get_logger(__name__)


class Rejected(Record, Protocol):
    """A record that the engine could not read. reason: a member of a closed enumeration of texts."""

    @property
    def reason(self) -> str: ...
    @property
    def field(self) -> str | None: ...
    @property
    def message(self) -> str: ...


class Engine(Protocol):
    """The pure core, one per source partition; docs/architecture.md, "Core interface"."""

    def restore(self, key: bytes, snapshot: bytes) -> None: ...
    def apply(self, records: Iterable[Record]) -> None: ...
    def take_alerts(self) -> Sequence[Alert]: ...
    def take_spend(self) -> Sequence[SpendStatement]: ...
    def take_rejects(self) -> Sequence[Rejected]: ...
    def take_notes(self) -> Sequence[Note]: ...
    def advance(self, limit: int) -> int:
        """Close so many of the series that are due; returns how many are left."""

    def freeze(self, limit: int | None = None) -> Sequence[Snapshot]:
        """Snapshots of what changed, of at most *limit* series; that of the partition comes with the last of them."""

    @property
    def stats(self) -> EngineStats: ...
    def __len__(self) -> int:
        """Series with live state."""


EngineFactory = Callable[[int], Engine]
"""Partition number -> a new engine."""


class Partitions:
    """on_dropped: told the engines that end, so that nothing they counted is lost. on_failure: a load that failed."""

    def __init__(
        self,
        factory: EngineFactory,
        loader: SnapshotLoader,
        *,
        on_loaded: Callable[[int, float], None],
        on_dropped: Callable[[Mapping[TopicPartition, Engine]], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._factory = factory
        self._loader = loader
        self._on_loaded = on_loaded
        self._on_dropped = on_dropped
        self._on_failure = on_failure
        self._engines: dict[TopicPartition, Engine] = {}
        self._loading: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[tuple[TopicPartition, Engine]]:
        """Loaded engines only."""
        return iter(tuple(self._engines.items()))

    @property
    def loading(self) -> bool:
        return self._loading is not None and not self._loading.done()

    def get(self, tp: TopicPartition) -> Engine | None:
        return self._engines.get(tp)

    async def wait_for(self, tp: TopicPartition) -> Engine | None:
        """The engine of *tp*, when its state is loaded; None when the partition was taken away meanwhile."""
        engine = self._engines.get(tp)
        if engine is None and self._loading is not None:
            await asyncio.wait([self._loading])
            engine = self._engines.get(tp)
        return engine

    def begin(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Load the state of these partitions, which replace all earlier ones."""
        self.drop()
        if positions:
            self._loading = asyncio.create_task(self._load(positions), name="load snapshots")

    def stop_loading(self) -> None:
        """Whoever waits gets None."""
        if self._loading is not None:
            self._loading.cancel()

    def drop(self) -> None:
        self.stop_loading()
        self._loading = None
        engines, self._engines = self._engines, {}
        self._on_dropped(engines)

    async def _load(self, positions: Mapping[TopicPartition, Position]) -> None:
        engines = {tp: self._factory(tp.partition) for tp in positions}
        started = time.monotonic()
        try:
            with collector_at_rest():
                count = await self._loader.load(positions, lambda tp, key, value: engines[tp].restore(key, value))
        except Exception as error:
            self._on_failure(error)
            return
        self._engines = engines
        seconds = time.monotonic() - started
        self._on_loaded(count, seconds)
        _log.info("state loaded", partitions=len(engines), snapshots=count, seconds=round(seconds, 3))
