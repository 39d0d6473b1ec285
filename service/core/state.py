"""All that is kept of one series between two facts."""

from array import array

from connectors.facts import Basis
from detectors.detector import Detector
from service.core.alerts import AlertKind, AlertStatus
from service.core.buckets import Bucket
from service.core.drivers import Change
from service.core.episodes import Episode
from service.core.judging import Traced
from service.core.policies import Judge
from service.core.ring import Ring
from service.core.sources import FOREVER, Source

NO_BUCKET = -(2**62)
"""Number of no bucket at all."""


class Reported:
    """What was last said about one episode, so that a replay says the same and a change is seen.

    first, last: numbers of the episode's buckets. judged_at: seconds since 1970. digest: of the alert's content.
    impact: in nano-units. changes: the drivers of bucket `worst` against those of `baseline` normal buckets, kept for
    when the ring has dropped them.
    """

    __slots__ = (
        "baseline",
        "changes",
        "digest",
        "first",
        "impact",
        "judged_at",
        "kind",
        "last",
        "status",
        "version",
        "worst",
    )

    def __init__(self, kind: AlertKind, first: int, judged_at: int) -> None:
        self.kind = kind
        self.first = first
        self.last = first
        self.judged_at = judged_at
        self.version = 0
        self.status = AlertStatus.FIRING
        self.digest = b""
        self.impact = 0
        self.worst = first
        self.changes: tuple[Change, ...] = ()
        self.baseline = 0


class SeriesState:
    """One series of one partition.

    last_offset: of the last fact that was folded; those at or below it are skipped.
    index, bucket: the open bucket of the latest fact; index is NO_BUCKET whenever the next fact has to take the
        careful way.
    open: the buckets that have not closed, oldest first.
    ring: the closed ones that may be restated; None before the first has closed.
    anchor, anchor_run: detector and episode as of the ring's start. None stands for a cold detector.
    head, run: the same as of the ring's end; head is None while `detector` holds it, or when it is cold.
    sources: who contributes, by basis; what makes a bucket complete.
    unsettled: number of the first restated bucket that is not folded yet, or NO_BUCKET.
    reported: by the first bucket and kind of the episode, oldest first.
    seen_ids, id_log: event ids counted already; see event_ids.
    month, month_base: a month as year * 12 + month - 1, and what left the ring of it, in nano-units.
    watched_at: when its sources wake it next, FOREVER when they do not.
    trace: the ring as a chart draws it, kept while an episode goes on; may be made again at any time.
    """

    __slots__ = (
        "anchor",
        "anchor_run",
        "bucket",
        "detector",
        "dirty",
        "due",
        "head",
        "id_log",
        "index",
        "judge",
        "key",
        "last_offset",
        "month",
        "month_base",
        "open",
        "reported",
        "ring",
        "run",
        "seen_ids",
        "sources",
        "text",
        "trace",
        "unsettled",
        "watched_at",
    )

    def __init__(self, key: bytes, text: str, judge: Judge) -> None:
        self.key = key
        self.text = text
        self.judge = judge
        self.last_offset = -1
        self.index = NO_BUCKET
        self.bucket: Bucket | None = None
        self.open: list[Bucket] = []
        self.ring: Ring | None = None
        self.anchor: array[float] | None = None
        self.anchor_run: Episode | None = None
        self.head: array[float] | None = None
        self.detector: Detector | None = None
        self.run: Episode | None = None
        self.sources: tuple[tuple[Source, Basis], ...] = ()
        self.unsettled = NO_BUCKET
        self.reported: dict[tuple[int, AlertKind], Reported] | None = None
        self.seen_ids: set[bytes] | None = None
        self.id_log: bytearray | None = None
        self.month = 0
        self.month_base = 0
        self.trace: list[Traced] | None = None
        self.watched_at = FOREVER
        self.dirty = False
        self.due = False

    @property
    def head_index(self) -> int:
        """Number of the latest closed bucket that has facts, or NO_BUCKET."""
        return NO_BUCKET if self.ring is None else self.ring.end - 1

    def open_bucket(self, index: int) -> Bucket | None:
        for bucket in self.open:
            if bucket.index == index:
                return bucket
        return None
