"""Faust with batches: each fetched run of records of a partition reaches its agent as one message.

With fetching.py the only file that touches private parts of Faust, mode and aiokafka; compatible.py refuses to start on
other versions or changed signatures. Why each override is there:

- Faust costs about 100 us a message, so one message carries a run of some `max_poll_records` records.
- Its gap and ack lists commit past unfinished work, or stop committing; it acks what an agent failed on. Here only
  `Batch.finish` counts (see batch.py), and Faust's own acks merely release the message.
- At a rebalance it forgets acks before it drains and commits: everything is then processed twice. Here it drains,
  checkpoints, commits, and forgets last.
- A seek races with the fetch under way: whatever does not follow what was handed out before is fetched again.
- It asks for 1.5 s long polls with one fetch in flight per broker, so idle partitions starve busy ones.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

import faust
import structlog
from aiokafka.errors import ConsumerStoppedError
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage
from mode import Service

from service.stream.batch import Batch, Ledger, Refetch, TopicPartition
from service.stream.compatible import IncompatibleFaustError, check_compatible
from service.stream.fetching import Run, fetched_runs
from service.stream.owner import Owner, Position, Progress

FETCH_WAIT_MS = 100
"""How long the broker may hold back an empty answer: what an idle partition costs a busy one at most."""
_CLOSED_POLL_SECONDS = 0.05
_CHECKPOINT_REST = 3
"""How many times as long as a checkpoint took the next one is waited for at least, where that is longer."""
_LONGEST_REST_SECONDS = 20.0
_log = structlog.get_logger(__name__)
_faust_log = logging.getLogger("faust.batches")
"""What Faust and mode say about our subclasses; by default it would carry this module's name, and not be quietened."""

# Faust publishes no types, so mypy sees Any for the bases below and everything inherited from them.


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    logger = _faust_log

    def _create_worker_consumer(self, transport: object) -> Any:
        consumer = super()._create_worker_consumer(transport)
        if not hasattr(consumer, "_fetch_max_wait_ms"):
            raise IncompatibleFaustError("aiokafka's consumer has no _fetch_max_wait_ms to set")
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[Any],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's
        max_records: int | None = None,
    ) -> dict[TopicPartition, Run]:
        fetcher = consumer._fetcher
        if not self.consumer.flow_active:
            return {}
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        with fetcher._subscriptions.fetch_context():
            return await fetched_runs(fetcher, active_partitions, timeout=timeout or 0.0, at_least=max_records or 1)

    def on_crash(self, msg: str, *fmt: object, **_kwargs: object) -> None:
        _log.error("consumer thread crashed", detail=msg.format(*fmt), exc_info=True)  # instead of print()


