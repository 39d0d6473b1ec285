"""The publisher with a producer of ours. With real brokers: tests/integration/test_publisher.py."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    RequestTimedOutError,
    UnknownError,
)

from connectors.facts import Fact, Watermark, decode_fact
from connectors.publisher import Publisher, PublishError
from tests.connectors.sinks import BUCKETS, bad_record, series


@dataclass
class FakeBatch:
    records: list[tuple[bytes, bytes]] = field(default_factory=list)

    def append(self, *, timestamp: None, key: bytes, value: bytes) -> object:
        if len(self.records) == 100:
            return None
        self.records.append((key, value))
        return self

    def record_count(self) -> int:
        return len(self.records)


@dataclass
class FakeCluster:
    """What producers write to, and what goes wrong. starts, sends: errors to raise, one a call, None for none."""

    partitions: set[int] = field(default_factory=lambda: {0, 1, 2, 3})
    starts: list[Exception | None] = field(default_factory=list)
    sends: list[Exception | None] = field(default_factory=list)
    silent: bool = False
    hangs: bool = False
    there: set[str] = field(default_factory=lambda: {"spendwatch.facts", "spendwatch.dead-letters"})
    records: list[tuple[str, int | None, bytes, bytes]] = field(default_factory=list)
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    made: list["FakeProducer"] = field(default_factory=list)

    def make(self, **options: Any) -> "FakeProducer":
        self.made.append(FakeProducer(self, options))
        return self.made[-1]


@dataclass
class FakeProducer:
    cluster: FakeCluster
    options: dict[str, Any]
    running: bool = False
    batches: int = 0
    closed: list[str] = field(default_factory=list)

    async def start(self) -> None:
        if self.cluster.starts and (error := self.cluster.starts.pop(0)) is not None:
            raise error
        self.running = True

    async def stop(self) -> None:
        if self.cluster.hangs:
            await asyncio.Event().wait()
        self.running = False

    @property
    def client(self) -> "FakeClient":
        return FakeClient(self, "client")

    @property
    def _sender(self) -> "FakeClient":
        return FakeClient(self, "sender")

    async def partitions_for(self, topic: str) -> set[int]:
        return self.cluster.partitions

    def create_batch(self) -> FakeBatch:
        return FakeBatch()

    async def send(
        self, topic: str, value: bytes, *, key: bytes, partition: int | None, headers: Sequence[Any] = ()
    ) -> asyncio.Future[None]:
        self.cluster.headers.extend(headers)
        return self._acknowledge([(topic, partition, key, value)])

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> asyncio.Future[None]:
        self.batches += 1
        return self._acknowledge([(topic, partition, key, value) for key, value in batch.records])

    def _acknowledge(self, records: list[tuple[str, int | None, bytes, bytes]]) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.cluster.silent:
            return future
        if self.cluster.sends and (error := self.cluster.sends.pop(0)) is not None:
            future.set_exception(error)
            return future
        self.cluster.records.extend(records)
        future.set_result(None)
        return future


@dataclass
class FakeClient:
    """A part of a producer: what it sends with, and what it knows of the cluster."""

    producer: FakeProducer
    name: str

    async def close(self) -> None:
        self.producer.closed.append(self.name)

    async def fetch_all_metadata(self) -> "FakeClient":
        return self

    def topics(self) -> set[str]:
        return self.producer.cluster.there


def facts(count: int, tags: int = 50) -> list[Fact]:
    return [
        Fact(series=series(f"t{n % tags}"), charge_period_start=BUCKETS[0], value=n, origin="bills:a")
        for n in range(count)
    ]


async def no_wait(_: float) -> None:
    await asyncio.sleep(0)


def make_publisher(
    cluster: FakeCluster,
    *,
    enable_idempotence: bool | None = None,
    timeout_seconds: float = 5.0,
    sleep: Callable[[float], Any] = no_wait,
) -> Publisher:
    return Publisher(
        "127.0.0.1:9092",
        enable_idempotence=enable_idempotence,
        timeout_seconds=timeout_seconds,
        sleep=sleep,
        make_producer=cluster.make,
    )


@pytest.mark.parametrize("count", [1, 32, 33, 1000], ids=lambda count: f"{count} facts")
async def test_every_fact_arrives_under_its_series_and_in_one_partition(count: int) -> None:
    cluster = FakeCluster()
    async with make_publisher(cluster) as publisher:
        await publisher.publish(facts(count))
    assert sorted(decode_fact(value).value for _, _, _, value in cluster.records) == list(range(count))
    partition_of: dict[bytes, int | None] = {}
    for topic, partition, key, value in cluster.records:
        assert topic == "spendwatch.facts"
        assert key == decode_fact(value).series.encode()
        assert partition_of.setdefault(key, partition) == partition


async def test_many_facts_go_out_in_batches() -> None:
    cluster = FakeCluster()
    async with make_publisher(cluster) as publisher:
        await publisher.publish(facts(1000))
    assert cluster.made[0].batches < 20


async def test_nothing_is_sent_for_no_facts() -> None:
    cluster = FakeCluster(silent=True)
    async with make_publisher(cluster) as publisher:
        await publisher.publish([])


async def test_a_watermark_goes_to_every_partition() -> None:
    cluster = FakeCluster()
    async with make_publisher(cluster) as publisher:
        await publisher.watermark(Watermark(source="bills", complete_until=BUCKETS[1]))
    assert [(topic, partition, key) for topic, partition, key, _ in cluster.records] == [
        ("spendwatch.facts", partition, b"~bills") for partition in range(4)
    ]


async def test_a_dead_letter_keeps_the_raw_record_and_says_why() -> None:
    cluster = FakeCluster()
    async with make_publisher(cluster) as publisher:
        await publisher.dead_letter(bad_record())
    assert cluster.records == [("spendwatch.dead-letters", None, b"a.csv:7", b"2024-09-01,x")]
    assert dict(cluster.headers) == {
        "reason": b"not_a_number",
        "message": b"BilledCost must be a decimal, got 'x' at a.csv:7",
        "source": b"bills",
        "field": b"BilledCost",
    }


async def test_a_new_partition_count_moves_the_keys() -> None:
    cluster = FakeCluster(partitions={0})
    async with make_publisher(cluster) as publisher:
        await publisher.publish(facts(40))
        cluster.partitions = set(range(8))
        await publisher.publish(facts(40))
    assert {partition for _, partition, _, _ in cluster.records[:40]} == {0}
    assert len({partition for _, partition, _, _ in cluster.records[40:]}) > 3


async def test_all_replicas_must_acknowledge_and_idempotence_is_asked_for() -> None:
    cluster = FakeCluster()
    async with make_publisher(cluster):
        assert cluster.made[0].options["acks"] == "all"
        assert cluster.made[0].options["enable_idempotence"] is True


async def test_a_broker_without_producer_ids_is_used_without_idempotence() -> None:
    cluster = FakeCluster(starts=[UnknownError()])
    async with make_publisher(cluster) as publisher:
        await publisher.publish(facts(3))
    assert [producer.options["enable_idempotence"] for producer in cluster.made] == [True, False]
    assert not cluster.made[0].running


async def test_idempotence_that_was_demanded_is_not_given_up() -> None:
    cluster = FakeCluster(starts=[UnknownError()] * 3)
    async with make_publisher(cluster, enable_idempotence=True):
        assert {producer.options["enable_idempotence"] for producer in cluster.made} == {True}
        assert len(cluster.made) == 4


async def test_start_waits_for_the_broker_and_says_so() -> None:
    cluster = FakeCluster(starts=[KafkaConnectionError("refused")] * 8)
    waits: list[float] = []
    problems: list[str | None] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        problems.append(publisher.problem)

    publisher = make_publisher(cluster, sleep=sleep)
    assert not publisher.ready
    await publisher.start()
    assert publisher.ready
    assert publisher.problem is None
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert problems[0] == "broker 127.0.0.1:9092 does not answer: KafkaConnectionError: KafkaConnectionError: refused"
    await publisher.stop()
    assert publisher.problem == "stopped"


async def test_start_waits_for_the_topics_instead_of_letting_the_broker_make_them_up() -> None:
    cluster = FakeCluster(there={"spendwatch.dead-letters"})
    problems: list[str | None] = []

    async def sleep(_: float) -> None:
        problems.append(publisher.problem)
        with pytest.raises(PublishError, match=r"not ready: broker .* has no topic 'spendwatch\.facts'"):
            await publisher.publish(facts(1))
        cluster.there.add("spendwatch.facts")

    publisher = make_publisher(cluster, sleep=sleep)
    await publisher.start()
    assert problems == ["broker 127.0.0.1:9092 has no topic 'spendwatch.facts'"]
    assert len(cluster.made) == 1
    await publisher.stop()


@pytest.mark.parametrize("count", [3, 500])
async def test_one_missing_acknowledgement_fails_the_call_and_a_retry_heals_it(count: int) -> None:
    cluster = FakeCluster(sends=[None, RequestTimedOutError()])
    async with make_publisher(cluster) as publisher:
        with pytest.raises(PublishError, match=r"topic 'spendwatch\.facts' did not take all messages") as caught:
            await publisher.publish(facts(count))
        assert caught.value.retryable
        assert caught.value.topic == "spendwatch.facts"
        assert not publisher.ready
        await publisher.publish(facts(count))
        assert publisher.ready
    assert len(cluster.made) == 1


async def test_a_message_that_is_too_large_is_final_and_the_broker_still_ready() -> None:
    cluster = FakeCluster(sends=[MessageSizeTooLargeError("2 MB")])
    async with make_publisher(cluster) as publisher:
        with pytest.raises(PublishError, match="MessageSizeTooLarge") as caught:
            await publisher.publish(facts(1))
        assert not caught.value.retryable
        assert publisher.ready


async def test_a_producer_that_is_out_of_sequence_is_replaced() -> None:
    cluster = FakeCluster(sends=[OutOfOrderSequenceNumber()])
    async with make_publisher(cluster) as publisher:
        with pytest.raises(PublishError) as caught:
            await publisher.publish(facts(1))
        assert caught.value.retryable
        await publisher.publish(facts(1))
    assert len(cluster.made) == 2
    assert not cluster.made[0].running


async def test_a_producer_that_waits_for_its_broker_is_kept() -> None:
    cluster = FakeCluster(sends=[KafkaTimeoutError(), KafkaConnectionError("refused")])
    async with make_publisher(cluster) as publisher:
        for _ in range(2):
            with pytest.raises(PublishError) as caught:
                await publisher.publish(facts(1))
            assert caught.value.retryable
        await publisher.publish(facts(1))
    assert len(cluster.made) == 1


async def test_stopping_does_not_wait_for_a_broker_that_is_away() -> None:
    cluster = FakeCluster(hangs=True)
    publisher = make_publisher(cluster, timeout_seconds=0.01)
    await publisher.start()
    await publisher.stop()
    assert cluster.made[0].closed == ["sender", "client"]


def test_an_outage_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("aiokafka.producer.sender")
    for attempt in range(50):
        log.warning("Got error produce response: %s", attempt)
        log.warning("something else in test_publisher")
    assert [record.getMessage() for record in caplog.records] == [
        "Got error produce response: 0",
        "something else in test_publisher",
    ]


async def test_a_broker_that_never_acknowledges_is_given_up_after_the_timeout() -> None:
    cluster = FakeCluster(silent=True)
    async with make_publisher(cluster, timeout_seconds=0.01) as publisher:
        with pytest.raises(PublishError, match=r"1 of 1 not acknowledged within 0\.01 s") as caught:
            await publisher.publish(facts(1))
        assert caught.value.retryable


async def test_publishing_before_start_is_an_error_that_may_be_retried() -> None:
    publisher = make_publisher(FakeCluster())
    with pytest.raises(PublishError, match="the publisher is not ready: not started") as caught:
        await publisher.publish(facts(1))
    assert caught.value.retryable
