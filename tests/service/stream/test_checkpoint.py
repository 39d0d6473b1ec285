"""What leaves in which order, and what happens when something does not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from service.settings import Kafka
from service.stream.batch import Batch, TopicPartition
from service.stream.checkpoint import Checkpoint, Step, freeze
from service.stream.dead_letters import Limits
from service.stream.detect import Detect
from service.stream.metrics import StreamMetrics
from service.stream.outgoing import Outgoing
from service.stream.owner import Position
from service.stream.partitions import Partitions
from service.stream.snapshots import MARKER_KEY, Marker, SnapshotWriter
from service.stream.topics import Topics
from tests.builders import make_alert
from tests.service.stream.fakes import FakeBatch, FakeProducer, FakeRecord, SummingEngine, fact_record, run_of

TOPICS = Topics.of(Kafka())
TP = TopicPartition(TOPICS.facts, 0)


class EmptyState:
    """A state topic without records. there: set when the broker answers."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self.there.set()

    async def load(self, positions: object, restore: object) -> int:
        await self.there.wait()
        return 0


class World:
    """Everything of a session but Kafka."""

    def __init__(self, producer: FakeProducer) -> None:
        self.steps: list[Step] = []
        self.failures: list[BaseException] = []
        self.producer = producer
        metrics = StreamMetrics(CollectorRegistry(), detectors=())
        self.outgoing = Outgoing(producer, TOPICS)
        self.state = EmptyState()
        self.partitions = Partitions(
            lambda _partition: SummingEngine(),
            self.state,  # type: ignore[arg-type]  # all that Partitions calls
            on_loaded=lambda _count, _seconds: None,
            on_dropped=lambda _engines: None,
            on_failure=self.failures.append,
        )
        self.detect = Detect(self.partitions, self.outgoing, metrics, Limits())
        self.checkpoint = Checkpoint(
            facts_topic=TOPICS.facts,
            partitions=self.partitions,
            outgoing=self.outgoing,
            snapshots=SnapshotWriter(producer, TOPICS, partitions=4),
            metrics=metrics,
            on_step=self.steps.append,
        )

    async def apply(self, *values: float) -> None:
        self.partitions.begin({TP: Position(None, 0)})
        engine = await self.partitions.wait_for(TP)
        assert engine is not None
        batch = Batch(TP, run_of(*(fact_record(offset, value) for offset, value in enumerate(values))), 1)
        self.detect.apply(engine, batch)


async def test_alerts_and_dead_letters_leave_before_snapshots_and_the_partition_last() -> None:
    world = World(producer := FakeProducer())
    await world.apply(1.0, 5_000.0)
    await world.checkpoint({TP: 2})
    assert producer.topics == [TOPICS.alerts, TOPICS.state, TOPICS.state, TOPICS.state]
    assert [key for _, key in producer.sent[-2:]] == [b"~partition", MARKER_KEY]
    assert world.steps == [Step.FROZEN, Step.ALERTS_SENT, Step.SNAPSHOTS_SENT]


async def test_snapshots_wait_for_the_acknowledgement_of_alerts() -> None:
    world = World(producer := FakeProducer(acknowledging=False))
    await world.apply(5_000.0)
    running = asyncio.create_task(world.checkpoint({TP: 1}))
    for _ in range(20):
        await asyncio.sleep(0)
    assert producer.topics == [TOPICS.alerts]
    while not running.done():
        producer.acknowledge()
        await asyncio.sleep(0)
    assert TOPICS.state in producer.topics


async def test_snapshots_wait_for_alerts_that_were_sent_before_the_checkpoint() -> None:
    world = World(producer := FakeProducer(acknowledging=False))
    await world.apply(5_000.0)
    early = asyncio.create_task(world.outgoing.flush())
    await asyncio.sleep(0)
    running = asyncio.create_task(world.checkpoint({TP: 1}))
    for _ in range(20):
        await asyncio.sleep(0)
    assert producer.topics == [TOPICS.alerts]
    while not running.done():
        producer.acknowledge()
        await asyncio.sleep(0)
    await early


