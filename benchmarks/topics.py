"""The topics of a benchmark: filled once, read by every contender, and put back before each run of ours.

Offsets below PADDING stand for the past: our worker begins there with the state of ninety days, as after a restart,
and every other contender begins there too.
"""

import asyncio
from collections.abc import Iterable, Mapping
from itertools import islice

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.partitioner import DefaultPartitioner

from benchmarks.workload import PADDING
from connectors.facts import Fact, Watermark
from connectors.publisher import Publisher
from service.settings import Kafka
from service.stream.snapshots import SnapshotWriter
from service.stream.topics import Topics, ensure_topics

_AT_ONCE = 5_000
_PATIENCE_SECONDS = 30.0
_LONG_AGO = Watermark(source="padding", complete_until="2000-01-01T00:00:00Z")


async def fill(kafka: Kafka, facts: Iterable[Fact]) -> int:
    """Create the topics, write padding and facts; returns how many facts."""
    assert kafka.bootstrap_servers is not None
    await ensure_topics(kafka)
    count = 0
    rest = iter(facts)
    async with Publisher(kafka.bootstrap_servers, topic_prefix=kafka.topic_prefix) as publisher:
        for _ in range(PADDING):
            await publisher.watermark(_LONG_AGO)
        while some := list(islice(rest, _AT_ONCE)):
            await publisher.publish(some)
            count += len(some)
    return count


async def begin_after_padding(kafka: Kafka, group: str) -> None:
    """Have a consumer group begin at the first measured fact, wherever its members come from."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(Topics.of(kafka).facts, number) for number in range(kafka.partitions)]
        consumer.assign(partitions)
        async with asyncio.timeout(_PATIENCE_SECONDS):  # it would try again for ever
            await consumer.commit(dict.fromkeys(partitions, PADDING))
    finally:
        await consumer.stop()


async def put_back(kafka: Kafka, states: Iterable[tuple[bytes, bytes]]) -> int:
    """Give our worker these snapshots (key, content) to begin with, and empty topics otherwise; returns their bytes."""
    topics = Topics.of(kafka)
    await _delete(kafka, [topics.alerts, topics.state, topics.dead_letters])
    await ensure_topics(kafka)
    numbers = list(range(kafka.partitions))
    partition_of = DefaultPartitioner()
    groups: dict[int, list[tuple[bytes, bytes]]] = {number: [] for number in numbers}
    for key, snapshot in states:
        groups[partition_of(key, numbers, numbers)].append((key, snapshot))
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, acks="all", linger_ms=2, max_batch_size=512 * 1024
    )
    await producer.start()
    try:
        writer = SnapshotWriter(producer, topics, partitions=kafka.partitions)
        return await writer.write(groups, dict.fromkeys(numbers, PADDING))
    finally:
        await producer.stop()


async def _delete(kafka: Kafka, names: list[str]) -> None:
    """Topics that are there; returns when the broker has forgotten them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            if there := sorted(set(names) & set(await admin.list_topics())):
                await admin.delete_topics(there)
            while set(names) & set(await admin.list_topics()):  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(0.1)
    finally:
        await admin.close()


class Committed:
    """What a group has committed, seen from outside."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._topic = Topics.of(kafka).facts
        self._admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)

    async def __aenter__(self) -> "Committed":
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()

    async def offsets(self) -> Mapping[int, int]:
        found = await self._admin.list_consumer_group_offsets(self._kafka.group)
        return {tp.partition: offset.offset for tp, offset in found.items() if tp.topic == self._topic}

    async def total(self) -> int:
        """Facts, over all partitions."""
        return sum(max(0, offset - PADDING) for offset in (await self.offsets()).values())
