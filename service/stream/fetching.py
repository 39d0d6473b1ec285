"""What the broker sent, handed on as it came: a run of record batches that is unpacked only while it is read.

aiokafka makes a ConsumerRecord of everything it fetches, 0.5 us each, and thousands of them wait in queues, where the
cyclic collector looks through them again and again. A run waits as the bytes that came; its records live for as long
as it takes to fold them. Beside transport.py the only file that touches private parts of aiokafka; see compatible.py.
"""

import asyncio
import time
from collections.abc import Collection, Iterator
from typing import Any, Protocol

from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.errors import CorruptRecordException

from service.errors import SpendwatchError
from service.stream.batch import Record, TopicPartition


class UnknownFormatError(SpendwatchError):
    """Record batches older than Kafka 0.11, which do not say what offsets they hold."""

    exit_code = 2

    def __init__(self, tp: TopicPartition) -> None:
        super().__init__(
            f"{tp}: expected record batches of format 2 (Kafka 0.11 and newer), got older ones."
            " Raise message.format.version of the topic"
        )


class RecordBatch(Protocol):
    """aiokafka's DefaultRecordBatch, as far as it is used here. Can be iterated once."""

    def __iter__(self) -> Iterator[Record]: ...
    @property
    def base_offset(self) -> int: ...
    @property
    def next_offset(self) -> int: ...
    @property
    def max_timestamp(self) -> int: ...


class Run:
    """Consecutive records of one partition, from the offset *first* on. Can be iterated once.

    batches: at least one, with a record at or after *first*. Offsets that the log does not have (compacted, or taken by
    transaction markers) count in the length, too.
    """

    __slots__ = ("_batches", "first")

    def __init__(self, batches: Collection[RecordBatch], *, first: int = 0) -> None:
        self._batches = list(batches)
        self.first = max(first, self._batches[0].base_offset)

    @property
    def last(self) -> int:
        return self._batches[-1].next_offset - 1

    @property
    def timestamp(self) -> int:
        """Of the newest record, milliseconds since 1970."""
        return max(batch.max_timestamp for batch in self._batches)

    def __len__(self) -> int:
        return self.last + 1 - self.first

    def __iter__(self) -> Iterator[Record]:
        first = self.first
        for batch in self._batches:
            if batch.base_offset >= first:
                yield from batch
            else:  # the broker sends whole batches, whatever offset was asked for
                for record in batch:
                    if record.offset >= first:
                        yield record

    def since(self, offset: int) -> "Run":
        """What of it lies at *offset* and beyond; *offset* is within."""
        return Run([batch for batch in self._batches if batch.next_offset > offset], first=offset)


async def fetched_runs(
    fetcher: Fetcher,
    partitions: Collection[Any],
    *,
    timeout: float,  # noqa: ASYNC109 - aiokafka's
    at_least: int,
) -> dict[TopicPartition, Run]:
    """What was fetched of *partitions*, else what comes within *timeout* seconds; moves their positions.

    The same as the Fetcher's own `fetched_records`, but for the records: a run ends with the record batch that holds
    its record number *at_least*. Raises what the fetcher met with.
    """
    subscriptions = fetcher._subscriptions
    while True:
        if subscriptions.reassignment_in_progress:
            await subscriptions.wait_for_assignment()
        started = time.monotonic()
        runs = _drained(fetcher, partitions, at_least)
        if runs or not timeout:
            return runs
        waiter = fetcher._create_fetch_waiter()
        done, _ = await asyncio.wait([waiter], timeout=timeout)
        if not done or fetcher._closed:
            waiter.cancel()
            return {}
        waiter.result()  # raises what the group coordinator refused
        timeout = max(0.0, timeout - (time.monotonic() - started))


def _drained(fetcher: Fetcher, partitions: Collection[Any], at_least: int) -> dict[TopicPartition, Run]:
    """What is there. An error that one partition met with is raised when nothing of the others is left."""
    runs: dict[TopicPartition, Run] = {}
    for tp, fetched in list(fetcher._records.items()):
        if tp not in partitions:
            if not fetcher._subscriptions.is_assigned(tp):
                del fetcher._records[tp]
        elif isinstance(fetched, FetchResult):
            run = _take(fetched, TopicPartition(*tp), at_least)
            if not fetched.has_more():
                _make_room(fetcher, tp)
            if run is not None:
                runs[TopicPartition(*tp)] = run
        elif runs:
            break
        else:
            _make_room(fetcher, tp)
            fetched.check_raise()
    return runs


def _make_room(fetcher: Fetcher, tp: object) -> None:
    """Have the partition fetched again."""
    del fetcher._records[tp]
    fetcher._notify(fetcher._wait_consume_future)


def _take(fetched: FetchResult, tp: TopicPartition, at_least: int) -> Run | None:
    """The next record batches of a fetch; None when there are none, or they are not wanted any more."""
    if not fetched.has_more() or not fetched.check_assignment(tp):
        return None
    packed = fetched._partition_records
    packed._records_iterator = None  # never begun, and a cycle: what was fetched would stay until it is collected
    first = packed.next_fetch_offset
    batches = []
    while packed._records.has_next() and packed.next_fetch_offset - first < at_least:
        batch = packed._records.next_batch()
        if not hasattr(batch, "base_offset"):
            raise UnknownFormatError(tp)
        if not batch.validate_crc():
            raise CorruptRecordException(f"{tp}: the record batch at offset {batch.base_offset} has a wrong checksum")
        if not batch.is_control_batch and batch.next_offset > first:
            batches.append(batch)
        packed.next_fetch_offset = max(packed.next_fetch_offset, batch.next_offset)
    fetched._update_position()
    if not packed._records.has_next():
        fetched._partition_records = None
    return Run(batches, first=first) if batches else None