@pytest.mark.parametrize("topic", [TOPICS.alerts, TOPICS.dead_letters, TOPICS.state])
async def test_checkpoint_fails_when_anything_is_not_acknowledged(topic: str) -> None:
    world = World(FakeProducer(failing=topic))
    await world.apply(5_000.0)
    engine = await world.partitions.wait_for(TP)
    assert engine is not None
    world.detect.apply(engine, Batch(TP, run_of(FakeRecord(1, value=b"poison")), 1))
    with pytest.raises(KafkaError):
        await world.checkpoint({TP: 2})
    assert Step.SNAPSHOTS_SENT not in world.steps


async def test_marker_carries_the_offset_that_is_committed() -> None:
    written: list[tuple[bytes, bytes]] = []

    class Remembering(FakeProducer):
        async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> Any:
            written.extend(batch.entries)
            return await super().send_batch(batch, topic, partition=partition)

    world = World(Remembering())
    await world.apply(1.0, 2.0, 3.0)
    await world.checkpoint({TP: 3})
    (marker,) = [msgspec.msgpack.decode(value, type=Marker) for key, value in written if key == MARKER_KEY]
    assert marker == Marker(topic=TOPICS.facts, partitions=4, offset=3)


async def test_checkpoint_of_alerts_only_waits_for_dead_letters_and_writes_no_state() -> None:
    world = World(producer := FakeProducer())
    world.outgoing.add_alerts([make_alert("a")])
    await world.checkpoint({TopicPartition(TOPICS.alerts, 0): 7})
    assert producer.topics == [TOPICS.alerts]


async def test_partition_taken_away_while_its_state_loads_gives_no_engine() -> None:
    world = World(FakeProducer())
    world.state.there.clear()
    world.partitions.begin({TP: Position(None, 0)})
    waiting = asyncio.create_task(world.partitions.wait_for(TP))
    await asyncio.sleep(0)
    world.partitions.stop_loading()
    assert await waiting is None


async def test_revocation_drops_state_also_of_partitions_that_come_back() -> None:
    world = World(FakeProducer())
    await world.apply(1.0)
    world.partitions.drop()
    assert world.partitions.get(TP) is None
    world.partitions.begin({TP: Position(1, 0)})
    engine = await world.partitions.wait_for(TP)
    assert isinstance(engine, SummingEngine)
    assert len(engine) == 0


class SlowToClose(SummingEngine):
    """Has series left to close after a batch."""

    left = 3

    def advance(self, limit: int) -> int:
        self.left = max(0, self.left - 1)
        self._alerts.append(make_alert(f"closed-{self.left}"))
        return self.left


async def test_batch_is_finished_when_the_last_series_is_closed() -> None:
    world = World(producer := FakeProducer())
    world.partitions = Partitions(
        lambda _partition: SlowToClose(),
        world.state,  # type: ignore[arg-type]  # all that Partitions calls
        on_loaded=lambda _count, _seconds: None,
        on_dropped=lambda _engines: None,
        on_failure=world.failures.append,
    )
    world.partitions.begin({TP: Position(None, 0)})
    batch = Batch(TP, run_of(fact_record(0, 1.0)), 1)

    async def one() -> AsyncIterator[Batch]:
        yield batch

    metrics = StreamMetrics(CollectorRegistry(), detectors=())
    await Detect(world.partitions, world.outgoing, metrics, Limits()).run(one())
    assert batch.finished
    await world.outgoing.flush()
    assert [key for _, key in producer.sent] == [b"closed-2", b"closed-1", b"closed-0"]


async def test_series_that_change_while_others_are_frozen_are_frozen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of the partition is never newer than that of a series that it would close."""
    monkeypatch.setattr("service.stream.checkpoint._SERIES_A_TURN", 2)
    engine = SummingEngine()
    engine.apply([fact_record(number, 1.0, team=f"{number}") for number in range(4)])

    async def go_on() -> None:
        await asyncio.sleep(0)
        engine.apply([fact_record(4, 7.0, team="0")])

    _, frozen = await asyncio.gather(go_on(), freeze(engine))
    loaded = SummingEngine()
    for key, snapshot in frozen:
        loaded.restore(key, snapshot)
    assert loaded.series == engine.series
    assert (loaded.offset, loaded.records) == (4, 5)
