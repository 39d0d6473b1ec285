"""A series without a past of its own is judged by what it borrows from its peers, until it has one.

At first by its peers alone: the money it is on the way to, against what hardly one of them costs. After some buckets
by its own peak, with a margin that narrows as it grows. Both are functions of facts that were folded, never of what
has been said. Falls are not judged: nobody knows yet what is usual.
"""

import math
from statistics import median
from typing import NamedTuple

from connectors.facts import Basis, Fold
from connectors.series import TOTAL, Grain, SeriesKey
from detectors.verdict import Band
from service.core.alerts import AlertKind
from service.core.amounts import to_units
from service.core.episodes import Episode
from service.core.policies import Judge
from service.core.ring import Ring
from service.core.sources import Origin
from service.core.usual import SPANS, Prior
from service.core.wording import is_money

OWN_BUCKETS = {Grain.DAY: 3, Grain.HOUR: 24, Grain.FIVE_MINUTES: 36, Grain.MINUTE: 60}
"""From so many buckets of its own on a series is judged by these."""
_MARGIN = 1.5
_WIDER = 16.0
"""Its own limit lies _MARGIN + _WIDER / n times as high as the highest of n buckets that cost anything, but its peers'
limit is enough where that is twice the highest, or where none has."""
_KNOWN_SECONDS = 9 * 60
"""A series is known for so long before its pace counts; meters report every ten minutes or faster."""
_PACE_SECONDS = 4 * 60
"""The pace of a bucket is taken over no less."""
_ONE_START_SECONDS = 3600
"""A series that begins within so short a time before the end of a bucket goes on beginning in the next."""
_ONE_BUCKET = 0.5
"""A mean of n short buckets counts as if so much of one were empty."""
_RESERVED = "__"
_MAX_PUTS = 8
MOST_INSTANTS = 16
_FEW_STEPS = 0.3
_UNKNOWN_SPREAD = 0.5
"""Of the steps of a running total: what events of an ordinary meter scatter by."""
STARTS = 2
"""The pace is known of a series' first two buckets: it may begin shortly before the end of one."""


class Start:
    """How one of the first buckets began, as meters tell it.

    at, last: first and latest instant among its facts, seconds since 1970. added, puts: what was said at `at`, which
    may have been spent long before it. instants: the earliest MOST_INSTANTS. events, total, squares: of the amounts of
    events. Bills do not count: they state the whole bucket under its start.
    """

    __slots__ = ("added", "at", "events", "instants", "last", "puts", "squares", "total")

    def __init__(self, at: int) -> None:
        self.at = at
        self.last = at
        self.added = 0
        self.puts: dict[str, tuple[int, int]] = {}
        self.instants: tuple[int, ...] = ()
        self.events = 0
        self.total = 0
        self.squares = 0

    def note(self, at: int, nano: int, fold: Fold, origin: Origin, revision: int) -> None:
        if at < self.at:
            self.at, self.added, self.puts = at, 0, {}
        self.last = max(self.last, at)
        if at not in self.instants and (len(self.instants) < MOST_INSTANTS or at < self.instants[-1]):
            self.instants = tuple(sorted((*self.instants, at)))[:MOST_INSTANTS]
        if fold is Fold.ADD:
            self.events += 1
            self.total += nano
            self.squares += nano * nano
        if at > self.at:
            return
        if fold is Fold.ADD:
            self.added += nano
        elif origin.name in self.puts or len(self.puts) < _MAX_PUTS:
            self.puts[origin.name] = max(self.puts.get(origin.name, (revision, nano)), (revision, nano))

    @property
    def before(self) -> int:
        return self.added + sum(nano for _, nano in self.puts.values())

    @property
    def doubt(self) -> float:
        """How much higher the pace may seem than it is, as a part of it: much, after few and unequal steps."""
        steps = len(self.instants) - 1
        if steps < 1:
            return math.inf
        spread = _UNKNOWN_SPREAD
        if self.events and self.total > 0 and not self.puts:
            mean = self.total / self.events
            spread = math.sqrt(max(self.squares / self.events - mean * mean, 0.0)) / mean
            if steps == 1:
                spread = max(spread, _UNKNOWN_SPREAD)
        # Widened for few steps, as Student's t is against the normal.
        return 3.0 * (1.0 + 6.0 / (steps * steps)) * spread / math.sqrt(steps) + _FEW_STEPS / steps

    def pace(self, moved: int, grain_seconds: int) -> int:
        """Nano-units a bucket, when *moved* were spent since `at`; what is in doubt is left out."""
        lasted = self.last - self.at
        return int(moved * grain_seconds / lasted / (1.0 + self.doubt)) if lasted >= _PACE_SECONDS else 0

    def joined(self, other: "Start") -> "Start":
        """With the start of the bucket after it; what running totals say of both cannot be joined."""
        both = Start(self.at)
        both.last, both.added = other.last, self.added
        both.instants = tuple(sorted({*self.instants, *other.instants}))[:MOST_INSTANTS]
        both.events, both.total = self.events + other.events, self.total + other.total
        both.squares = self.squares + other.squares
        return both


