"""What could not be read, kept for people: raw bytes, and why. And the limit beyond which reading stops.

A dead letter never stops a partition. Thousands in a row do: then it is not the messages that are wrong but what reads
or writes them, and going on would drain the topic into the dead letters.
"""

from collections import deque
from dataclasses import dataclass

from msgspec import Struct

from service.errors import SpendwatchError
from service.stream.batch import Record, TopicPartition

_MAX_HEADER_BYTES = 1_000
_MAX_VALUE_BYTES = 500_000
"""With key and headers a record of the largest size would be too large to be sent on, and stop us for good."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A record that was put aside.

    timestamp: the record's, milliseconds since 1970. size: of its value, which may have been cut.
    reason: a value of a closed set, also the metric's label. field: where in the message, if known.
    """

    tp: TopicPartition
    offset: int
    value: bytes | None
    size: int
    timestamp: int
    reason: str
    field: str
    message: str

    @classmethod
    def of(cls, tp: TopicPartition, record: Record, *, reason: str, field: str, message: str) -> "DeadLetter":
        return cls(
            tp=tp,
            offset=record.offset,
            value=None if record.value is None else record.value[:_MAX_VALUE_BYTES],
            size=len(record.value or b""),
            timestamp=record.timestamp,
            reason=reason,
            field=field,
            message=message,
        )

    @property
    def key(self) -> bytes:
        """`topic/partition/offset`: the same however often the record is read again."""
        return f"{self.tp}/{self.offset}".encode()

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        texts = {
            "reason": self.reason,
            "field": self.field,
            "message": self.message,
            "source_timestamp_ms": str(self.timestamp),
            "size": str(self.size),
        }
        return [(name, text.encode(errors="replace")[:_MAX_HEADER_BYTES]) for name, text in texts.items()]


class DeadLetterLimitError(SpendwatchError):
    """Too much of a partition is unreadable. Nothing beyond the last checkpoint has been committed."""

    def __init__(self, tp: TopicPartition, offset: int, finding: str) -> None:
        super().__init__(
            f"{tp}: {finding} up to offset {offset}; reading stops before the topic drains into the dead letters."
            " Look at the latest dead letters: is a producer or this version wrong?"
        )
        self.tp = tp
        self.offset = offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """consecutive: so many unreadable records in a row. ratio: so large a part of the last `window` records."""

    consecutive: int = 5_000
    ratio: float = 0.5
    window: int = 20_000


class DeadLetterLimit:
    """Counts what one partition brings."""

    def __init__(self, tp: TopicPartition, limits: Limits) -> None:
        self._tp = tp
        self._limits = limits
        self._consecutive = 0
        self._batches: deque[tuple[int, int]] = deque()
        self._records = 0
        self._rejected = 0

    def count(self, *, last: int, records: int, rejected: list[int]) -> None:
        """One batch. rejected: offsets, rising. Raises DeadLetterLimitError."""
        if len(rejected) == records:
            self._consecutive += records
        elif rejected and rejected[-1] == last:
            self._consecutive = _run_at_the_end(rejected, last)
        else:
            self._consecutive = 0
        self._batches.append((records, len(rejected)))
        self._records += records
        self._rejected += len(rejected)
        while self._records - self._batches[0][0] >= self._limits.window:
            left, left_rejected = self._batches.popleft()
            self._records -= left
            self._rejected -= left_rejected
        if self._consecutive >= self._limits.consecutive:
            raise DeadLetterLimitError(self._tp, last, f"{self._consecutive} records in a row are unreadable")
        if self._records >= self._limits.window and self._rejected > self._limits.ratio * self._records:
            raise DeadLetterLimitError(
                self._tp, last, f"{self._rejected} of the last {self._records} records are unreadable"
            )


def _run_at_the_end(offsets: list[int], last: int) -> int:
    """How many offsets at the end follow one another without a gap. Holes of the log only make it smaller."""
    count = 0
    while count < len(offsets) and offsets[-1 - count] == last - count:
        count += 1
    return count
