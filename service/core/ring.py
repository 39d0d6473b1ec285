"""The closed buckets of a series that may still be restated, as compactly as a million series need it.

Buckets lie side by side from `start` on, in cells of one byte and an amount of `width` bytes. Nearly all buckets have
one basis and one origin, or events only: for these the amount and the number of a stamp (basis, origin, revision),
which the series' buckets share, say everything. The others, and the latest ones with drivers, are kept whole.

The byte holds the judgement in its lower two bits, and above them MISSING, WHOLE or 1 + the number of the stamp.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from connectors.facts import Basis
from service.core.buckets import Bucket
from service.core.sources import Origin

NORMAL: Final = 0
ABNORMAL: Final = 1
"""Judged high or low beyond the floor: not learned."""
ACCEPTED: Final = 2
"""Abnormal as well: the last of a run that was taken for the new normal."""

_JUDGEMENT: Final = 0b11
_MISSING: Final = 0
_WHOLE: Final = 63
_MAX_STAMPS: Final = 62
_TIDY_FROM: Final = 8
"""Full deliveries give all their buckets a new revision each time: what they replaced is taken out in time."""
_MAX_WIDTH: Final = 8

Stamp = tuple[bool, Origin | None, int]
"""billed, origin, revision; without an origin the amount is a sum of events, and the revision 0."""
Stamps = tuple[Stamp, ...]

_MAX_SHARED: Final = 4096
ANCHOR_STEP: Final = 4
"""The ring's start moves in multiples of this, so that moving it costs little; it depends on the ring's end alone."""


class Ring:
    """start: number of the first bucket. Reading is cheap; each change writes the cells anew."""

    __slots__ = ("cells", "stamps", "start", "whole", "width")

    def __init__(self, start: int) -> None:
        self.start = start
        self.width = 4
        self.cells = b""
        self.stamps: Stamps = ()
        self.whole: dict[int, Bucket] | None = None

    def __len__(self) -> int:
        return len(self.cells) // (self.width + 1)

    @property
    def end(self) -> int:
        """Number of the bucket after the last."""
        return self.start + len(self.cells) // (self.width + 1)

    def is_present(self, index: int) -> bool:
        return self.start <= index < self.end and self._tag(index) >> 2 != _MISSING

    def judgement(self, index: int) -> int:
        """NORMAL, ABNORMAL or ACCEPTED."""
        return self._tag(index) & _JUDGEMENT

    def value(self, index: int) -> int:
        """Nano-units of a present bucket."""
        if self._tag(index) >> 2 == _WHOLE:
            assert self.whole is not None
            return self.whole[index].value
        return self._amount(index)

    def moved(self, index: int) -> int:
        """What re-tagging has brought to a present bucket, in nano-units."""
        return self.whole[index].moved if self.whole and index in self.whole else 0

    def basis(self, index: int) -> Basis:
        """What counts in a present bucket."""
        code = self._tag(index) >> 2
        if code == _WHOLE:
            assert self.whole is not None
            return self.whole[index].effective_basis
        return Basis.BILLED if self.stamps[code - 1][0] else Basis.ESTIMATED

    def get(self, index: int) -> Bucket:
        """A present bucket with its contributions; a change has to be `put` back."""
        code = self._tag(index) >> 2
        if code == _WHOLE:
            assert self.whole is not None
            return self.whole[index]
        billed, origin, revision = self.stamps[code - 1]
        bucket = Bucket(index)
        ledger = bucket.ledger_of(Basis.BILLED if billed else Basis.ESTIMATED)
        if origin is None:
            ledger.total = self._amount(index)
        else:
            ledger.put(origin, revision, self._amount(index))
        return bucket

    def present(self, start: int | None = None) -> Iterator[int]:
        """Numbers of the buckets that have facts, oldest first, from *start* on."""
        size = self.width + 1
        first = self.start if start is None else max(start, self.start)
        tags = self.cells[(first - self.start) * size :: size]
        return (first + place for place, tag in enumerate(tags) if tag >> 2 != _MISSING)

    def tags(self, start: int, until: int) -> bytes:
        """One byte for each of these buckets that lies in the ring; 0 for what is missing, and for nothing else."""
        size = self.width + 1
        return self.cells[max(start - self.start, 0) * size : max(until - self.start, 0) * size : size]

    @property
    def has_gaps(self) -> bool:
        """Whether a bucket within the ring is missing."""
        return 0 in self.cells[:: self.width + 1]

    def extend_to(self, index: int) -> None:
        """Make room for *index*, with missing buckets in between, on either side."""
        size = self.width + 1
        if index >= self.end:
            self.cells += bytes(size * (index - self.end + 1))
        elif index < self.start:
            self.cells = bytes(size * (self.start - index)) + self.cells
            self.start = index

    def put(self, bucket: Bucket, judgement: int = NORMAL) -> None:
        """Write a bucket, in room that is there."""
        index = bucket.index
        stamp = _stamp(bucket)
        code = _WHOLE if stamp is None else self._code(stamp)
        if code == _WHOLE:
            if self.whole is None:
                self.whole = {}
            self.whole[index] = bucket
            amount = 0
        else:
            self._drop_whole(index)
            amount = bucket.value
            width = _width(amount)
            if width > self.width:
                self._widen(width)
        size = self.width + 1
        place = (index - self.start) * size
        cell = bytes((code << 2 | judgement,)) + amount.to_bytes(self.width, "little", signed=True)
        self.cells = self.cells[:place] + cell + self.cells[place + size :]

    def judge(self, judgements: Sequence[int]) -> None:
        """Write the judgements of the last buckets, oldest first."""
        cells = bytearray(self.cells)
        size = self.width + 1
        place = len(cells) - len(judgements) * size
        cells[place::size] = bytes(
            tag & ~_JUDGEMENT | judgement for tag, judgement in zip(cells[place::size], judgements, strict=True)
        )
        self.cells = bytes(cells)

    def drop_until(self, index: int) -> None:
        """Forget the buckets before *index*."""
        count = min(index - self.start, len(self))
        if count > 0:
            for gone in range(self.start, self.start + count):
                self._drop_whole(gone)
            self.cells = self.cells[count * (self.width + 1) :]
            self.start = index if count == index - self.start else self.start + count

    def check(self) -> None:
        """Raises ValueError for a ring, read from outside, that does not hold together."""
        if not 1 <= self.width <= _MAX_WIDTH or len(self.cells) % (self.width + 1):
            raise ValueError(f"a ring of {len(self.cells)} bytes cannot have amounts of {self.width} bytes")
        if len(self.stamps) > _MAX_STAMPS:
            raise ValueError(f"a ring has at most {_MAX_STAMPS} stamps, got {len(self.stamps)}")
        codes = {tag >> 2 for tag in set(self.cells[:: self.width + 1])}  # few, and found at the speed of C
        if any(len(self.stamps) < code < _WHOLE for code in codes):
            raise ValueError(f"a bucket names a stamp beyond the {len(self.stamps)} that the ring has")
        if _WHOLE in codes:
            whole = self.whole or {}
            for index in self.present():
                if self._tag(index) >> 2 == _WHOLE and index not in whole:
                    raise ValueError(f"bucket {index} is missing from the ring")

    def _tag(self, index: int) -> int:
        return self.cells[(index - self.start) * (self.width + 1)]

    def _amount(self, index: int) -> int:
        place = (index - self.start) * (self.width + 1) + 1
        return int.from_bytes(self.cells[place : place + self.width], "little", signed=True)

    def _widen(self, width: int) -> None:
        cells = bytearray()
        old = self.width + 1
        for place in range(0, len(self.cells), old):
            amount = int.from_bytes(self.cells[place + 1 : place + old], "little", signed=True)
            cells.append(self.cells[place])
            cells += amount.to_bytes(width, "little", signed=True)
        self.width, self.cells = width, bytes(cells)

    def _drop_whole(self, index: int) -> None:
        if self.whole is not None:
            self.whole.pop(index, None)
            if not self.whole:
                self.whole = None

    def _code(self, stamp: Stamp) -> int:
        """1 + the number of the stamp; _WHOLE when even after a tidying there is no room for it."""
        try:
            return self.stamps.index(stamp) + 1
        except ValueError:
            pass
        size = len(self.stamps)
        if size == _MAX_STAMPS or (size >= _TIDY_FROM and size & (size - 1) == 0):
            self._tidy()
            if len(self.stamps) == _MAX_STAMPS:
                return _WHOLE
        self.stamps = share_stamps((*self.stamps, stamp))
        return len(self.stamps)

    def _tidy(self) -> None:
        """Take out the stamps that no bucket bears any more."""
        used: dict[int, int] = {}
        cells = bytearray(self.cells)
        for place in range(0, len(cells), self.width + 1):
            code = cells[place] >> 2
            if code not in (_MISSING, _WHOLE):
                cells[place] = used.setdefault(code, len(used) + 1) << 2 | cells[place] & _JUDGEMENT
        self.cells = bytes(cells)
        self.stamps = tuple(self.stamps[code - 1] for code in used)


def share_stamps(stamps: Stamps) -> Stamps:
    """One object for all series that have seen the same deliveries of a source."""
    for _, origin, _ in stamps:
        if origin is not None:
            shared = origin.source.shared_stamps
            if len(shared) >= _MAX_SHARED:
                shared.clear()
            return shared.setdefault(stamps, stamps)
    return stamps


def _width(amount: int) -> int:
    """Bytes that hold it with its sign; at least the 4 that a ring begins with."""
    return max((amount.bit_length() + 8) // 8, 4)


def _stamp(bucket: Bucket) -> Stamp | None:
    """The stamp of a bucket that an amount and a stamp say everything about."""
    if bucket.billed is not None and bucket.estimated is not None:
        return None
    ledger = bucket.effective
    if ledger.gauge is not None or ledger.parts is not None or ledger.others or ledger.moves:
        return None
    if _width(ledger.total) > _MAX_WIDTH:
        return None
    if ledger.origin is None:
        return (bucket.billed is not None, None, 0)
    if ledger.total != ledger.amount:
        return None
    return ledger.origin.stamp(ledger.revision, billed=bucket.billed is not None)
