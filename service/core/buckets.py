"""What is known of one bucket: who contributed how much, by basis, in whole nano-units.

The rules that make order not matter:

- `set`: per origin the largest (revision, amount) stands. An equal revision is a repetition; should it differ all the
  same, the larger amount stands whichever came first.
- `add`: amounts add up; repeated events were taken out before (see event_ids).
- `gauge`: the bucket's level is the mean of its samples.
- Different origins add up, and so do `set`, `add` and the mean of `gauge`.
- The bill wins over the estimate as soon as there is one.
"""

from typing import NamedTuple

from connectors.facts import Basis
from service.core.amounts import MAX_NANO, mean
from service.core.sources import Origin

Labels = tuple[tuple[str, str], ...]
"""Labels of a driver in order of their names; interned by the engine."""


class Part(NamedTuple):
    """What is known of one driver of a bucket, in nano-units. quantity: None where it is not told, or of several units.

    moved: what came from another value of the same tag with this bucket; moved_with: that value.
    """

    cost: int
    quantity: int | None = None
    unit: str | None = None
    moved: int = 0
    moved_with: str | None = None

    def plus(self, other: "Part") -> "Part":
        same = self.unit == other.unit and self.quantity is not None and other.quantity is not None
        return Part(
            self.cost + other.cost,
            (self.quantity or 0) + (other.quantity or 0) if same else None,
            self.unit if same else None,
            self.moved + other.moved,
            self.moved_with or other.moved_with,
        )


Parts = dict[Labels, Part]

UNBOUNDED = 4 * MAX_NANO
"""No total reaches this: sums of more than four of the largest amounts are cut where they are compared."""


