"""`spendwatch worker`: from the first connection to the last commit.

Crash-only: whatever goes wrong, nothing more is committed and the process ends with an exit code. Its successor loads
the last checkpoint and reads on from there.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from service.announcing import Announce
from service.errors import SpendwatchError, UnavailableError
from service.pauses import growing, pause
from service.settings import Settings
from service.signals import Deadline
from service.stream.checkpoint import Step
from service.stream.metrics import StreamMetrics
from service.stream.partitions import EngineFactory
from service.stream.record import Recorder
from service.stream.record_spend import SpendRecorder
from service.stream.session import Parts, Session
from service.stream.topics import MAX_SNAPSHOT_BYTES, KafkaNotConfiguredError, Topics, ensure_topics
from service.stream.watchdog import Heartbeat, Patience

_PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0)
_MAX_BATCH_BYTES = 512 * 1024
_log = structlog.get_logger(__name__)


class StreamWorker:
    """One worker process.

    engines: partition -> new engine. detectors: names for the metrics. spend: where what was spent is kept; None where
    nobody asks. on_ready: called once, when the first partitions are loaded. on_step: told each step of a checkpoint.
    hard_exit: ends the process at once; tests hand in another.
    Raises KafkaNotConfiguredError.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        engines: EngineFactory,
        detectors: Iterable[str],
        store: Recorder,
        announce: Announce,
        registry: CollectorRegistry,
        spend: SpendRecorder | None = None,
        on_ready: Callable[[], None] = lambda: None,
        on_step: Callable[[Step], None] = lambda _step: None,
        hard_exit: Callable[[int], object] = os._exit,
    ) -> None:
        if settings.kafka.bootstrap_servers is None:
            raise KafkaNotConfiguredError
        memory_mb = settings.worker.max_memory_mb
        self._parts = Parts(
            settings=settings,
            servers=settings.kafka.bootstrap_servers,
            topics=Topics.of(settings.kafka),
            patience=Patience(
                commit=max(60.0, 3 * settings.worker.checkpoint_seconds),
                memory_bytes=None if memory_mb is None else memory_mb * 1024 * 1024,
            ),
            engines=engines,
            store=store,
            announce=announce,
            spend=spend,
            metrics=StreamMetrics(registry, detectors=detectors),
            on_ready=on_ready,
            on_step=on_step,
        )
        self._hard_exit = hard_exit
        self._reason = "not connected yet"
        self._session: Session | None = None

    def ready(self) -> Mapping[str, str | None]:
        """Dependency -> None when it is there, else why not; for the readiness probe."""
        if self._session is None:
            return {"kafka": self._reason, "store": None}
        return self._session.ready()

    async def run(self, stop: asyncio.Event) -> int:
        """Run until *stop* is set, then drain, commit and leave the group; returns the exit code.

        After a failure nothing is committed any more and *hard_exit* gets the code: threads and half-done work of
        the libraries are not to be waited for. Raises ConfigError for topics that do not fit.
        """
        heartbeat = Heartbeat(self._parts.patience.heartbeat, hard_exit=self._hard_exit)
        beating = asyncio.create_task(heartbeat.run(), name="heartbeat")
        try:
            producer = await self._connected(stop)
            if producer is None:
                return 0
            self._session = Session(self._parts, producer)
            failure = await self._session.until(stop)
            deadline = Deadline(self._parts.settings.worker.shutdown_seconds, hard_exit=self._hard_exit)
            deadline.start()
            if failure is None:
                failure = await self._session.stop()
            code = 0 if failure is None else self._give_up(failure)
            deadline.cancel()
            _log.info("worker stopped", exit_code=code)
            return code
        finally:
            beating.cancel()
            self._session, self._reason = None, "stopped"

    def _give_up(self, failure: BaseException) -> int:
        code = exit_code(failure)
        _log.error("worker failed", exit_code=code, reason=str(failure), exc_info=failure)
        for handler in logging.getLogger().handlers:
            handler.flush()
        sys.stderr.flush()
        self._hard_exit(code)
        return code

    async def _connected(self, stop: asyncio.Event) -> AIOKafkaProducer | None:
        """A started producer, when the broker answers and the topics are there; None when stopped before."""
        for seconds in growing(*_PAUSES_SECONDS):
            producer = AIOKafkaProducer(
                bootstrap_servers=self._parts.servers,
                acks="all",
                # Not idempotent: the embedded broker knows no producer ids. aiokafka has one request per partition
                # under way, so order holds over retries, and a repeated alert or snapshot changes nothing.
                linger_ms=2,
                max_batch_size=_MAX_BATCH_BYTES,
                max_request_size=MAX_SNAPSHOT_BYTES,
                request_timeout_ms=30_000,
            )
            try:
                await ensure_topics(self._parts.settings.kafka)
                await producer.start()
            except (UnavailableError, KafkaError, OSError) as error:
                await producer.stop()
                self._reason = str(error) or type(error).__name__
                _log.warning("waiting for Kafka", reason=self._reason, again_in_seconds=seconds)
            except BaseException:
                await producer.stop()
                raise
            else:
                return producer
            if await pause(stop, seconds):
                break
        return None


def exit_code(failure: BaseException) -> int:
    """75 (try again) for what we depend on, 70 for what is our own fault; errors of ours say it themselves."""
    if isinstance(failure, SpendwatchError):
        return failure.exit_code
    return UnavailableError.exit_code if isinstance(failure, KafkaError | OSError) else SpendwatchError.exit_code