class Newcomer:
    """What is remembered of a series as long as its first bucket may be restated.

    first: number of that bucket; None before there is one. starts: of the first STARTS buckets, where meters report
    them. prior: what was borrowed last; it bears its version.
    """

    __slots__ = ("first", "prior", "starts")

    def __init__(self) -> None:
        self.first: int | None = None
        self.prior: Prior | None = None
        self.starts: dict[int, Start] | None = None

    def note(self, index: int, at: int, nano: int, fold: Fold, basis: Basis, origin: Origin, revision: int) -> None:
        """A fact about bucket *index*, whether or not it says something new. Order does not matter."""
        if self.first is None or index < self.first:
            self.first = index
            self._forget_later_starts()
        if not self.is_starting(index) or fold is Fold.GAUGE or (basis is Basis.BILLED and fold is not Fold.ADD):
            return
        if self.starts is None:
            self.starts = {}
        start = self.starts.get(index)
        if start is None:
            start = self.starts[index] = Start(at)
        start.note(at, nano, fold, origin, revision)

    def is_starting(self, index: int) -> bool:
        return self.first is None or index < self.first + STARTS

    def pace(self, index: int, total: int, grain_seconds: int) -> int:
        """What bucket *index*, of which *total* was spent, is beyond doubt on the way to cost, in nano-units."""
        starts = self.starts
        if starts is None or index not in starts:
            return total
        start, first = starts[index], starts.get(self.first or 0)
        paces = [total]
        if first is None or start.last - first.at >= _KNOWN_SECONDS:
            paces.append(start.pace(total - start.before, grain_seconds))
            if first is not None and first is not start and start.last - first.at <= _ONE_START_SECONDS:
                both = first.joined(start)
                paces.append(both.pace(both.total - both.before, grain_seconds))
        return max(paces)

    @property
    def began_at(self) -> int | None:
        """The first instant a meter reported, seconds since 1970."""
        return min((start.at for start in self.starts.values()), default=None) if self.starts else None

    def _forget_later_starts(self) -> None:
        if self.starts is not None:
            self.starts = {index: start for index, start in self.starts.items() if self.is_starting(index)} or None


class Opinion(NamedTuple):
    """Of an abnormal bucket."""

    kind: AlertKind
    band: Band
    score: float


class Borrowed:
    """Judges the buckets of a newcomer that its detector has no opinion of yet."""

    __slots__ = ("_judge", "_newcomer", "_prior", "_ring")

    def __init__(self, judge: Judge, newcomer: Newcomer, prior: Prior, ring: Ring | None) -> None:
        self._judge = judge
        self._newcomer = newcomer
        self._prior = prior
        self._ring = ring

    def opinion(self, index: int, total: int, run: Episode | None) -> Opinion | None:
        """None of what is normal. run: the episode that the bucket may belong to: what it holds is no past."""
        own = self._own(index, run)
        if own:
            limit, expected = self._own_limit(own), round(median(own))
            if total <= limit or total - expected < self._judge.floor:
                return None
            # The scale of a score: a half on the bound.
            band = Band(expected=to_units(expected), lower=to_units(min(expected, 0)), upper=to_units(limit))
            return Opinion(AlertKind.SPIKE, band, total / (total + limit))
        level = self._level(index, total)
        if level <= self._prior.limit or total < self._evidence:
            return None
        # Of a tag that nobody knew nothing was expected. What a peer at the limit would have cost by now is the bound.
        band = Band(expected=0.0, lower=0.0, upper=to_units(self._prior.limit * total // level))
        return Opinion(AlertKind.NEW_SPEND, band, level / (level + self._prior.limit))

    def highest_quiet(self, index: int, run: Episode | None) -> int:
        """Up to this running total, in nano-units, `opinion` has none."""
        own = self._own(index, run)
        if own:
            return self._own_limit(own)
        evidence = self._evidence - 1
        if self._newcomer.is_starting(index):
            return evidence
        recent = self._recent(index)
        return max(round(self._prior.limit * (len(recent) + 1 + self._doubt)) - sum(recent), evidence)

    def came_along(self, index: int) -> int:
        """The most that re-tagging has brought to a bucket before *index*, in nano-units."""
        ring = self._ring
        if ring is None or ring.whole is None:
            return 0
        return max((bucket.moved for known, bucket in ring.whole.items() if known < index), default=0)

    def _level(self, index: int, total: int) -> int:
        """What a bucket costs: the mean with those before it, as far as single ones scatter; or its pace, if higher."""
        recent = self._recent(index)
        level = round((total + sum(recent)) / (len(recent) + 1 + self._doubt))
        if not self._newcomer.is_starting(index):
            return level
        pace = self._newcomer.pace(index, total, self._judge.grain_seconds)
        return max(level, pace) if pace > total else level

    def _recent(self, index: int) -> list[int]:
        ring = self._ring
        if ring is None:
            return []
        after = index - SPANS[self._judge.grain].smooth
        return [ring.value(known) for known in ring.present(after + 1) if known < index]

    @property
    def _doubt(self) -> float:
        return 0.0 if SPANS[self._judge.grain].smooth == 1 else _ONE_BUCKET

    @property
    def _evidence(self) -> int:
        return max(self._judge.floor, self._judge.new_evidence, 1)

    def _own(self, index: int, run: Episode | None) -> list[int]:
        """The buckets before *index*; none when they are too few."""
        ring, judge = self._ring, self._judge
        if ring is None:
            return []
        held = range(run.first, index) if run is not None and run.can_join(index, judge.keep_firing_for) else range(0)
        own = [ring.value(known) for known in ring.present() if known < index and known not in held]
        return own if len(own) >= OWN_BUCKETS[judge.grain] else []

    def _own_limit(self, own: list[int]) -> int:
        active = [value for value in own if value > 0]
        if not active:
            return self._prior.limit
        peak = max(active)
        return min(round(peak * (_MARGIN + _WIDER / len(active))), max(self._prior.limit, 2 * peak))


def may_borrow(series: SeriesKey, judge: Judge) -> bool:
    """Whether what this series costs can be new spend: money of one value of a dimension."""
    return (
        judge.new_floor is not None
        and is_money(series.unit)
        and series.dimension != TOTAL
        and not series.value.startswith(_RESERVED)
    )
