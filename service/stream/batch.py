"""Runs of records of one partition, and the book of which of them are finished. No broker here: pure bookkeeping.

Faust's own gap and ack lists are not used: they commit past unfinished work or stop committing (faust-streaming
#606, robinhood/faust #625). Ours is a queue of what was handed out; an offset may be committed when it and all before
it are finished, and nothing else ever makes it so.
"""

from collections import deque
from collections.abc import Sequence
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


@dataclass(slots=True, eq=False)
class Batch:
    """Consecutive records of one partition, never empty. `finish` is the only way to let its offsets be committed."""

    tp: TopicPartition
    records: Sequence[Record]
    generation: int
    finished: bool = False

    @property
    def first(self) -> int:
        return self.records[0].offset

    @property
    def last(self) -> int:
        return self.records[-1].offset

    def finish(self) -> None:
        self.finished = True


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

    def admit(self, records: Sequence[Record], *, end: int | None) -> Sequence[Record] | Refetch:
        """The part of *records* that is to be handed out next: empty when all of them were before.

        end: the log's end as the broker last said, if known. A jump over offsets is asked for a second time, because
        a seek that races with a fetch looks the same; only the same jump again is a hole in the log.
        Raises TruncatedLogError.
        """
        if records[-1].offset < self.expected:
            if end is not None and end < self.expected:
                raise TruncatedLogError(self.tp, self.expected, end)
            return ()
        if records[0].offset < self.expected:
            records = [record for record in records if record.offset >= self.expected]
        first = records[0].offset
        if first > self.expected:
            jump = Hole(self.expected, first)
            if self._jump != jump:
                self._jump = jump
                return Refetch(self.expected)
            self.holes.append(jump)
        self._jump = None
        return records

    def dropped(self) -> None:
        """Fetched records were not offered to `admit`: a jump that follows is not the log's."""
        self._jump = None

    def hand_out(self, records: Sequence[Record], generation: int) -> Batch:
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
