"""The closed buckets of a series that may still be restated, as compactly as a million series need it.

Buckets lie side by side from `start` on. Nearly all have one basis and one origin, or events only: for these an
amount, a byte of marks and the number of a stamp (basis, origin, revision) that the series' buckets share are
enough. The others, and the latest ones with drivers, are kept whole in `whole`.
"""

from array import array
from collections.abc import Iterator
from typing import Final

from connectors.facts import Basis
from service.core.amounts import INT64_MAX
from service.core.buckets import Bucket, Ledger
from service.core.sources import Origin

PRESENT: Final = 1
BILLED: Final = 2
ABNORMAL: Final = 4
"""Judged high or low beyond the floor: not learned."""
ACCEPTED: Final = 8
"""The last bucket of an abnormal run that was taken for the new normal."""
WHOLE: Final = 16

Stamp = tuple[bool, Origin | None, int]
"""billed, origin, revision; without an origin the amount is a sum of events, and the revision 0."""

_MAX_STAMPS = 255
_TIDY_FROM = 8
"""Full deliveries give all their buckets a new revision each time: what they replaced is taken out in time."""


class Ring:
    """start: number of the first bucket. amounts, marks, stamped: one entry per bucket."""

    __slots__ = ("amounts", "marks", "stamped", "stamps", "start", "whole")

    def __init__(self, start: int) -> None:
        self.start = start
        self.amounts = array("q")
        self.marks = bytearray()
        self.stamped = bytearray()
        self.stamps: list[Stamp] = []
        self.whole: dict[int, Bucket] | None = None

    def __len__(self) -> int:
        return len(self.marks)

    @property
    def end(self) -> int:
        """Number of the bucket after the last."""
        return self.start + len(self.marks)

    def holds(self, index: int) -> bool:
        return self.start <= index < self.start + len(self.marks)

    def is_present(self, index: int) -> bool:
        return self.holds(index) and bool(self.marks[index - self.start] & PRESENT)

    def value(self, index: int) -> int:
        """Nano-units of a present bucket."""
        position = index - self.start
        if self.marks[position] & WHOLE:
            assert self.whole is not None
            return self.whole[index].value
        return self.amounts[position]

    def basis(self, index: int) -> Basis:
        return Basis.BILLED if self.marks[index - self.start] & BILLED else Basis.ESTIMATED

    def extend_to(self, index: int) -> None:
        """Make room for *index*, with missing buckets in between, on either side."""
        if index >= self.end:
            count = index - self.end + 1
            self.amounts.frombytes(bytes(8 * count))
            self.marks += bytes(count)
            self.stamped += bytes(count)
        elif index < self.start:
            count = self.start - index
            self.amounts = array("q", bytes(8 * count)) + self.amounts
            self.marks[0:0] = bytes(count)
            self.stamped[0:0] = bytes(count)
            self.start = index

    def put(self, bucket: Bucket) -> None:
        """Write a bucket, in room that is there; its judgement is cleared."""
        index = bucket.index
        position = index - self.start
        marks = PRESENT | (BILLED if bucket.billed is not None else 0)
        stamp = _stamp(bucket)
        number = None if stamp is None else self._number(stamp)
        if number is None:
            if self.whole is None:
                self.whole = {}
            self.whole[index] = bucket
            marks |= WHOLE
        else:
            self._drop_whole(index)
            self.amounts[position] = bucket.value
            self.stamped[position] = number
        self.marks[position] = marks

    def get(self, index: int) -> Bucket:
        """A present bucket with its contributions; a change has to be `put` back."""
        position = index - self.start
        if self.marks[position] & WHOLE:
            assert self.whole is not None
            return self.whole[index]
        billed, origin, revision = self.stamps[self.stamped[position]]
        bucket = Bucket(index)
        ledger = bucket.ledger_of(Basis.BILLED if billed else Basis.ESTIMATED)
        if origin is None:
            ledger.total = self.amounts[position]
        else:
            ledger.put(origin, revision, self.amounts[position])
        return bucket

    def judge(self, index: int, marks: int) -> None:
        """Replace what was judged of a bucket: *marks* of ABNORMAL and ACCEPTED."""
        position = index - self.start
        self.marks[position] = self.marks[position] & ~(ABNORMAL | ACCEPTED) | marks

    def drop_until(self, index: int) -> None:
        """Forget the buckets before *index*."""
        count = min(index - self.start, len(self.marks))
        if count <= 0:
            return
        for gone in range(self.start, self.start + count):
            self._drop_whole(gone)
        del self.amounts[:count]
        del self.marks[:count]
        del self.stamped[:count]
        self.start += count

    def present(self) -> Iterator[int]:
        """Numbers of the buckets that have facts, oldest first."""
        start = self.start
        return (start + position for position, marks in enumerate(self.marks) if marks & PRESENT)

    def _drop_whole(self, index: int) -> None:
        if self.whole is not None:
            self.whole.pop(index, None)
            if not self.whole:
                self.whole = None

    def _number(self, stamp: Stamp) -> int | None:
        """The stamp's number in the table of this series; None when even after a tidying the table is full."""
        try:
            return self.stamps.index(stamp)
        except ValueError:
            pass
        size = len(self.stamps)
        if size >= _MAX_STAMPS or (size >= _TIDY_FROM and size & (size - 1) == 0):
            self._tidy()
            if len(self.stamps) >= _MAX_STAMPS:
                return None
        self.stamps.append(stamp)
        return len(self.stamps) - 1

    def _tidy(self) -> None:
        used: dict[int, int] = {}
        for position, marks in enumerate(self.marks):
            if marks & PRESENT and not marks & WHOLE:
                number = self.stamped[position]
                self.stamped[position] = used.setdefault(number, len(used))
        self.stamps = [self.stamps[number] for number in used]


def _stamp(bucket: Bucket) -> Stamp | None:
    """The stamp of a bucket that an amount and a stamp say everything about."""
    if bucket.billed is not None and bucket.estimated is not None:
        return None
    ledger: Ledger = bucket.effective
    if ledger.gauge is not None or ledger.parts is not None or ledger.others:
        return None
    if not -INT64_MAX <= ledger.total <= INT64_MAX:
        return None
    if ledger.origin is None:
        return (bucket.billed is not None, None, 0)
    if ledger.total != ledger.amount:
        return None
    return ledger.origin.stamp(ledger.revision, billed=bucket.billed is not None)