class Gauge:
    """Mean, smallest, largest, last and number of the samples of a bucket."""

    __slots__ = ("count", "high", "last", "last_key", "low", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.low = 0
        self.high = 0
        self.last = 0
        self.last_key: tuple[int, str, int] = (0, "", 0)

    def add(self, nano: int, micros: int, event_id: str) -> None:
        """The last sample is the one of the latest time, then of the larger id, then the larger one."""
        key = (micros, event_id, nano)
        if not self.count:
            self.low = self.high = self.last = nano
            self.last_key = key
        else:
            self.low = min(self.low, nano)
            self.high = max(self.high, nano)
            if key > self.last_key:
                self.last, self.last_key = nano, key
        self.count += 1
        self.total += nano

    @property
    def mean(self) -> int:
        return mean(self.total, self.count)


class _More:
    """What only some ledgers have: other origins, drivers by origin (None: of events), samples, what re-tagging moved
    by origin."""

    __slots__ = ("gauge", "moved", "others", "parts")

    def __init__(self) -> None:
        self.gauge: Gauge | None = None
        self.moved: dict[Origin | None, int] | None = None
        self.others: dict[Origin, tuple[int, int]] | None = None
        self.parts: dict[Origin | None, Parts] | None = None


class Ledger:
    """The contributions of one basis to one bucket.

    total: sum of what was `set` and added. origin, revision, amount: the first origin that set something; most buckets
    have one, so the others are kept apart. low, high: between these the running total needs no look; see judging.
    """

    __slots__ = ("amount", "high", "low", "more", "origin", "revision", "total")

    def __init__(self) -> None:
        self.total = 0
        self.origin: Origin | None = None
        self.revision = 0
        self.amount = 0
        self.more: _More | None = None
        self.low = -UNBOUNDED
        self.high = UNBOUNDED

    @property
    def gauge(self) -> Gauge | None:
        return None if self.more is None else self.more.gauge

    @gauge.setter
    def gauge(self, gauge: Gauge) -> None:
        self._own_more().gauge = gauge

    @property
    def others(self) -> dict[Origin, tuple[int, int]] | None:
        return None if self.more is None else self.more.others

    @property
    def parts(self) -> dict[Origin | None, Parts] | None:
        return None if self.more is None else self.more.parts

    @parts.setter
    def parts(self, parts: dict[Origin | None, Parts] | None) -> None:
        if parts is not self.parts:
            self._own_more().parts = parts

    def _own_more(self) -> _More:
        if self.more is None:
            self.more = _More()
        return self.more

    def put(self, origin: Origin, revision: int, nano: int) -> bool:
        """`set`; False when it says nothing new."""
        if origin is self.origin or origin == self.origin:
            known = self.revision
            if revision < known or (revision == known and nano <= self.amount):
                return False
            self.total += nano - self.amount
            self.revision, self.amount = revision, nano
            return True
        if self.origin is None:
            self.origin, self.revision, self.amount = origin, origin.shared_revision(revision), nano
            self.total = self.total + nano if self.total else nano  # one object for both, where they are equal
            return True
        others = self.others
        if others is None:
            others = self._own_more().others = {}
        before = others.get(origin)
        if before is not None:
            if (revision, nano) <= before:
                return False
            self.total -= before[1]
        others[origin] = (revision, nano)
        self.total += nano
        return True

    def add(self, nano: int) -> None:
        self.total += nano

    def sample(self, nano: int, micros: int, event_id: str) -> None:
        gauge = self.gauge
        if gauge is None:
            gauge = self.gauge = Gauge()
        gauge.add(nano, micros, event_id)

    @property
    def value(self) -> int:
        gauge = self.gauge
        return self.total if gauge is None else self.total + gauge.mean

    def contributions(self) -> list[tuple[str, int, int]]:
        """(origin, revision, amount) of all that was set, in order of the origins' names."""
        found = [] if self.origin is None else [(self.origin.name, self.revision, self.amount)]
        if self.others:
            found += [(origin.name, revision, nano) for origin, (revision, nano) in self.others.items()]
        found.sort()
        return found

    @property
    def moved(self) -> int:
        """What re-tagging has brought, in nano-units; negative where more has left."""
        return 0 if self.more is None or self.more.moved is None else sum(self.more.moved.values())

    @property
    def moves(self) -> dict[Origin | None, int] | None:
        return None if self.more is None else self.more.moved

    def put_moved(self, origin: Origin | None, nano: int) -> None:
        """What *origin* says was moved; replaces what it said before."""
        if nano:
            more = self._own_more()
            more.moved = {**(more.moved or {}), origin: nano}
        elif self.more is not None and self.more.moved is not None:
            self.more.moved.pop(origin, None)
            self.more.moved = self.more.moved or None

    def put_parts(self, origin: Origin, parts: Parts) -> None:
        """The drivers of what *origin* has set; replaces its earlier ones."""
        known = self.parts
        if known is None:
            known = self.parts = {}
        known[origin] = parts

    def add_parts(self, parts: Parts) -> None:
        """The drivers of an event."""
        by_origin = self.parts
        if by_origin is None:
            by_origin = self.parts = {}
        known = by_origin.setdefault(None, {})
        for labels, part in parts.items():
            known[labels] = known[labels].plus(part) if labels in known else part


class Bucket:
    """One charge period of a series, with all its contributions.

    fired: its running total is an abnormal bucket of a reported episode.
    """

    __slots__ = ("billed", "estimated", "fired", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.billed: Ledger | None = None
        self.estimated: Ledger | None = None
        self.fired = False

    def close(self) -> None:
        """Forget what only an open bucket needs."""
        self.fired = False
        for ledger in (self.billed, self.estimated):
            if ledger is not None:
                ledger.low, ledger.high = -UNBOUNDED, UNBOUNDED

    def ledger_of(self, basis: Basis) -> Ledger:
        if basis is Basis.BILLED:
            if self.billed is None:
                self.billed = Ledger()
            return self.billed
        if self.estimated is None:
            self.estimated = Ledger()
        return self.estimated

    @property
    def effective(self) -> Ledger:
        """The ledger that counts. A bucket has at least one."""
        ledger = self.billed if self.billed is not None else self.estimated
        assert ledger is not None
        return ledger

    @property
    def effective_basis(self) -> Basis:
        return Basis.BILLED if self.billed is not None else Basis.ESTIMATED

    @property
    def value(self) -> int:
        return self.effective.value

    @property
    def moved(self) -> int:
        """What re-tagging has brought, in nano-units."""
        return self.effective.moved

    @property
    def parts(self) -> Parts | None:
        """Drivers that count, of all origins together; None when no fact carried any."""
        kept = self.effective.parts
        if kept is None:
            return None
        if len(kept) == 1:
            return next(iter(kept.values()))
        total: Parts = {}
        for parts in kept.values():
            for labels, part in parts.items():
                total[labels] = total[labels].plus(part) if labels in total else part
        return total

    @property
    def has_parts(self) -> bool:
        return any(ledger is not None and ledger.parts is not None for ledger in (self.billed, self.estimated))

    def forget_parts(self) -> None:
        for ledger in (self.billed, self.estimated):
            if ledger is not None:
                ledger.parts = None
