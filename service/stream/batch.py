"""Runs of records of one partition, and the book of which of them are finished. No broker here: pure bookkeeping.

Faust's own gap and ack lists are not used: they commit past unfinished work or stop committing (faust-streaming
#606, robinhood/faust #625). Ours is a queue of what was handed out; an offset may be committed when it and all before
it are finished, and nothing else ever makes it so.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from service.errors import SpendwatchError


class TopicPartition(NamedTuple):
    """Equal, and hashed alike, to the named tuples of the same shape in Faust and aiokafka."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


class Record(Protocol):
    """What is used of a Kafka record. timestamp: milliseconds since 1970."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def timestamp(self) -> int: ...


class Records(Protocol):
    """Consecutive records of one partition, never empty; may be read once. `fetching.Run` is the real one.

    first, last: offsets. timestamp: of the newest record, milliseconds since 1970.
    """

    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Record]: ...
    def since(self, offset: int) -> "Records":
        """What of it lies at *offset* and beyond; *offset* is within."""


class LostBatchError(SpendwatchError):
    """A batch was finished while an earlier one is neither finished nor in work any more."""

    def __init__(self, tp: TopicPartition, lost: int, finished: int) -> None:
        super().__init__(f"{tp}: the batch up to offset {finished} is finished, the earlier one up to {lost} is lost")
        self.tp = tp
        self.lost = lost
        self.finished = finished


class TruncatedLogError(SpendwatchError):
    """The log ends before an offset that was committed: the topic was deleted and made again, or lost data."""

    exit_code = 2

    def __init__(self, tp: TopicPartition, expected: int, end: int) -> None:
        super().__init__(
            f"{tp}: the next offset to read is {expected}, but the log ends at {end}. Was the topic deleted and created"
            " again? Its state and committed offsets belong to the old one: use another kafka.topic_prefix and"
            " kafka.group, or delete the state topic and the consumer group too"
        )
        self.tp = tp
        self.expected = expected
        self.end = end


class Batch:
    """Records that are worked on together. `finish` is the only way to let their offsets be committed."""

    __slots__ = ("_records", "generation", "last", "tp")

    def __init__(self, tp: TopicPartition, records: Records, generation: int) -> None:
        self.tp = tp
        self.generation = generation
        self.last = records.last
        self._records: Records | None = records

    @property
    def records(self) -> Records:
        assert self._records is not None, "a finished batch keeps no records"
        return self._records

    @property
    def finished(self) -> bool:
        return self._records is None

    def finish(self) -> None:
        """Its records are let go at once: what waits for the next commit would add up to hundreds of megabytes."""
        self._records = None


class Refetch(NamedTuple):
    """The records do not follow what was handed out before: read again from here."""

    offset: int


class Hole(NamedTuple):
    """Offsets that the log does not have: compacted, expired, or taken by transaction markers."""

    first: int
    after: int


@dataclass(slots=True, kw_only=True)
class Ledger:
    """The book of one partition while it is assigned to us.

    expected: the next offset to hand out. committed: as last committed or read; None when nothing ever was.
    """

    tp: TopicPartition
    expected: int
    committed: int | None = None
    holes: list[Hole] = field(default_factory=list)
    _in_flight: deque[Batch] = field(default_factory=deque)
    _applied: int = 0
    _jump: Hole | None = None

    def __post_init__(self) -> None:
        self._applied = self.expected

    def __len__(self) -> int:
        """Batches that were handed out and not finished in their order."""
        self._advance()
        return len(self._in_flight)

    def admit(self, records: Records, *, end: int | None) -> Records | Refetch | None:
        """The part of *records* that is to be handed out next: None when all of them were before.

        end: the log's end as the broker last said, if known. A jump over offsets is asked for a second time, because
        a seek that races with a fetch looks the same; only the same jump again is a hole in the log.
        Raises TruncatedLogError.
        """
        if records.last < self.expected:
            if end is not None and end < self.expected:
                raise TruncatedLogError(self.tp, self.expected, end)
            return None
        if records.first < self.expected:
            records = records.since(self.expected)
        if records.first > self.expected:
            jump = Hole(self.expected, records.first)
            if self._jump != jump:
                self._jump = jump
                return Refetch(self.expected)
            self.holes.append(jump)
        self._jump = None
        return records

    def dropped(self) -> None:
        """Fetched records were not offered to `admit`: a jump that follows is not the log's."""
        self._jump = None

    def hand_out(self, records: Records, generation: int) -> Batch:
        batch = Batch(self.tp, records, generation)
        self.expected = batch.last + 1
        self._in_flight.append(batch)
        return batch

    @property
    def applied(self) -> int:
        """The offset after the last finished batch that has no unfinished one before it."""
        self._advance()
        return self._applied

    def _advance(self) -> None:
        while self._in_flight and self._in_flight[0].finished:
            self._applied = self._in_flight.popleft().last + 1

    def committable(self) -> int | None:
        """The offset to commit, or None when nothing new is finished. Raises LostBatchError."""
        applied = self.applied
        # Batches are worked on one after the other, so a finished one behind an unfinished one means that the
        # unfinished one was dropped on its way. To commit it would lose it for good.
        for later in self._in_flight:
            if later.finished:
                raise LostBatchError(self.tp, self._in_flight[0].last, later.last)
        return applied if applied > (self.committed or 0) else None
