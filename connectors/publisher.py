"""Facts to Kafka: keyed by series, acknowledged by all replicas, in batches.

`publish` returns only when the broker has acknowledged every fact, which is what lets a connector's checkpoint move.
Whatever fails may be published again: facts are folded by origin and revision or by event id, so a repetition on the
wire changes nothing downstream. That is also why a broker without idempotent producers will do.

aiokafka costs 14 us per `send` and 1.6 us per record of a batch built by hand, so more than a handful of facts go out
as batches, one builder per partition.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownError,
    UnknownProducerId,
    UnsupportedVersionError,
)
from aiokafka.partitioner import DefaultPartitioner

from connectors.connector import BadRecord
from connectors.errors import ConnectorError
from connectors.facts import Fact, Feedback, Watermark, encode, key_of

_FEW = 32
"""Up to so many facts go through `send`, where those of concurrent callers share a batch."""
_BATCH_BYTES = 256 * 1024
_MAX_CACHED_PARTITIONS = 200_000
_SAY_EVERY_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 5.0
_LONGEST_STOP_SECONDS = 3.0

# Errors of the message, not of the producer: another try with the same message ends the same way.
_FINAL = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTopicError, TopicAuthorizationFailedError)
# Errors after which a producer never sends again. Not "everything that is not retriable": aiokafka counts its own
# KafkaTimeoutError among those, and a producer that waits for its broker must stay, or each outage makes a second one.
_BROKEN = (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)
_SENDER_LOG = logging.getLogger("aiokafka.producer.sender")

_log = structlog.get_logger(__name__)


class PublishError(ConnectorError):
    """The broker has not acknowledged everything; some of it may have been written.

    retryable: False when the same messages would be refused again.
    """

    exit_code = 75

    def __init__(self, *, retryable: bool, topic: str, reason: str) -> None:
        super().__init__(f"topic {topic!r} did not take all messages: {reason}")
        self.retryable = retryable
        self.topic = topic
        self.reason = reason


class Publisher:
    """One producer for the facts and dead-letter topics. Safe to use from concurrent tasks of one event loop.

    enable_idempotence: None tries, and goes on without where the broker refuses to hand out producer ids, as the
    embedded one does. timeout_seconds: how long one acknowledgement may take.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        topic_prefix: str = "spendwatch",
        enable_idempotence: bool | None = None,
        timeout_seconds: float = 30.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        make_producer: Callable[..., Any] = AIOKafkaProducer,
    ) -> None:
        self.facts_topic = f"{topic_prefix}.facts"
        self.dead_letters_topic = f"{topic_prefix}.dead-letters"
        self._bootstrap_servers = bootstrap_servers
        self._idempotent = enable_idempotence
        self._timeout = timeout_seconds
        self._sleep = sleep
        self._make_producer = make_producer
        self._producer: Any = None
        self._starting = asyncio.Lock()
        self._partitioner = DefaultPartitioner()
        self._partition_of: dict[str, int] = {}
        self._partitions: list[int] = []
        self._problem: str | None = "not started"
        self._started_once = False

    @property
    def ready(self) -> bool:
        """Whether the broker answered last time."""
        return self._problem is None

    @property
    def problem(self) -> str | None:
        """What readiness says: None, or why the broker cannot be used."""
        return self._problem

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Connect, and keep trying while the broker or a topic is not there; said in the log now and then."""
        wait, waited, said_at = 0.2, 0.0, None
        while (problem := await self._try_to_start()) is not None:
            self._problem = problem
            if said_at is None or waited - said_at >= _SAY_EVERY_SECONDS:
                said_at = waited
                _log.warning("waiting for the broker", problem=problem)
            await self._sleep(wait)
            waited += wait
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
        self._problem, self._started_once = None, True
        _log.info("connected", bootstrap_servers=self._bootstrap_servers, idempotent=self._idempotent)

    async def _try_to_start(self) -> str | None:
        """None, or what is in the way."""
        try:
            async with self._starting:
                if self._producer is None:
                    self._producer = await self._connect()
            # Asking for the partitions of a topic that is not there makes some brokers create it, with a number of
            # partitions nobody chose. Asking for all topics does not.
            there = (await self._producer.client.fetch_all_metadata()).topics()
        except (KafkaError, OSError) as error:
            return f"broker {self._bootstrap_servers} does not answer: {_why(error)}"
        missing = [topic for topic in (self.facts_topic, self.dead_letters_topic) if topic not in there]
        return f"broker {self._bootstrap_servers} has no topic {' and '.join(map(repr, missing))}" if missing else None

    async def stop(self) -> None:
        """Close; what was not acknowledged by now was told to its caller as a PublishError."""
        producer, self._producer = self._producer, None
        self._problem, self._started_once = "stopped", False
        if producer is not None:
            await self._close(producer)

    async def publish(self, facts: Sequence[Fact | Feedback]) -> None:
        """Send facts, or what people said of a series, each to its series' partition.

        Returns when the broker acknowledged all. Raises PublishError.
        """
        if not facts:
            return
        async with self._sending(self.facts_topic) as producer:
            partitions = await self._partitions_of(producer)
            if len(facts) <= _FEW:
                await self._acknowledged(self._send_few(producer, facts, partitions))
            else:
                await self._acknowledged(self._send_many(producer, facts, partitions))

    async def watermark(self, watermark: Watermark) -> None:
        """Send a watermark to every partition of the facts topic. Raises PublishError."""
        key, value = key_of(watermark), encode(watermark)
        async with self._sending(self.facts_topic) as producer:
            partitions = await self._partitions_of(producer)
            await self._acknowledged(_each(producer, self.facts_topic, [(p, key, value, []) for p in partitions]))

    async def dead_letter(self, bad: BadRecord) -> None:
        """Put a record aside that no fact could be made of: raw bytes, its place as key, the reason in headers."""
        headers = [("reason", bad.reason.value.encode()), ("message", bad.message.encode())]
        headers.append(("source", bad.source.encode()))
        if bad.field is not None:
            headers.append(("field", bad.field.encode()))
        message = (None, bad.place.encode(), bad.raw, headers)
        async with self._sending(self.dead_letters_topic) as producer:
            await self._acknowledged(_each(producer, self.dead_letters_topic, [message]))

    async def _send_few(
        self, producer: Any, facts: Sequence[Fact | Feedback], partitions: list[int]
    ) -> AsyncIterator[asyncio.Future[Any]]:
        for fact in facts:
            partition = self._partition(fact.series, partitions)
            yield await producer.send(self.facts_topic, encode(fact), key=fact.series.encode(), partition=partition)

    async def _send_many(
        self, producer: Any, facts: Iterable[Fact | Feedback], partitions: list[int]
    ) -> AsyncIterator[asyncio.Future[Any]]:
        topic = self.facts_topic
        batches = {partition: producer.create_batch() for partition in partitions}
        for fact in facts:
            partition = self._partition(fact.series, partitions)
            key, value = fact.series.encode(), encode(fact)
            if batches[partition].append(timestamp=None, key=key, value=value) is None:
                yield await producer.send_batch(batches[partition], topic, partition=partition)
                batches[partition] = producer.create_batch()
                batches[partition].append(timestamp=None, key=key, value=value)
        for partition, batch in batches.items():
            if batch.record_count():
                yield await producer.send_batch(batch, topic, partition=partition)

    def _partition(self, series: str, partitions: list[int]) -> int:
        """Kafka's default murmur2 partition. Remembered, because hashing one key takes 8 us in Python."""
        partition = self._partition_of.get(series)
        if partition is None:
            if len(self._partition_of) >= _MAX_CACHED_PARTITIONS:
                self._partition_of.clear()
            partition = self._partition_of[series] = self._partitioner(series.encode(), partitions, partitions)
        return partition

    async def _partitions_of(self, producer: Any) -> list[int]:
        partitions = sorted(await producer.partitions_for(self.facts_topic))
        if partitions != self._partitions:
            self._partitions = partitions
            self._partition_of.clear()
        return partitions

    async def _acknowledged(self, sends: AsyncIterator[asyncio.Future[Any]]) -> None:
        """Wait for all acknowledgements, then raise the first error of them."""
        futures: list[asyncio.Future[Any]] = []
        async for future in sends:
            future.add_done_callback(_note_outcome)
            futures.append(future)
        _, missing = await asyncio.wait(futures, timeout=self._timeout)
        # A timeout of our own: an idempotent aiokafka producer tries for ever and never fails a batch.
        if missing:
            raise TimeoutError(f"{len(missing)} of {len(futures)} not acknowledged within {self._timeout:g} s")
        for future in futures:
            future.result()

    @asynccontextmanager
    async def _sending(self, topic: str) -> AsyncIterator[Any]:
        producer = await self._ready_producer(topic)
        try:
            yield producer
        except (KafkaError, TimeoutError, OSError) as error:
            final = isinstance(error, _FINAL)
            if not final:
                self._problem = f"broker {self._bootstrap_servers}: {_why(error)}"
            # A bare KafkaError is what is left of a sender task that died of a bug.
            if isinstance(error, _BROKEN) or type(error) is KafkaError:
                await self._discard(producer)
            raise PublishError(retryable=not final, topic=topic, reason=_why(error)) from error
        else:
            self._problem = None

    async def _ready_producer(self, topic: str) -> Any:
        if not self._started_once:
            raise PublishError(retryable=True, topic=topic, reason=f"the publisher is not ready: {self._problem}")
        async with self._starting:
            if self._producer is None:
                try:
                    self._producer = await self._connect()
                except (KafkaError, OSError) as error:
                    raise PublishError(retryable=True, topic=topic, reason=_why(error)) from error
            return self._producer

    async def _discard(self, producer: Any) -> None:
        if self._producer is producer:
            self._producer = None
            await self._close(producer)

    async def _connect(self) -> Any:
        if self._idempotent is not None:
            return await self._started(self._idempotent)
        try:
            with _quiet(_SENDER_LOG):
                producer = await self._started(True)
            self._idempotent = True
        except (UnknownError, UnsupportedVersionError):
            producer = await self._started(False)
            self._idempotent = False
        return producer

    async def _started(self, idempotent: bool) -> Any:
        producer = self._make_producer(
            bootstrap_servers=self._bootstrap_servers,
            acks="all",
            enable_idempotence=idempotent,
            max_batch_size=_BATCH_BYTES,
            request_timeout_ms=int(self._timeout * 1000),
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def _close(self, producer: Any) -> None:
        try:
            await asyncio.wait_for(producer.stop(), timeout=min(_LONGEST_STOP_SECONDS, self._timeout))
        except (TimeoutError, KafkaError):
            # It flushes first, which never ends while the broker is away, and its sender would try on for ever.
            await producer._sender.close()
            await producer.client.close()


async def _each(
    producer: Any, topic: str, messages: Iterable[tuple[int | None, bytes, bytes, list[tuple[str, bytes]]]]
) -> AsyncIterator[asyncio.Future[Any]]:
    for partition, key, value, headers in messages:
        yield await producer.send(topic, value, key=key, partition=partition, headers=headers)


def _note_outcome(future: asyncio.Future[Any]) -> None:
    """Look at its error even when an earlier one ended the waiting, so that asyncio does not report it as lost."""
    if not future.cancelled():
        future.exception()


def _why(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep a library from reporting an error that is an expected answer."""
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


class _NowAndThen(logging.Filter):
    """Lets a message through once in a while: a client without a broker reports each of its ten tries a second."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        last = self._last.get(record.msg)
        if last is not None and record.created - last < _SAY_EVERY_SECONDS:
            return False
        self._last[record.msg] = record.created
        return True


for _logger in (_SENDER_LOG, logging.getLogger("aiokafka")):
    _logger.addFilter(_NowAndThen())
