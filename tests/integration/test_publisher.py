"""The publisher and the runner with real brokers: the embedded one, and Kafka where SPENDWATCH_TEST_KAFKA names one."""

import asyncio
import os
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from prometheus_client import CollectorRegistry

from connectors.checkpoint import Checkpoint
from connectors.facts import Driver, Fact, Watermark, decode_fact
from connectors.metrics import ConnectorMetrics
from connectors.publisher import Publisher, PublishError
from connectors.runner import Runner
from connectors.synthetic import SyntheticConnector, SyntheticOptions
from service.embedded import EmbeddedBroker
from tests.connectors.sinks import BUCKETS, bad_record, fold, series

PARTITIONS = 4


@pytest.fixture(
    params=[pytest.param("embedded", marks=pytest.mark.embedded), pytest.param("kafka", marks=pytest.mark.kafka)]
)
async def bootstrap_servers(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    if request.param == "embedded":
        async with EmbeddedBroker() as broker:
            yield broker.bootstrap_servers
    elif address := os.environ.get("SPENDWATCH_TEST_KAFKA"):
        yield address
    else:
        pytest.skip("SPENDWATCH_TEST_KAFKA names no Kafka (host:port)")


@pytest.fixture
async def prefix(bootstrap_servers: str) -> AsyncIterator[str]:
    """A topic prefix of its own, with the topics of docs/architecture.md."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    topics = [f"{prefix}.facts", f"{prefix}.dead-letters"]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(topics[0], PARTITIONS, 1), NewTopic(topics[1], 1, 1)])
    yield prefix
    await admin.delete_topics(topics)
    await admin.close()


async def read(
    bootstrap_servers: str, topic: str, count: int, partitions: int = PARTITIONS
) -> dict[int, list[tuple[bytes, bytes]]]:
    """The first *count* records of a topic, by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        assigned = [TopicPartition(topic, partition) for partition in range(partitions)]
        consumer.assign(assigned)
        for partition, offset in (await consumer.beginning_offsets(assigned)).items():
            consumer.seek(partition, offset)
        found: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
        async with asyncio.timeout(20):
            while sum(map(len, found.values())) < count:
                for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                    found[partition.partition] += [(record.key, record.value) for record in records]
        return found
    finally:
        await consumer.stop()


def facts(count: int) -> list[Fact]:
    drivers = (Driver(labels={"service_name": "Amazon EC2", "resource_id": "i-0123456789"}, cost=1.5),)
    return [
        Fact(
            series=series(f"t{number % 100}"),
            charge_period_start=BUCKETS[0],
            value=float(number),
            origin="bills:a",
            drivers=drivers,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [20, 5000])
async def test_facts_arrive_once_in_order_and_where_kafka_would_put_them(
    bootstrap_servers: str, prefix: str, count: int
) -> None:
    async with Publisher(bootstrap_servers, topic_prefix=prefix) as publisher:
        await publisher.publish(facts(count))
        assert publisher.ready
    found = await read(bootstrap_servers, f"{prefix}.facts", count)
    values = {partition: [decode_fact(value) for _, value in records] for partition, records in found.items()}
    assert sorted(fact.value for some in values.values() for fact in some) == list(range(count))
    assert all([fact.value for fact in some] == sorted(fact.value for fact in some) for some in values.values())

    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
    await producer.start()
    try:
        keys = {key: partition for partition, records in found.items() for key, _ in records}
        for key, partition in keys.items():
            sent = await producer.send_and_wait(f"{prefix}.facts", b"x", key=key)
            assert sent.partition == partition, key
    finally:
        await producer.stop()


async def test_a_watermark_reaches_every_partition(bootstrap_servers: str, prefix: str) -> None:
    watermark = Watermark(source="bills", complete_until=BUCKETS[1])
    async with Publisher(bootstrap_servers, topic_prefix=prefix) as publisher:
        await publisher.watermark(watermark)
    found = await read(bootstrap_servers, f"{prefix}.facts", PARTITIONS)
    assert sorted(found) == list(range(PARTITIONS))
    for ((key, value),) in found.values():
        assert key == b"~bills"
        assert msgspec.json.decode(value, type=Watermark) == watermark


async def test_a_dead_letter_is_kept_as_it_was_read(bootstrap_servers: str, prefix: str) -> None:
    async with Publisher(bootstrap_servers, topic_prefix=prefix) as publisher:
        await publisher.dead_letter(bad_record())
    found = await read(bootstrap_servers, f"{prefix}.dead-letters", 1, partitions=1)
    assert found[0] == [(b"a.csv:7", b"2024-09-01,x")]


async def test_concurrent_callers_share_the_producer(bootstrap_servers: str, prefix: str) -> None:
    async with Publisher(bootstrap_servers, topic_prefix=prefix) as publisher:
        await asyncio.gather(*(publisher.publish(facts(size)) for size in (1, 40, 7, 300, 2)))
    found = await read(bootstrap_servers, f"{prefix}.facts", 350)
    assert sum(map(len, found.values())) == 350


async def test_a_fact_beyond_the_brokers_limit_is_refused_for_good(bootstrap_servers: str, prefix: str) -> None:
    huge = (Driver(labels={"resource_id": "x" * 3_000_000}, cost=1.0),)
    fact = Fact(series=series("a"), charge_period_start=BUCKETS[0], value=1, origin="bills:a", drivers=huge)
    async with Publisher(bootstrap_servers, topic_prefix=prefix) as publisher:
        with pytest.raises(PublishError, match="MessageSizeTooLarge") as caught:
            await publisher.publish([fact])
        assert not caught.value.retryable
        await publisher.publish(facts(3))


async def test_synthetic_spend_arrives_as_it_was_made(bootstrap_servers: str, prefix: str, tmp_path: Path) -> None:
    options = SyntheticOptions(name="synthetic", tags=4, history_days=10, days=5)
    made = [fact async for batch in SyntheticConnector(options).batches(None) for fact in batch.facts]
    async with Publisher(bootstrap_servers, topic_prefix=prefix) as publisher:
        with Checkpoint(tmp_path / "c.db") as checkpoint:
            runner = Runner(publisher, checkpoint, ConnectorMetrics(CollectorRegistry()))
            first = await runner.run_once(SyntheticConnector(options))
            again = await runner.run_once(SyntheticConnector(options))
    assert (first.facts, again.facts) == (len(made), 0)
    found = await read(bootstrap_servers, f"{prefix}.facts", len(made))
    values = [value for records in found.values() for key, value in records if not key.startswith(b"~")]
    assert fold([decode_fact(value) for value in values]) == fold(made)


@pytest.mark.embedded
async def test_a_broker_that_went_away_is_told_in_time_and_in_readiness() -> None:
    broker = EmbeddedBroker()
    async with broker:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        await admin.start()
        await admin.create_topics([NewTopic("gone.facts", 1, 1), NewTopic("gone.dead-letters", 1, 1)])
        await admin.close()
        publisher = Publisher(broker.bootstrap_servers, topic_prefix="gone", timeout_seconds=1.0)
        await publisher.start()
        await publisher.publish(facts(1))
    with pytest.raises(PublishError) as caught:
        await publisher.publish(facts(1))
    assert caught.value.retryable
    assert publisher.problem is not None
    await publisher.stop()


async def test_topics_that_do_not_exist_are_waited_for_and_not_created(bootstrap_servers: str, prefix: str) -> None:
    async def give_up(_: float) -> None:
        raise asyncio.CancelledError

    absent = f"{prefix}-absent"
    publisher = Publisher(bootstrap_servers, topic_prefix=absent, sleep=give_up)
    with pytest.raises(asyncio.CancelledError):
        await publisher.start()
    assert publisher.problem == (
        f"broker {bootstrap_servers} has no topic '{absent}.facts' and '{absent}.dead-letters'"
    )
    await publisher.stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    assert f"{absent}.facts" not in await admin.list_topics()
    await admin.close()
