"""State of the series <-> the compacted state topic.

Facts of partition n have their state in partition n. Beside the engine's snapshots each checkpoint writes a marker: the
offset it stands for. A load that does not find a marker at least as high as what the group has committed has lost
state, and is refused. (A loader of the prototype once read nothing, without an error: the state silently began anew.)
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import ConsumerRecord
from msgspec import Struct

from service.core.snapshot import SnapshotError
from service.core.validation import DECODE_ERRORS
from service.errors import ConfigError, SpendwatchError
from service.stream.batch import TopicPartition
from service.stream.cut import Cut
from service.stream.owner import Position
from service.stream.topics import COMPACTION_LAG_MS, Topics

MARKER_KEY = b"~checkpoint"
_RECORDS_A_TURN = 2_000
_STALLED_SECONDS = 30.0
_log = structlog.get_logger(__name__)

Snapshot = tuple[bytes, bytes]
"""Key and content."""


class Marker(Struct, frozen=True, kw_only=True, array_like=True):
    """The last thing a checkpoint writes to a partition. offset: the source offset that is about to be committed."""

    topic: str
    partitions: int
    offset: int


_decode_marker = msgspec.msgpack.Decoder(Marker).decode


class StateLostError(ConfigError):
    """The snapshots do not reach as far as the committed offsets."""

    def __init__(self, tp: TopicPartition, committed: int, found: int | None) -> None:
        super().__init__(
            f"{tp}: offsets up to {committed} are committed, but the state topic"
            f" {'holds no checkpoint' if found is None else f'ends at the checkpoint of offset {found}'}. To begin with"
            " empty state and go on from the committed offsets, set worker.start_cold"
        )
        self.tp = tp
        self.committed = committed
        self.found = found


class StateUnreadableError(ConfigError):
    """A snapshot or checkpoint that this version cannot read: of another version, or damaged."""

    def __init__(self, tp: TopicPartition, problem: str) -> None:
        super().__init__(
            f"{tp}: {problem}. Run the version that wrote it, or set worker.start_cold to begin anew where nothing can"
            " be read"
        )
        self.tp = tp


class StateMismatchError(ConfigError):
    """The snapshots are of another topic, or of another number of partitions."""

    def __init__(self, tp: TopicPartition, partitions: int, marker: Marker) -> None:
        super().__init__(
            f"the state of {tp} of {partitions} was written for {marker.topic} with {marker.partitions} partitions"
        )
        self.tp = tp


class LoadStalledError(SpendwatchError):
    """The broker sends no more snapshots, though there are some."""

    exit_code = 75

    def __init__(self, topic: str, seconds: float) -> None:
        super().__init__(f"loading {topic} made no progress for {seconds:g} s")
        self.topic = topic


class SnapshotWriter:
    """Writes whole batches: a tenth of what one `send` per record costs. acknowledged: how many the broker has."""

    def __init__(self, producer: AIOKafkaProducer, topics: Topics, *, partitions: int) -> None:
        self._producer = producer
        self._topics = topics
        self._partitions = partitions
        self.acknowledged = 0

    async def write(self, snapshots: Mapping[int, Sequence[Snapshot]], offsets: Mapping[int, int]) -> int:
        """Returns the bytes written, when the broker has acknowledged all. Both arguments are by partition.

        State of the whole partition (`~` keys: its watermarks) and the marker are written, together, when that of all
        series is acknowledged: what a crash in between has left is not taken for a checkpoint (see cut.py).
        Raises KafkaError; then some may have been written, which does no harm: nothing was committed.
        """
        of_series, of_partition = {}, {}
        for partition, offset in offsets.items():
            entries = snapshots.get(partition, ())
            marker = Marker(topic=self._topics.facts, partitions=self._partitions, offset=offset)
            of_series[partition] = [entry for entry in entries if not entry[0].startswith(b"~")]
            of_partition[partition] = [entry for entry in entries if entry[0].startswith(b"~")]
            of_partition[partition].append((MARKER_KEY, msgspec.msgpack.encode(marker)))
        return await self._write(of_series) + await self._write(of_partition)

    async def _write(self, entries: Mapping[int, Sequence[Snapshot]]) -> int:
        sent: list[asyncio.Future[object]] = []
        for partition, of_partition in entries.items():
            if of_partition:
                sent += await self._send(partition, of_partition)
        for result in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        return sum(len(key) + len(value) for group in entries.values() for key, value in group)

    async def _send(self, partition: int, entries: Iterable[Snapshot]) -> "list[asyncio.Future[object]]":
        sent = []
        batch = self._producer.create_batch()
        for count, (key, value) in enumerate(entries, start=1):
            if batch.append(key=key, value=value, timestamp=None) is None:
                sent.append(await self._sent(batch, partition))
                batch = self._producer.create_batch()
                if batch.append(key=key, value=value, timestamp=None) is None:
                    raise SpendwatchError(f"the snapshot of {key!r} has {len(value)} bytes: too large for a batch")
            if count % _RECORDS_A_TURN == 0:
                await asyncio.sleep(0)
        sent.append(await self._sent(batch, partition))
        return sent

    async def _sent(self, batch: BatchBuilder, partition: int) -> "asyncio.Future[object]":
        result: asyncio.Future[object] = await self._producer.send_batch(batch, self._topics.state, partition=partition)
        result.add_done_callback(self._acknowledge)
        return result

    def _acknowledge(self, result: "asyncio.Future[object]") -> None:
        if not result.cancelled() and result.exception() is None:
            self.acknowledged += 1


class SnapshotLoader:
    """Reads the state of whole partitions.

    start_cold: accept that snapshots do not reach as far as the committed offsets, or cannot be read.
    """

    def __init__(self, bootstrap_servers: str, topics: Topics, *, partitions: int, start_cold: bool = False) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topics = topics
        self._partitions = partitions
        self._start_cold = start_cold

    async def load(
        self, positions: Mapping[TopicPartition, Position], restore: Callable[[TopicPartition, bytes, bytes], None]
    ) -> int:
        """Hand every snapshot of the partitions of the facts topic in *positions* to *restore*; returns their number.

        Raises StateLostError, StateMismatchError, StateUnreadableError, LoadStalledError, KafkaError.
        """
        sources = {KafkaTopicPartition(self._topics.state, tp.partition): tp for tp in positions}
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            group_id=None,
            enable_auto_commit=False,
            # The default, "latest", starts a reset to the end that may overtake the seek below.
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4_194_304,
            fetch_max_wait_ms=50,
        )
        try:
            await consumer.start()  # within: a load that is given up while it connects must not leave it open
            consumer.assign(list(sources))
            starts = await consumer.beginning_offsets(list(sources))
            for source, start in starts.items():
                consumer.seek(source, start)
            count, markers = await self._read(consumer, sources, restore)
        finally:
            await consumer.stop()
        for tp, position in positions.items():
            self._prove(tp, position, markers.get(tp))
        return count

    async def _read(
        self,
        consumer: AIOKafkaConsumer,
        sources: Mapping[KafkaTopicPartition, TopicPartition],
        restore: Callable[[TopicPartition, bytes, bytes], None],
    ) -> tuple[int, dict[TopicPartition, Marker]]:
        count = 0
        markers: dict[TopicPartition, Marker] = {}
        cuts = {tp: Cut() for tp in sources.values()}
        loop = asyncio.get_running_loop()
        moved_at = loop.time()
        left = set(sources)
        while left:
            fetched = await consumer.getmany(*left, timeout_ms=100, max_records=_RECORDS_A_TURN)
            for source, records in fetched.items():
                tp = sources[source]
                for record in records:
                    if self._take_in(markers, tp, cuts[tp], record):
                        count += await self._restore(tp, cuts[tp], restore)
            at_end = {source for source in left if await _at_end(consumer, source)}
            left -= at_end
            if fetched or at_end:
                moved_at = loop.time()
            elif loop.time() - moved_at > _STALLED_SECONDS:
                raise LoadStalledError(self._topics.state, _STALLED_SECONDS)
            await asyncio.sleep(0)
        for tp, cut in cuts.items():
            if cut.left:
                count += await self._restore_late(tp, cut, restore)
        return count, markers

    def _take_in(
        self, markers: dict[TopicPartition, Marker], tp: TopicPartition, cut: Cut, record: ConsumerRecord
    ) -> bool:
        """Whether a checkpoint is complete with it."""
        if record.key == MARKER_KEY and record.value is not None:
            self._mark(markers, tp, record.value)
            cut.complete()
            return True
        if record.key is not None and record.value is not None:
            cut.add(record.key, record.value, record.timestamp)
        return False

    async def _restore_late(
        self, tp: TopicPartition, cut: Cut, restore: Callable[[TopicPartition, bytes, bytes], None]
    ) -> int:
        """What a checkpoint without a marker has left counts only when what it replaces may be gone."""
        is_late = time.time() * 1000.0 - cut.newest_ms > COMPACTION_LAG_MS
        _log.info("a checkpoint is incomplete", partition=tp.partition, snapshots=len(cut.left), counts=is_late)
        if not is_late:
            return 0
        cut.complete()
        return await self._restore(tp, cut, restore)

    async def _restore(
        self, tp: TopicPartition, cut: Cut, restore: Callable[[TopicPartition, bytes, bytes], None]
    ) -> int:
        count = 0
        while entries := cut.take(_RECORDS_A_TURN):
            for key, value in entries:
                count += self._restored(tp, partial(restore, tp, key, value))
            await asyncio.sleep(0)
        return count

    def _mark(self, markers: dict[TopicPartition, Marker], tp: TopicPartition, value: bytes) -> None:
        """Keep the highest marker. Raises StateUnreadableError."""
        try:
            marker = _decode_marker(value)
        except DECODE_ERRORS as error:
            if not self._start_cold:
                raise StateUnreadableError(tp, f"the checkpoint is unreadable: {error}") from None
            _log.warning("a checkpoint is left out", partition=tp.partition, reason=str(error))
            return
        before = markers.get(tp)
        if before is None or marker.offset > before.offset:
            markers[tp] = marker

    def _restored(self, tp: TopicPartition, restore: Callable[[], None]) -> bool:
        try:
            restore()
        except SnapshotError as error:
            if not self._start_cold:
                raise StateUnreadableError(tp, str(error)) from None
            _log.warning("a series begins anew", partition=tp.partition, reason=str(error))
            return False
        return True

    def _prove(self, tp: TopicPartition, position: Position, marker: Marker | None) -> None:
        if marker is not None and (marker.topic, marker.partitions) != (self._topics.facts, self._partitions):
            raise StateMismatchError(tp, self._partitions, marker)
        committed = position.committed or 0
        if committed > position.start and (marker is None or marker.offset < committed) and not self._start_cold:
            raise StateLostError(tp, committed, marker.offset if marker else None)


async def _at_end(consumer: AIOKafkaConsumer, source: KafkaTopicPartition) -> bool:
    """By the end that the last fetch told, not by ListOffsets: that one is wrong on the embedded broker."""
    end = consumer.highwater(source)
    return end is not None and await consumer.position(source) >= end
