"""What the tests of the running worker share: a deployment of its own per test, and what must come out of it."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from connectors.facts import Fact, encode, format_instant, key_of
from service.core.alerts import Alert
from service.settings import Settings
from service.stream.batch import TopicPartition as Partition
from service.stream.owner import Position
from service.stream.partitions import Engine
from service.stream.snapshots import SnapshotLoader
from service.stream.topics import Topics, ensure_topics
from tests.integration.stream_process import read_store, real_engine
from tests.service.stream.fakes import ALARMING, SummingEngine
from tests.waiting import until

KAFKA = os.environ.get("SPENDWATCH_TEST_KAFKA")
BROKERS = [
    pytest.param("embedded", marks=pytest.mark.embedded),
    pytest.param(
        "kafka",
        marks=[pytest.mark.kafka, pytest.mark.skipif(KAFKA is None, reason="SPENDWATCH_TEST_KAFKA is not set")],
    ),
]
CHAOS_ROUNDS = int(os.environ.get("SPENDWATCH_CHAOS_ROUNDS", "1"))
_ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 40.0
E = TypeVar("E", bound=Engine)


@contextlib.contextmanager
def running_broker(kind: str) -> Iterator[str]:
    """The address of a broker."""
    if kind == "kafka":
        assert KAFKA is not None
        yield KAFKA
        return
    from service.embedded import EmbeddedBroker

    broker = EmbeddedBroker()
    broker.start()
    try:
        yield broker.bootstrap_servers
    finally:
        broker.stop()


def days_of_spend(days: int, *, tags: int = 15) -> Iterator[list[tuple[bytes, bytes]]]:
    """Bills, a day at a time: each day fills up in three revisions, and some are corrected a week later."""
    chance = random.Random(3)
    begin = datetime(2024, 7, 1, tzinfo=UTC)

    def message(day: int, tag: int, value: float, revision: int) -> tuple[bytes, bytes]:
        fact = Fact(
            series=f"default/effective_cost/USD/1d/tag:team=team-{tag}",
            charge_period_start=format_instant(begin + timedelta(days=day)),
            value=round(value, 2),
            origin="bill:2024",
            revision=revision,
        )
        return key_of(fact), encode(fact)

    for day in range(days):
        messages = []
        for tag in range(tags):
            large = day > days // 2 and chance.random() < 0.03
            whole = (100.0 + 10 * tag) * chance.uniform(0.95, 1.05) * (8.0 if large else 1.0)
            messages += [message(day, tag, whole * part / 3, part) for part in (1, 2, 3)]
            if day > 7 and chance.random() < 0.05:
                messages.append(message(day - 7, tag, 100.0 + 10 * tag, 9))
        chance.shuffle(messages)
        yield messages


def some_facts(count: int, *, seed: int = 1, series: int = 40) -> list[tuple[bytes, bytes]]:
    """Keys and messages: mostly quiet facts, some that alarm, a few that cannot be read."""
    chance = random.Random(seed)
    messages = []
    for number in range(count):
        value = ALARMING * 2 + number if chance.random() < 0.02 else chance.random() * 100
        fact = Fact(
            series=f"default/effective_cost/USD/1d/tag:team={chance.randrange(series)}",
            charge_period_start="2024-09-18T00:00:00Z",
            value=round(value, 3),
            origin="test:1",
        )
        poison = chance.random() < 0.005
        messages.append((key_of(fact), b'{"series": 1' if poison else encode(fact)))
    return messages


@dataclass(slots=True)
class WorkerProcess:
    process: "subprocess.Popen[bytes]"
    log: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    async def exit_code(self, seconds: float = _PATIENCE_SECONDS) -> int:
        return await asyncio.to_thread(self.process.wait, seconds)


@dataclass(slots=True)
class Deployment:
    """Topics, group and store of one test."""

    servers: str
    folder: Path
    embedded: bool
    settings_changes: dict[str, Any] = field(default_factory=dict)
    name: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:8]}")
    partitions: int = 2
    workers: list[WorkerProcess] = field(default_factory=list)

    @property
    def raw_settings(self) -> dict[str, Any]:
        session = {"session_timeout_seconds": 2 if self.embedded else 6, "rebalance_timeout_seconds": 6}
        return {
            "kafka": {
                "bootstrap_servers": self.servers,
                "topic_prefix": self.name,
                "group": self.name,
                "partitions": self.partitions,
            },
            "worker": {"checkpoint_seconds": 0.2, "max_poll_records": 200, **session, **self.settings_changes},
        }

    @property
    def settings(self) -> Settings:
        return Settings.model_validate(self.raw_settings)

    @property
    def topics(self) -> Topics:
        return Topics.of(self.settings.kafka)

    @property
    def store(self) -> Path:
        return self.folder / "alerts.jsonl"

    def start_worker(
        self, *, kill_at: tuple[str, int] | None = None, apply_seconds: float = 0.0, real_engine: bool = False
    ) -> WorkerProcess:
        log = self.folder / f"worker-{len(self.workers)}.log"
        order = {
            "settings": self.raw_settings,
            "store": str(self.store),
            "kill_at": kill_at,
            "apply_seconds": apply_seconds,
            "real_engine": real_engine,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.stream_process", msgspec.json.encode(order).decode()],
                cwd=_ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self.workers.append(WorkerProcess(process, log))
        return self.workers[-1]

    async def ready(self, worker: WorkerProcess) -> None:
        await self.until(lambda: b"ready\n" in worker.log.read_bytes() or worker.ended, "the worker is ready")
        assert not worker.ended, worker.log.read_text()

    async def until(self, condition: Callable[[], bool], what: str, seconds: float = _PATIENCE_SECONDS) -> None:
        try:
            await until(condition, what, seconds=seconds, pause_seconds=0.05)
        except TimeoutError as error:
            logs = "\n".join(f"--- {worker.log.name}\n{worker.log.read_text()}" for worker in self.workers)
            raise AssertionError(f"{error}\n{logs[-6000:]}") from error

    async def create(self) -> None:
        await ensure_topics(self.settings.kafka)

    async def send(
        self, messages: Iterable[tuple[bytes, bytes]], topic: str | None = None, *, partition: int | None = None
    ) -> None:
        """partition: None leaves it to the key."""
        producer = AIOKafkaProducer(bootstrap_servers=self.servers, linger_ms=5)
        try:
            await producer.start()
            sent = [
                await producer.send(topic or self.topics.facts, value, key=key, partition=partition)
                for key, value in messages
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def read(self, topic: str) -> list[ConsumerRecord]:
        """All records of a topic."""
        count = 1 if topic == self.topics.dead_letters else self.partitions
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.servers, group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50
        )
        try:
            await consumer.start()
            left = {TopicPartition(topic, number) for number in range(count)}
            consumer.assign(list(left))
            for partition in left:
                consumer.seek(partition, 0)
            records = []
            while left:
                fetched = await consumer.getmany(*left, timeout_ms=100)
                records += [record for group in fetched.values() for record in group]
                for partition in list(left):
                    end = consumer.highwater(partition)
                    if end is not None and await consumer.position(partition) >= end:
                        left.discard(partition)
            return records
        finally:
            await consumer.stop()

    async def committed(self, topic: str) -> dict[int, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.servers, group_id=self.name, enable_auto_commit=False)
        try:
            await consumer.start()
            partitions = [TopicPartition(topic, number) for number in range(self.partitions)]
            consumer.assign(partitions)
            return {one.partition: await consumer.committed(one) or 0 for one in partitions}
        finally:
            await consumer.stop()

    async def commit_by_hand(self, offsets: dict[int, int]) -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.servers, group_id=self.name, enable_auto_commit=False)
        try:
            await consumer.start()
            wanted = {TopicPartition(self.topics.facts, number): offset for number, offset in offsets.items()}
            consumer.assign(list(wanted))
            await consumer.commit(wanted)
        finally:
            await consumer.stop()

    async def all_is_committed(self, seconds: float = _PATIENCE_SECONDS) -> None:
        """Wait until facts and alerts are worked off to their ends."""
        end = time.monotonic() + seconds
        for topic in (self.topics.facts, self.topics.alerts):
            while True:
                ends = dict.fromkeys(range(self.partitions), 0)
                for record in await self.read(topic):
                    ends[record.partition] = max(ends[record.partition], record.offset + 1)
                committed = await self.committed(topic)
                if committed == ends:
                    break
                if time.monotonic() > end:
                    await self.until(lambda: False, f"{topic}: committed {committed}, ends {ends}", 0)
                await asyncio.sleep(0.2)

    async def state(self) -> dict[int, SummingEngine]:
        return await self.loaded(lambda _partition: SummingEngine())

    async def loaded(self, make_engine: Callable[[int], E]) -> dict[int, E]:
        """The engines as a worker would load them now."""
        engines = {number: make_engine(number) for number in range(self.partitions)}
        positions = {
            Partition(self.topics.facts, number): Position(offset or None, 0)
            for number, offset in (await self.committed(self.topics.facts)).items()
        }
        loader = SnapshotLoader(self.servers, self.topics, partitions=self.partitions)
        await loader.load(positions, lambda tp, key, value: engines[tp.partition].restore(key, value))
        return engines

    async def check(self) -> None:
        """State, alerts and dead letters are those of one undisturbed reading of the facts topic."""
        engines = {number: SummingEngine() for number in range(self.partitions)}
        for record in sorted(await self.read(self.topics.facts), key=lambda one: one.offset):
            engines[record.partition].apply([record])
        state = await self.state()
        for number, engine in engines.items():
            assert state[number].series == engine.series
            assert (state[number].offset, state[number].records) == (engine.offset, engine.records)
        expected = {alert.id: alert for engine in engines.values() for alert in engine.take_alerts()}
        assert one_by_id(msgspec.json.decode(one.value, type=Alert) for one in await self.read(self.topics.alerts)) == (
            expected
        )
        assert one_by_id(read_store(self.store)) == expected
        rejects = {
            f"{self.topics.facts}/{number}/{reject.offset}".encode(): reject.value
            for number, engine in engines.items()
            for reject in engine.take_rejects()
        }
        letters = await self.read(self.topics.dead_letters)
        assert {letter.key: letter.value for letter in letters} == rejects

    async def check_real_engine(self) -> int:
        """As `check`, with the real engine: same state, the same versions of the same alerts. Returns their number."""
        engines = {number: real_engine(self.settings, number) for number in range(self.partitions)}
        expected: dict[tuple[str, int], Alert] = {}
        for record in sorted(await self.read(self.topics.facts), key=lambda one: one.offset):
            engine = engines[record.partition]
            engine.apply([record])
            while engine.advance(1):
                pass
            expected |= {(alert.id, alert.version): alert for alert in engine.take_alerts()}
        loaded = await self.loaded(lambda partition: real_engine(self.settings, partition))
        for number, engine in engines.items():
            assert loaded[number].digest() == engine.digest()
        for found in (
            [msgspec.json.decode(one.value, type=Alert) for one in await self.read(self.topics.alerts)],
            read_store(self.store),
        ):
            assert {(alert.id, alert.version) for alert in found} == set(expected)
            for alert in found:
                assert alert == expected[alert.id, alert.version]
        return len(expected)

    async def end(self) -> None:
        for worker in self.workers:
            if not worker.ended:
                worker.kill()


def one_by_id(alerts: Iterable[Alert]) -> dict[str, Alert]:
    """Repetitions are fine; two that differ under one id and version are not."""
    kept: dict[str, Alert] = {}
    for alert in alerts:
        assert kept.setdefault(alert.id, alert) == alert
    return kept


@contextlib.asynccontextmanager
async def deployed(servers: str, kind: str, folder: Path, **settings: Any) -> AsyncIterator[Deployment]:
    deployment = Deployment(servers, folder, kind == "embedded", settings)
    await deployment.create()
    try:
        yield deployment
    finally:
        await deployment.end()
