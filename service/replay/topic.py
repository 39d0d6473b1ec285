"""A range of the facts topic, record by record, as the worker would have read it.

The range is of record times (when they were written). What retention has taken is said, not skipped.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.errors import UnavailableError
from service.replay.errors import ReplayError
from service.replay.player import Record
from service.stream.topics import partitions_of

_AT_ONCE = 2_000
_STALLED_SECONDS = 30.0


class TopicRange:
    """since, until: aware; None stands for the first and the last record that is there."""

    def __init__(
        self, bootstrap_servers: str, topic: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> None:
        if since is not None and until is not None and until <= since:
            raise ReplayError(f"--to must be after --from, got {_said(until)} after {_said(since)}")
        self._servers = bootstrap_servers
        self._topic = topic
        self._since = since
        self._until = until
        self._consumer: AIOKafkaConsumer | None = None
        self.notes: list[str] = []

    async def __aenter__(self) -> "TopicRange":
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4_194_304,
            fetch_max_wait_ms=50,
        )
        try:
            await consumer.start()
        except BaseException as error:
            await consumer.stop()
            if not isinstance(error, KafkaError | OSError):
                raise
            raise UnavailableError(
                f"no Kafka broker answers at {self._servers}: {error or type(error).__name__}"
            ) from None
        self._consumer = consumer
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._consumer is not None:
            await self._consumer.stop()

    async def partitions(self) -> int:
        """Raises ReplayError for a topic that is not there."""
        found = await partitions_of(self._servers, self._topic)
        if found is None:
            raise ReplayError(f"the broker at {self._servers} has no topic {self._topic!r}")
        return found

    async def batches(self) -> AsyncIterator[tuple[int, Sequence[Record]]]:
        """(partition, its next records). Raises ReplayError where the range begins before what is kept, or is empty."""
        consumer = self._consumer
        assert consumer is not None
        tps = [TopicPartition(self._topic, number) for number in range(await self.partitions())]
        consumer.assign(tps)
        starts = await consumer.beginning_offsets(tps)
        for tp in tps:
            consumer.seek(tp, starts[tp])
        taken = 0
        async for tp, records in _read(consumer, tps, self._topic):
            if starts[tp] > 0 and records[0].offset == starts[tp]:
                self._check_kept(tp, records[0])
            wanted = [
                Record(record.offset, record.key, record.value, record.timestamp)
                for record in records
                if self._holds(record.timestamp)
            ]
            taken += len(wanted)
            if wanted:
                yield tp.partition, wanted
        if not taken:
            raise ReplayError(f"topic {self._topic!r} holds no record {self._said_range()}")

    def _holds(self, timestamp: int) -> bool:
        since, until = self._since, self._until
        return (since is None or timestamp >= since.timestamp() * 1000) and (
            until is None or timestamp < until.timestamp() * 1000
        )

    def _check_kept(self, tp: TopicPartition, first: Any) -> None:
        """The oldest record of a partition that has lost some."""
        at = datetime.fromtimestamp(first.timestamp / 1000, UTC)
        gone = f"partition {tp.partition} of topic {self._topic!r} begins at {_said(at)} (offset {first.offset})"
        if self._since is not None and self._since < at:
            raise ReplayError(f"{gone}: what was before is gone. Begin with --from {_said(at)}, or leave --from out")
        if self._since is None:
            self.notes.append(f"{gone}: what was before is gone, and series begin cold there")

    def _said_range(self) -> str:
        if self._since is None and self._until is None:
            return "at all"
        begin = "" if self._since is None else f"from {_said(self._since)} "
        return f"{begin}{'' if self._until is None else f'to {_said(self._until)}'}".strip()


async def _read(
    consumer: AIOKafkaConsumer, tps: Sequence[TopicPartition], topic: str
) -> AsyncIterator[tuple[TopicPartition, Sequence[Any]]]:
    """Up to the end as the fetches tell it: ListOffsets is wrong about it on the embedded broker."""
    loop = asyncio.get_running_loop()
    moved_at = loop.time()
    left = set(tps)
    while left:
        fetched: Mapping[TopicPartition, Sequence[Any]] = await consumer.getmany(
            *left, timeout_ms=100, max_records=_AT_ONCE
        )
        for tp, records in fetched.items():
            yield tp, records
        ended = set()
        for tp in left:
            end = consumer.highwater(tp)
            if end is not None and await consumer.position(tp) >= end:
                ended.add(tp)
        left -= ended
        if fetched or ended:
            moved_at = loop.time()
        elif loop.time() - moved_at > _STALLED_SECONDS:
            raise UnavailableError(f"reading {topic} made no progress for {_STALLED_SECONDS:g} s")


def _said(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
