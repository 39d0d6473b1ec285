"""The worker as a member of its consumer group: what belongs to it from joining to leaving, wired together."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer

from service.announcing import Announce
from service.errors import SpendwatchError
from service.settings import Settings
from service.stream.batch import TopicPartition
from service.stream.checkpoint import Checkpoint, Step
from service.stream.dead_letters import Limits
from service.stream.detect import Detect
from service.stream.metrics import StreamMetrics
from service.stream.outgoing import Outgoing
from service.stream.owner import Position
from service.stream.partitions import Engine, EngineFactory, Partitions
from service.stream.record import Record, Recorder
from service.stream.record_spend import RecordSpend, SpendRecorder
from service.stream.snapshots import SnapshotLoader, SnapshotWriter
from service.stream.topics import Topics
from service.stream.transport import BatchApp
from service.stream.watchdog import Patience, Watchdog

_QUEUED_BATCHES = 4
_ALERT_BATCHES_PER_PARTITION = 2
_SILENT_BROKER_SECONDS = 20.0
_NEVER_SECONDS = 7 * 86_400.0
"""For time-outs of Faust and aiokafka that our watchdog replaces."""
_log = structlog.get_logger(__name__)


class RefusedError(SpendwatchError):
    """A checkpoint was asked for after a failure: nothing is committed any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a session is given. spend: None where nobody asks what was spent. on_ready: called when the first partitions
    are loaded."""

    settings: Settings
    servers: str
    topics: Topics
    patience: Patience
    engines: EngineFactory
    store: Recorder
    spend: SpendRecorder | None
    announce: Announce
    metrics: StreamMetrics
    on_ready: Callable[[], None]
    on_step: Callable[[Step], None]


class Session:
    """The owner of the batches (transport.Owner). Made and used on one event loop, once."""

    def __init__(self, parts: Parts, producer: AIOKafkaProducer) -> None:
        worker, kafka, topics = parts.settings.worker, parts.settings.kafka, parts.topics
        self._parts = parts
        self._metrics = parts.metrics
        self._loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[BaseException] = self._loop.create_future()
        self._producer = producer
        self._outgoing = Outgoing(producer, topics)
        self._partitions = Partitions(
            parts.engines,
            SnapshotLoader(parts.servers, topics, partitions=kafka.partitions, start_cold=worker.start_cold),
            on_loaded=self._loaded,
            on_dropped=self._dropped,
            on_failure=self.failed,
        )
        self._record = Record(parts.store, parts.announce, self._outgoing, parts.metrics)
        self._record_spend = RecordSpend(parts.spend, self._outgoing, parts.metrics) if parts.spend else None
        self._checkpoint = Checkpoint(
            facts_topic=topics.facts,
            partitions=self._partitions,
            outgoing=self._outgoing,
            snapshots=SnapshotWriter(producer, topics, partitions=kafka.partitions),
            metrics=parts.metrics,
            on_step=parts.on_step,
        )
        self._watchdog = Watchdog(parts.patience)
        self._app = _application(self, parts)
        detect = Detect(
            self._partitions,
            self._outgoing,
            parts.metrics,
            Limits(consecutive=worker.dead_letter_limit, ratio=worker.dead_letter_ratio),
        )
        self._app.subscribe(topics.facts, detect.run, queue=_QUEUED_BATCHES, in_flight=None)
        self._app.subscribe(topics.alerts, self._record.run, queue=0, in_flight=_ALERT_BATCHES_PER_PARTITION)
        if self._record_spend is not None:
            in_flight = _ALERT_BATCHES_PER_PARTITION
            self._app.subscribe(topics.spend, self._record_spend.run, queue=0, in_flight=in_flight)
        self._was_ready = False
        self._joined = False
        self._tasks: list[asyncio.Task[None]] = []

    def ready(self) -> Mapping[str, str | None]:
        """Dependency -> None when it is there, else why not."""
        recorders = (self._record, self._record_spend)
        away = (one.store_away for one in recorders if one is not None and one.store_away is not None)
        return {"kafka": self._kafka_reason(), "store": next(away, None)}

    async def until(self, stop: asyncio.Event) -> BaseException | None:
        """Take part in the group until *stop* is set (None) or something fails (what it was)."""
        self._start(self._app.start(), "faust")
        self._start(self._outgoing.keep_flushing(), "send alerts")
        self._start(self._look_after(), "look after the partitions")
        stopping = asyncio.create_task(stop.wait())
        await self._first(stopping)
        stopping.cancel()
        return self._failure.result() if self._failure.done() else None

    async def stop(self) -> BaseException | None:
        """Drain, checkpoint, commit and leave the group; returns what failed, if anything did."""
        self.draining()
        stopping = asyncio.create_task(self._stop(), name="leave the group")
        await self._first(stopping)
        return self._failure.result() if self._failure.done() else stopping.exception()

    async def _first(self, task: "asyncio.Task[Any]") -> None:
        """Wait for the task or a failure, whichever comes first."""
        either: set[asyncio.Future[Any]] = {task, self._failure}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    async def _stop(self) -> None:
        starting = self._tasks[0]
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        await self._app.stop()
        self._app.close()
        await self._outgoing.flush()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._producer.stop()

    # What the transport tells

    async def checkpoint(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self._failure.done():
            raise RefusedError("nothing is committed after a failure")
        try:
            await self._checkpoint(offsets)
        except Exception as error:
            self.failed(error)
            raise
        if self._failure.done():
            raise RefusedError("nothing is committed after a failure")

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._parts.on_step(Step.COMMITTED)

    def draining(self) -> None:
        self._record.give_up()
        if self._record_spend is not None:
            self._record_spend.give_up()
        self._partitions.stop_loading()

    def assigned(self, generation: int, positions: Mapping[TopicPartition, Position]) -> None:
        self._joined = True
        self._record.resume()
        if self._record_spend is not None:
            self._record_spend.resume()
        self._metrics.assigned()
        facts = {tp: position for tp, position in positions.items() if tp.topic == self._parts.topics.facts}
        _log.info("partitions assigned", generation=generation, partitions=len(positions))
        self._partitions.begin(facts)

    def revoked(self) -> None:
        self._partitions.drop()

    def failed(self, error: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._set_failure, error)

    def _set_failure(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_result(error)

    # What it does beside

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed(error)

    async def _look_after(self) -> None:
        """Once a second: figures and the watchdog's rules."""
        while True:
            await asyncio.sleep(1.0)
            self._metrics.engines(dict(self._partitions))
            progress = self._app.progress()
            self._metrics.progress(progress, holes=self._app.holes())
            self._watchdog.check(
                time.monotonic(),
                progress,
                loading=self._partitions.loading,
                checkpointed=self._checkpoint.parts,
                excused=self._excused,
            )

    def _excused(self, tp: TopicPartition) -> bool:
        recorders = {self._parts.topics.alerts: self._record, self._parts.topics.spend: self._record_spend}
        recorder = recorders.get(tp.topic)
        return recorder is not None and recorder.store_away is not None

    def _loaded(self, snapshots: int, seconds: float) -> None:
        self._metrics.loaded(snapshots, seconds)
        if not self._was_ready:
            self._was_ready = True
            self._parts.on_ready()

    def _dropped(self, engines: Mapping[TopicPartition, Engine]) -> None:
        self._metrics.engines(engines)
        self._metrics.engines_dropped()

    def _kafka_reason(self) -> str | None:
        if not self._joined:
            return "joining the consumer group"
        if self._partitions.loading:
            return "loading the state"
        answers = [progress.answered_at for progress in self._app.progress() if progress.answered_at is not None]
        if answers and (silent := time.time() - max(answers)) > _SILENT_BROKER_SECONDS:
            return f"the broker has not answered for {silent:.0f} s"
        return None


def _application(owner: Session, parts: Parts) -> BatchApp:
    worker = parts.settings.worker
    session = worker.session_timeout_seconds
    return BatchApp(
        owner,
        id=parts.settings.kafka.group,
        broker=[f"kafka://{address.strip()}" for address in parts.servers.split(",")],
        broker_max_poll_records=worker.max_poll_records,
        broker_commit_interval=worker.checkpoint_seconds,
        broker_session_timeout=session,
        broker_heartbeat_interval=min(3.0, session / 4),
        broker_rebalance_timeout=worker.rebalance_timeout_seconds,
        broker_request_timeout=max(90.0, session),
        # Beyond it aiokafka leaves the group for good, also when it merely has no partition (aiokafka #1187).
        broker_max_poll_interval=_NEVER_SECONDS,
        broker_commit_livelock_soft_timeout=_NEVER_SECONDS,
        stream_processing_timeout=_NEVER_SECONDS,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=1_048_576,
    )
