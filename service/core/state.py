"""All that is kept of one series between two facts."""

from typing import NamedTuple

from connectors.facts import Basis
from detectors.detector import Detector
from service.core.alerts import AlertKind, AlertStatus
from service.core.borrowing import Newcomer
from service.core.buckets import Bucket, Ledger
from service.core.drivers import Change
from service.core.episodes import Episode
from service.core.feedback import NOTHING_GIVEN, EpisodeKey, Given, GivenByEpisode
from service.core.judging import Traced
from service.core.lateness import Lateness
from service.core.policies import Judge
from service.core.ring import Ring
from service.core.sources import FOREVER, Origin, Source

NO_BUCKET = -(2**62)
"""Number of no bucket at all."""


class Reported:
    """What was last said about one episode, so that a replay says the same and a change is seen.

    first: number of its first bucket when it was first told of: with the kind its identity. begins, last: numbers of
    its buckets as of now. judged_at: seconds since 1970. digest: of the alert's content. impact: in nano-units. reach:
    how far the worst bucket had to be off when it was last an episode, nano-units; 0 of alerts of versions before.
    changes: the drivers of bucket `worst` against those of `baseline` normal buckets, kept for when the ring has
    dropped them.
    """

    __slots__ = (
        "baseline",
        "begins",
        "changes",
        "digest",
        "first",
        "impact",
        "judged_at",
        "kind",
        "last",
        "reach",
        "status",
        "version",
        "worst",
    )

    def __init__(self, kind: AlertKind, first: int, judged_at: int) -> None:
        self.kind = kind
        self.first = first
        self.begins = first
        self.last = first
        self.judged_at = judged_at
        self.version = 0
        self.status = AlertStatus.FIRING
        self.digest = b""
        self.impact = 0
        self.reach = 0
        self.worst = first
        self.changes: tuple[Change, ...] = ()
        self.baseline = 0


class Foothold(NamedTuple):
    """Numbers of the detector and the episode as they are before a bucket of the ring; see footholds."""

    bucket: int
    numbers: bytes
    run: Episode | None


class Rare:
    """What only some series have: those that are or were abnormal, count events, or are being judged just now."""

    __slots__ = (
        "anchor_run",
        "awaited",
        "detector",
        "footholds",
        "given",
        "id_log",
        "is_judged_anew",
        "lateness",
        "left",
        "newcomer",
        "reported",
        "run",
        "seen_ids",
        "trace",
        "traced_from",
        "unsettled",
        "waits_for",
    )

    def __init__(self) -> None:
        self.anchor_run: Episode | None = None
        self.awaited: tuple[int, ...] | None = None
        self.detector: Detector | None = None
        self.footholds: tuple[Foothold, ...] | None = None
        self.given: dict[EpisodeKey, Given] | None = None
        self.id_log: bytearray | None = None
        self.is_judged_anew = False
        self.lateness: Lateness | None = None
        self.left: tuple[int, int] | None = None
        self.newcomer: Newcomer | None = None
        self.reported: dict[tuple[int, AlertKind], Reported] | None = None
        self.run: Episode | None = None
        self.seen_ids: set[bytes] | None = None
        self.trace: list[Traced] | None = None
        self.traced_from: int | None = None
        self.unsettled: int | None = None
        self.waits_for: tuple[int, tuple[Source, ...]] | None = None


NOTHING = Rare()
"""Read in place of what a series does not have; never written to."""


