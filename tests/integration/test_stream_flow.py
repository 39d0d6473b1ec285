"""The worker as a whole on a broker: what comes in at one end comes out at the other, and what stops it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from connectors.facts import Fact, encode, key_of
from service.clock import SystemClock
from service.core.alerts import Alert, AlertEvent, AlertState, EventType
from service.core.engine import Engine as RealEngine
from service.core.policies import PolicyBook
from service.core.spend import Followed
from service.settings import Policy
from service.store.sql import SqlStore
from service.store.store import AlertQuery
from service.stream.record import Recorder
from service.stream.snapshots import MARKER_KEY, Marker
from service.stream.topics import TopicMismatchError, ensure_topics
from service.stream.worker import StreamWorker
from tests.builders import make_alert
from tests.integration.stream_support import BROKERS, Deployment, deployed, running_broker, some_facts
from tests.service.stream.fakes import SummingEngine


@pytest.fixture(params=BROKERS, scope="module")
def broker(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    with running_broker(request.param) as servers:
        yield servers, request.param


@pytest.fixture
async def deployment(broker: tuple[str, str], tmp_path: Path) -> AsyncIterator[Deployment]:
    async with deployed(*broker, tmp_path) as made:
        yield made


class Listener:
    def __init__(self) -> None:
        self.events: list[AlertEvent] = []

    async def __call__(self, events: Sequence[AlertEvent]) -> None:
        self.events += events


class AbsentStore:
    """Away for the first attempts."""

    def __init__(self, failures: int) -> None:
        self.left = failures
        self.alerts: list[Alert] = []

    async def record(self, alerts: Sequence[Alert]) -> list[AlertEvent]:
        if self.left:
            self.left -= 1
            raise ConnectionRefusedError("nobody is listening")
        self.alerts += alerts
        return []


class Exited(Exception):  # noqa: N818 - it stands for the end of the process
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def hard_exit(code: int) -> None:
    raise Exited(code)


def worker_of(
    deployment: Deployment, store: Recorder, announce: Any = None, registry: CollectorRegistry | None = None
) -> StreamWorker:
    return StreamWorker(
        deployment.settings,
        engines=lambda _partition: SummingEngine(),
        detectors=("rolling",),
        store=store,
        announce=announce or Listener(),
        registry=registry or CollectorRegistry(),
        hard_exit=hard_exit,
    )


class Running:
    """A worker in this process."""

    def __init__(self, worker: StreamWorker) -> None:
        self.worker = worker
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(worker.run(self.stop))

    async def __aenter__(self) -> "Running":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        assert await asyncio.wait_for(self.task, 15) == 0


def fact(value: float, team: str = "search") -> tuple[bytes, bytes]:
    made = Fact(
        series=f"default/effective_cost/USD/1d/tag:team={team}",
        charge_period_start="2024-09-18T00:00:00Z",
        value=value,
        origin="test:1",
    )
    return key_of(made), encode(made)


async def test_fact_that_alarms_becomes_an_alert_in_the_store_and_an_event(
    deployment: Deployment, tmp_path: Path
) -> None:
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/alerts.db", routes=lambda _alert: (), clock=SystemClock())
    await store.migrate()
    listener, registry = Listener(), CollectorRegistry()
    try:
        async with Running(worker_of(deployment, store, listener, registry)) as running:
            await deployment.send([fact(50.0), fact(5_000.0)])
            await deployment.until(lambda: bool(listener.events), "an event")
            assert running.worker.ready() == {"kafka": None, "store": None}
        page = await store.find(AlertQuery())
    finally:
        await store.close()
    assert [(record.alert.actual, record.state) for record in page.items] == [(5_000.0, AlertState.FIRING)]
    assert [event.type for event in listener.events] == [EventType.OPENED]
    assert registry.get_sample_value("spendwatch_facts_consumed_total") == 2
    emitted = registry.get_sample_value("spendwatch_alerts_emitted_total", {"kind": "spike", "status": "firing"})
    assert emitted == 1


async def test_alert_is_stored_within_a_second_of_its_fact(broker: tuple[str, str], tmp_path: Path) -> None:
    async with deployed(*broker, tmp_path, checkpoint_seconds=30.0) as deployment:
        store = AbsentStore(failures=0)
        async with Running(worker_of(deployment, store)):
            await deployment.send([fact(1_500.0)])
            await deployment.until(lambda: len(store.alerts) == 1, "the first alert")
            sent_at = time.monotonic()
            await deployment.send([fact(1_600.0)])
            await deployment.until(lambda: len(store.alerts) == 2, "the second alert")
            assert time.monotonic() - sent_at < 1.0


async def test_poison_becomes_a_dead_letter_and_the_rest_goes_on(deployment: Deployment) -> None:
    store = AbsentStore(failures=0)
    async with Running(worker_of(deployment, store)):
        key, good = fact(2_000.0)
        await deployment.send([(key, good), (key, b"\xff not json"), (key, good)])
        await deployment.until(lambda: len(store.alerts) == 2, "both alerts")
        await deployment.all_is_committed()
    (poison,) = [
        record for record in await deployment.read(deployment.topics.facts) if record.value == b"\xff not json"
    ]
    (letter,) = await deployment.read(deployment.topics.dead_letters)
    headers = dict(letter.headers)
    assert letter.key == f"{deployment.topics.facts}/{poison.partition}/{poison.offset}".encode()
    assert letter.value == b"\xff not json"
    assert headers["reason"] == b"undecodable"
    assert b"invalid" in headers["message"].lower()
    assert headers["source_timestamp_ms"] == str(poison.timestamp).encode()


async def test_poison_as_large_as_the_broker_allows_stops_nothing(deployment: Deployment) -> None:
    store = AbsentStore(failures=0)
    async with Running(worker_of(deployment, store)):
        key, good = fact(2_000.0)
        await deployment.send([(key, b"x" * 1_040_000), (key, good)])
        await deployment.until(lambda: len(store.alerts) == 1, "the alert after it")
        await deployment.all_is_committed()
    (letter,) = await deployment.read(deployment.topics.dead_letters)
    assert dict(letter.headers)["size"] == b"1040000"


@pytest.mark.parametrize("seconds", [0.05, 0.6], ids=["connecting", "joining"])
async def test_worker_that_is_stopped_while_it_starts_ends_cleanly(deployment: Deployment, seconds: float) -> None:
    async with Running(worker_of(deployment, AbsentStore(failures=0))):
        await asyncio.sleep(seconds)


async def test_unreadable_alert_becomes_a_dead_letter(deployment: Deployment) -> None:
    store = AbsentStore(failures=0)
    await deployment.send([(b"a", b"{}"), (b"a", msgspec.json.encode(make_alert("a")))], topic=deployment.topics.alerts)
    async with Running(worker_of(deployment, store)):
        await deployment.until(lambda: len(store.alerts) == 1, "the readable alert")
        await deployment.all_is_committed()
    (letter,) = await deployment.read(deployment.topics.dead_letters)
    assert dict(letter.headers)["reason"] == b"unreadable_alert"


async def test_database_away_keeps_alerts_waiting_and_says_so(deployment: Deployment) -> None:
    store = AbsentStore(failures=3)
    async with Running(worker_of(deployment, store)) as running:
        await deployment.send([fact(2_000.0)])
        await deployment.until(lambda: running.worker.ready()["store"] is not None, "readiness says so")
        assert running.worker.ready()["store"] == "alerts cannot be stored: ConnectionRefusedError"
        await deployment.send([fact(3_000.0)])
        await deployment.until(lambda: len(store.alerts) == 2, "both alerts are stored")
        assert running.worker.ready()["store"] is None
        await deployment.all_is_committed()


async def test_database_away_at_the_end_leaves_the_alerts_for_the_next_worker(deployment: Deployment) -> None:
    away = AbsentStore(failures=1_000)
    async with Running(worker_of(deployment, away)) as running:
        await deployment.send([fact(2_000.0)])
        await deployment.until(lambda: running.worker.ready()["store"] is not None, "the store is away")
        stopped_at = time.monotonic()
    assert time.monotonic() - stopped_at < 5
    back = AbsentStore(failures=0)
    async with Running(worker_of(deployment, back)):
        await deployment.until(lambda: len(back.alerts) == 1, "the alert is stored after all")


async def test_sigterm_drains_commits_and_ends_in_time(deployment: Deployment) -> None:
    await deployment.send(some_facts(3_000))
    worker = deployment.start_worker(apply_seconds=0.05)
    await deployment.ready(worker)
    await deployment.until(lambda: b"applied\n" in worker.log.read_bytes(), "the worker has begun")
    worker.terminate()
    assert await worker.exit_code(10.0) == 0
    applied = sum((await deployment.committed(deployment.topics.facts)).values())
    assert applied > 0
    assert sum(engine.records for engine in (await deployment.state()).values()) == applied


async def test_mostly_unreadable_topic_stops_the_worker_before_it_drains(
    broker: tuple[str, str], tmp_path: Path
) -> None:
    async with deployed(*broker, tmp_path, dead_letter_limit=300, checkpoint_seconds=30.0) as deployment:
        await deployment.send([(b"same", b"nonsense")] * 2_000)
        worker = deployment.start_worker()
        assert await worker.exit_code() == 70
        assert "records in a row are unreadable" in worker.log.read_text()
        assert sum((await deployment.committed(deployment.topics.facts)).values()) == 0


async def test_lost_state_is_refused_unless_a_cold_start_is_wanted(deployment: Deployment) -> None:
    """The state topic is gone, as with a wrong prefix or after a deletion; the committed offsets are not."""
    await deployment.send([fact(1.0), fact(2.0)])
    await deployment.commit_by_hand(dict.fromkeys(range(2), 1))
    worker = deployment.start_worker()
    assert await worker.exit_code() == 2
    assert "the state topic holds no checkpoint" in worker.log.read_text()
    deployment.settings_changes["start_cold"] = True
    async with Running(worker_of(deployment, store := AbsentStore(0))):
        await deployment.send([fact(2_000.0)])
        await deployment.until(lambda: len(store.alerts) == 1, "it goes on")


async def test_other_number_of_partitions_is_refused(deployment: Deployment) -> None:
    kafka = deployment.settings.kafka.model_copy(update={"partitions": 3})
    with pytest.raises(TopicMismatchError, match=r"must have 3 partitions, found 2: set kafka.partitions"):
        await ensure_topics(kafka)


async def test_checkpoint_leaves_a_marker_that_reaches_the_committed_offset(deployment: Deployment) -> None:
    async with Running(worker_of(deployment, AbsentStore(0))):
        await deployment.send(some_facts(500))
        await deployment.all_is_committed()
    markers = [
        (record.partition, msgspec.msgpack.decode(record.value, type=Marker))
        for record in await deployment.read(deployment.topics.state)
        if record.key == MARKER_KEY
    ]
    committed = await deployment.committed(deployment.topics.facts)
    assert {number: max(m.offset for p, m in markers if p == number) for number, _ in markers} == committed


async def test_what_was_spent_reaches_the_store_and_is_corrected_there(deployment: Deployment, tmp_path: Path) -> None:
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/spend.db", routes=lambda _alert: (), clock=SystemClock())
    await store.migrate()
    since, until = datetime(2024, 9, 1, tzinfo=UTC), datetime(2024, 10, 1, tzinfo=UTC)

    def bill(day: int, value: float, revision: int = 0) -> tuple[bytes, bytes]:
        start = f"2024-09-{day:02}T00:00:00Z"
        series = "default/effective_cost/USD/1d/tag:team=search"
        made = Fact(series=series, charge_period_start=start, value=value, origin="bill:1", revision=revision)
        return key_of(made), encode(made)

    async def days() -> list[tuple[int, float]]:
        rows = await store.spend_sums(tenant="default", label="team", metric="effective_cost", since=since, until=until)
        return [(row.day.day, row.amount) for row in rows]

    async def reached(*wanted: tuple[int, float]) -> None:
        async with asyncio.timeout(30):
            while await days() != [*wanted]:  # noqa: ASYNC110 - a database tells nobody
                await asyncio.sleep(0.05)

    def worker() -> StreamWorker:
        teams = frozenset({Followed("effective_cost", "tag:team")})
        return StreamWorker(
            deployment.settings,
            engines=lambda partition: RealEngine(
                policies=PolicyBook((Policy(),)), partition=partition, spend=teams, born=1
            ),
            detectors=("rolling", "seasonal", "usage"),
            store=store,
            spend=store,
            announce=Listener(),
            registry=CollectorRegistry(),
            hard_exit=hard_exit,
        )

    try:
        async with Running(worker()):
            await deployment.send([bill(1, 10.0), bill(2, 11.0), bill(3, 12.0)])
            await reached((1, 10.0), (2, 11.0))
        async with Running(worker()):
            await deployment.send([bill(1, 20.0, revision=1), bill(4, 13.0)])
            await reached((1, 20.0), (2, 11.0), (3, 12.0))
    finally:
        await store.close()