class _Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer for topics whose messages are batches: all topics of a BatchApp."""

    logger = _faust_log
    app: "BatchApp"

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._ledgers: dict[TopicPartition, Ledger] = {}
        self._seeking = asyncio.Lock()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # Fetching

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TopicPartition, Any]]:  # noqa: ASYNC109 - Faust's
        """Yield each partition's run as one message. What it leaves out is fetched again: `expected` stays."""
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        for tp, run in (records or {}).items():
            tp = TopicPartition(*tp)
            if (ledger := self._ledgers.get(tp)) is None:
                continue  # between two assignments: perform_seek is still to come
            stale = self.should_stop or not self.flow_active or generation != self.app.consumer_generation_id
            if stale or tp not in active:
                # Not only left out: the position has moved on, and the driver may not seek back in this generation.
                ledger.dropped()
                continue
            admitted = ledger.admit(run, end=self._end(tp))
            if isinstance(admitted, Refetch):
                _log.info("fetching again", partition=str(tp), offset=admitted.offset)
                await self._thread.call_thread(self._seek_in_thread, {tp: admitted.offset})
            elif admitted is not None:
                yield tp, self._message(ledger.hand_out(admitted, generation))

    async def _getmany(self, active_partitions: set[Any] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        """Fetch from partitions with room only, so that a slow agent holds up no other topic."""
        limit = self.app.batches_in_flight
        closed = {tp for tp, ledger in self._ledgers.items() if len(ledger) >= limit.get(tp.topic, len(ledger) + 1)}
        if closed:
            active_partitions = (active_partitions or set()) - closed
            timeout = min(timeout, _CLOSED_POLL_SECONDS)
        if not active_partitions:
            await self.sleep(timeout)
            return {}
        return await super()._getmany(active_partitions, timeout)

    def _message(self, batch: Batch) -> Any:
        return ConsumerMessage(
            batch.tp.topic,
            batch.tp.partition,
            batch.last,
            batch.records.timestamp / 1000.0,
            0,
            (),
            None,
            batch,
            None,
            0,
            0,
            faust.types.TP(*batch.tp),
            generation_id=batch.generation,
        )

    def on_buffer_full(self, tp: object) -> None:
        """Nothing: a full queue blocks the fetcher. Faust would take the partition out, and sleep when all are."""

    def on_buffer_drop(self, tp: object) -> None:
        """Nothing, as on_buffer_full."""

    async def verify_all_partitions_active(self) -> None:
        """Nothing: Faust's livelock detector cries for quiet partitions; ours is in watchdog.py."""

    # Acks and commits

    @Service.task  # type: ignore[untyped-decorator]  # Faust publishes no types
    async def _commit_handler(self) -> None:
        """Commit at the interval, but leave most of the time to the facts where checkpoints are large."""
        loop, pause = asyncio.get_running_loop(), self.commit_interval
        while not self.should_stop:
            await self.sleep(pause)
            started = loop.time()
            await self.commit()
            took = loop.time() - started
            pause = max(self.commit_interval - took, min(_CHECKPOINT_REST * took, _LONGEST_REST_SECONDS), 0.0)

    def ack(self, message: Any) -> bool:
        """Release a message, whatever became of it: only finished batches are committed."""
        if not message.acked:
            message.acked = True
            self._unacked_messages.discard(message)
            if self._waiting_for_ack is not None and not self._waiting_for_ack.done():
                self._waiting_for_ack.set_result(None)
            return True
        return False

    async def _add_gap(self, tp: object, offset_from: int, offset_to: int) -> None:
        """Nothing: holes in the offsets are within batches, or between them, and of no interest to the ledger."""

    def _filter_tps_with_pending_acks(self, topics: Iterable[object] | None = None) -> Iterable[TopicPartition]:
        return [tp for tp in self._ledgers if topics is None or tp in topics or tp.topic in topics]

    def _new_offset(self, tp: TopicPartition) -> int | None:
        return self._ledgers[tp].committable()

    def _should_commit(self, tp: TopicPartition, offset: int) -> bool:
        return True  # committable() has compared it

    async def _handle_attached(self, commit_offsets: Mapping[TopicPartition, int]) -> None:
        """Faust's last step before it commits: an exception here prevents the commit."""
        await self.app.owner.checkpoint(commit_offsets)

    async def _commit_offsets(self, offsets: Mapping[TopicPartition, int], start_new_transaction: bool = True) -> bool:
        # A book that was begun anew during the checkpoint has not come as far as the offsets of the old one.
        still_ours = {
            tp: offset
            for tp, offset in offsets.items()
            if (ledger := self._ledgers.get(tp)) is not None and ledger.applied >= offset
        }
        if not still_ours:
            return False
        did_commit = bool(await super()._commit_offsets(still_ours, start_new_transaction))
        if did_commit:
            for tp, offset in still_ours.items():
                if (ledger := self._ledgers.get(tp)) is not None:
                    ledger.committed = offset
            self.app.owner.committed(still_ours)
        return did_commit

    async def commit_and_end_transactions(self) -> None:
        """Commit what was just drained; Faust would take a commit that began before for it."""
        await self.maybe_wait_for_commit_to_finish()
        await self.commit(start_new_transaction=False)

    # Rebalances

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        self.app.owner.draining()
        await self._on_partitions_revoked(revoked)  # the application's: stops the flow, drains, commits
        self._active_partitions.difference_update(revoked)
        self._paused_partitions.difference_update(revoked)
        self._forget()
        self.app.owner.revoked()

    def _forget(self) -> None:
        self._ledgers.clear()
        self._read_offset.clear()
        self._committed_offset.clear()

    async def perform_seek(self) -> None:
        """Begin where the group has committed. Called after every assignment, before the flow is resumed."""
        async with self._seeking:
            generation = self.app.consumer_generation_id
            self.stop_flow()
            for _ in range(3):
                await asyncio.sleep(0)  # puts that are under way reach the queue before it is cleared
            self.app.flow_control.clear()
            self._forget()
            positions = await self._thread.call_thread(self._begin_in_thread)
            if generation != self.app.consumer_generation_id:
                return  # the next assignment seeks again
            for tp, position in positions.items():
                if position.committed is not None and position.committed < position.start:
                    _log.error(
                        "facts expired before they were read",
                        partition=str(tp),
                        first_lost=position.committed,
                        first_left=position.start,
                    )
                self._ledgers[tp] = Ledger(tp=tp, expected=position.offset, committed=position.committed)
            self.app.owner.assigned(generation, positions)

    async def _begin_in_thread(self) -> dict[TopicPartition, Position]:
        consumer = self._thread._ensure_consumer()
        assigned = consumer.assignment()
        starts = await consumer.beginning_offsets(assigned)
        positions = {}
        for tp in assigned:
            position = Position(await consumer.committed(tp), starts[tp])
            consumer.seek(tp, position.offset)
            positions[TopicPartition(*tp)] = position
        return positions

    async def _seek_in_thread(self, offsets: Mapping[TopicPartition, int]) -> None:
        consumer = self._thread._ensure_consumer()
        for tp, offset in offsets.items():
            consumer.seek(driver.TopicPartition(*tp), offset)

    # Figures

    def progress(self) -> list[Progress]:
        found = []
        for tp, ledger in self._ledgers.items():
            state = self._state(tp)
            answered_ms = getattr(state, "timestamp", None)
            found.append(
                Progress(
                    tp=tp,
                    applied=ledger.applied,
                    committed=ledger.committed,
                    end=getattr(state, "highwater", None),
                    in_flight=len(ledger),
                    answered_at=None if answered_ms is None else answered_ms / 1000.0,
                )
            )
        return found

    def holes(self) -> int:
        return sum(len(ledger.holes) for ledger in self._ledgers.values())

    def _end(self, tp: TopicPartition) -> int | None:
        """The log's end as the last fetch said. `ListOffsets` would not do: the embedded broker answers it wrongly."""
        return getattr(self._state(tp), "highwater", None)

    def _state(self, tp: TopicPartition) -> object:
        """aiokafka's state of a partition; None when it is not ours at this moment."""
        subscription = self._thread._ensure_consumer()._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        if assignment is None or tp not in assignment.tps:
            return None
        return assignment.state_value(tp)


class _Transport(driver.Transport):  # type: ignore[misc]
    Consumer = _Consumer


class _TableManager(TableManager):  # type: ignore[misc]
    """There are no tables to wait for: without Faust's pause of a second the worker is ready a second earlier."""

    logger = _faust_log

    async def on_start(self) -> None:
        await asyncio.sleep(0)
        await self._update_channels()
        await self.recovery.start()


class BatchApp(faust.App):  # type: ignore[misc]
    """A Faust application without web server, tables, leader topic, data folder or command line.

    batches_in_flight: topic -> how many batches per partition may wait; a topic that is not listed blocks the fetcher
    instead, when its queue is full.
    """

    logger = _faust_log

    def __init__(self, owner: Owner, **settings: object) -> None:
        check_compatible()
        self.owner = owner
        self.batches_in_flight: dict[str, int] = {}
        super().__init__(
            autodiscover=False,
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            reply_create_topic=False,
            stream_wait_empty=True,
            stream_recovery_delay=0.0,
            store="memory://",
            value_serializer="raw",
            key_serializer="raw",
            TableManager=_TableManager,
            **settings,
        )

    def subscribe(
        self, topic: str, agent: Callable[[AsyncIterator[Batch]], Awaitable[None]], *, queue: int, in_flight: int | None
    ) -> None:
        """Hand the batches of *topic* to *agent*, one at a time.

        queue: batches that wait for the agent before the fetcher is blocked; 0 with *in_flight*, which bounds the
        batches of each partition without blocking others.
        """
        channel = self.topic(topic, key_type=bytes, value_type=bytes, internal=False)
        channel.maxsize = queue  # App.topic(maxsize=) does not pass it on
        if in_flight is not None:
            self.batches_in_flight[topic] = in_flight
        self.agent(channel, name=agent.__qualname__)(agent)

    def close(self) -> None:
        """After `stop`: give back what Faust keeps when it is stopped while it starts."""
        if self._consumer is not None:
            loop = self._consumer._thread.thread_loop
            if not loop.is_running() and not loop.is_closed():
                loop.close()

    def progress(self) -> list[Progress]:
        return [] if self._consumer is None else list(self._consumer.progress())

    def holes(self) -> int:
        return 0 if self._consumer is None else int(self._consumer.holes())

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """None: nothing is kept on disk."""

    async def _on_agent_error(self, agent: object, exc: BaseException) -> None:
        """An agent that raises has left its batch unfinished. Faust would commit and start it again."""
        self.owner.failed(exc)

    def _crash(self, reason: BaseException) -> None:
        super()._crash(reason)
        self.owner.failed(reason)