class SeriesState:
    """One series of one partition. There may be a million: what only some have stands in `rare`.

    key: its text as bytes. restored_offset: of the snapshot it came from; facts at or below it are in it.
    bucket: the open bucket of the latest fact, if any. others: the other buckets that have not closed.
    index, origin, basis, ledger: number of `bucket`, and what the next fact finds its way by if it is of the same
        origin; index is NO_BUCKET whenever it has to take the careful way.
    ring: the closed ones that may be restated; None before the first has closed.
    anchor: numbers of the detector as of the ring's start; None stands for a cold one.
    head: the same as of the ring's end; None while rare.detector is ahead of it, or for a cold one.
    sources: who contributes, by basis; what makes a bucket complete.
    watched_at: when its sources wake it next, FOREVER when they do not.

    In `rare`: given: what people said, by episode. run, anchor_run: the episode of the ring's end, and of its start.
    reported: by the first bucket and kind of the episode, oldest first. seen_ids, id_log: event ids counted already;
    see event_ids. left: a month as year * 12 + month - 1, and the nano-units that have left the ring of it. trace: the
    ring as a chart draws it from bucket `traced_from` on, kept while an episode goes on; may be made again at any time.
    unsettled: number of the
    first restated bucket that is not folded yet. waits_for: with unfinished business, the offset since when, and the
    sources whose next watermark is awaited. lateness: how late its records are, if some are. awaited: where gaps begin
    that may be filled, since they are no longer than its records may be late. newcomer: of a series that has no past
    of its own; see borrowing.
    """

    __slots__ = (
        "anchor",
        "basis",
        "bucket",
        "dirty",
        "due",
        "head",
        "index",
        "judge",
        "key",
        "ledger",
        "origin",
        "others",
        "rare",
        "restored_offset",
        "ring",
        "sources",
        "watched_at",
    )

    def __init__(self, key: bytes, judge: Judge) -> None:
        self.key = key
        self.judge = judge
        self.restored_offset = -1
        self.index = NO_BUCKET
        self.origin: Origin | None = None
        self.basis: Basis | None = None
        self.ledger: Ledger | None = None
        self.bucket: Bucket | None = None
        self.others: tuple[Bucket, ...] = ()
        self.ring: Ring | None = None
        self.anchor: bytes | None = None
        self.head: bytes | None = None
        self.rare = NOTHING
        self.sources: tuple[tuple[Source, Basis], ...] = ()
        self.watched_at = FOREVER
        self.dirty = False
        self.due = False

    @property
    def text(self) -> str:
        return self.key.decode()

    @property
    def head_index(self) -> int:
        """Number of the latest closed bucket that has facts, or NO_BUCKET."""
        return NO_BUCKET if self.ring is None else self.ring.end - 1

    @property
    def given(self) -> GivenByEpisode:
        """What people said of its episodes."""
        return self.rare.given or NOTHING_GIVEN

    @property
    def run(self) -> Episode | None:
        return self.rare.run

    @run.setter
    def run(self, run: Episode | None) -> None:
        if run is not self.rare.run:
            self.own_rare().run = run

    @property
    def unsettled(self) -> int | None:
        return self.rare.unsettled

    @unsettled.setter
    def unsettled(self, index: int | None) -> None:
        if index != self.rare.unsettled:
            self.own_rare().unsettled = index

    @property
    def trace(self) -> list[Traced] | None:
        return self.rare.trace

    @trace.setter
    def trace(self, trace: list[Traced] | None) -> None:
        if trace is not self.rare.trace:
            self.own_rare().trace = trace
        if trace is None and self.rare.traced_from is not None:
            self.rare.traced_from = None

    def own_rare(self) -> Rare:
        """To be written to."""
        if self.rare is NOTHING:
            self.rare = Rare()
        return self.rare

    def give_back(self) -> None:
        """Let go of `rare` when nothing is in it any more."""
        rare = self.rare
        if rare is not NOTHING and all(_is_nothing(getattr(rare, name)) for name in Rare.__slots__):
            self.rare = NOTHING

    def open_bucket(self, index: int) -> Bucket | None:
        for bucket in self.open_buckets:
            if bucket.index == index:
                return bucket
        return None

    @property
    def open_buckets(self) -> tuple[Bucket, ...]:
        """The buckets that have not closed, oldest first."""
        if self.bucket is None:
            return self.others
        if not self.others:
            return (self.bucket,)
        return tuple(sorted((self.bucket, *self.others), key=_index_of))

    def set_open(self, buckets: tuple[Bucket, ...]) -> None:
        """oldest first."""
        self.index = NO_BUCKET
        self.origin = self.basis = self.ledger = None
        self.bucket = buckets[-1] if buckets else None
        self.others = buckets[:-1]

    def forget(self) -> None:
        """All that facts have told; who told it is kept, since that is bounded."""
        self.set_open(())
        self.ring = None
        self.anchor = self.head = None
        self.rare = NOTHING
        self.watched_at = FOREVER
        self.due = False

    def take_up(self, bucket: Bucket, origin: Origin, basis: Basis) -> None:
        """Make an open or a new bucket the one that the next facts are expected for, and of this origin."""
        if bucket is not self.bucket:
            others = [other for other in self.open_buckets if other is not bucket]
            self.bucket, self.others = bucket, tuple(others)
        self.index = bucket.index
        self.origin, self.basis = origin, basis
        self.ledger = bucket.ledger_of(basis)


def _is_nothing(value: object) -> bool:
    return value is None or value is False


def _index_of(bucket: Bucket) -> int:
    return bucket.index
