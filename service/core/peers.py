"""The series of one dimension of one partition, side by side: a sample of them says what is usual, and who is there.

What is asked of peers are their buckets, facts folded like any others, never their detectors. An answer names a span
of buckets, so it is the same whatever the order of the facts, and when a peer's bucket within that span changes, the
series that had the answer are looked at again. A partition holds 1/N of all series, whichever their keys put there:
a fair sample of the peers, so nothing has to be exchanged between partitions.
"""

import heapq
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from service.core.policies import Judge
from service.core.ring import ANCHOR_STEP
from service.core.sources import Source
from service.core.state import NO_BUCKET, SeriesState
from service.core.usual import SPANS, Prior, Window, prior_of, usual_peak, window_before

SAMPLE = 256
"""Peers that are asked: those with the smallest hash of their key, so that nobody's order of arrival matters."""
MOST_MISSING = 0.1
FEWEST_MISSING = 5
"""So many of a sample fall silent at once, and this part of it: then it is their source, and not one of them."""
_MAX_ANSWERS = 256
_RECENT = 14


class Silence(NamedTuple):
    """A gap of buckets, as it is asked about. sources: of the series that has it."""

    sources: frozenset[Source]
    first: int
    until: int


class Group:
    """young: newcomers that borrow from it, and where. silent: series with a gap that may be their own.

    newest: number of the newest closed bucket of the sample.
    """

    __slots__ = ("_latest", "_order", "_priors", "_shared", "_unsure", "newest", "silent", "young")

    def __init__(self) -> None:
        self.newest = NO_BUCKET
        self.young: dict[SeriesState, Window] = {}
        self.silent: dict[SeriesState, None] = {}
        self._latest = NO_BUCKET  # no window of a newcomer ends later
        self._unsure = False  # something was said of gaps whose answers were forgotten
        self._order: list[tuple[int, bytes, SeriesState]] = []
        self._priors: dict[tuple[Window, int], Prior | None] = {}
        self._shared: dict[Silence, bool] = {}

    def join(self, state: SeriesState) -> SeriesState | None:
        """Take it into the sample if its hash is among the smallest; returns whom it has put out, if anybody."""
        rank = -int.from_bytes(blake2b(state.key, digest_size=8).digest(), "big")
        entry = (rank, state.key, state)
        if len(self._order) < SAMPLE:
            heapq.heappush(self._order, entry)
            out = None
        else:
            if entry < self._order[0]:
                return state
            out = heapq.heapreplace(self._order, entry)[2]
        return out

    @property
    def members(self) -> Iterator[SeriesState]:
        """The sample."""
        return (state for _, _, state in self._order)

    def forget(self, state: SeriesState) -> None:
        """It is a newcomer no more."""
        self.young.pop(state, None)
        if not self.young:
            self.young = {}  # gives back what a dictionary of thousands keeps

    def borrows(self, state: SeriesState, window: Window) -> None:
        """A newcomer looks at this window."""
        self.young[state] = window
        self._latest = max(self._latest, window.until)

    def is_silent(self, state: SeriesState) -> None:
        """A restored series has gaps; what was said of them may depend on its peers."""
        self.silent[state] = None
        self._unsure = True

    def prior(self, window: Window, judge: Judge) -> Prior | None:
        """What peers cost in *window*."""
        asked = (window, judge.new_floor or 0)
        if asked not in self._priors:
            if len(self._priors) >= _MAX_ANSWERS:
                self._priors.clear()
            span = SPANS[judge.grain]
            peaks = [usual_peak(member.ring, window, aside=span.aside) for member in self.members]
            known = [peak for peak in peaks if peak is not None]
            self._priors[asked] = prior_of(known, window, floor=asked[1], margin=span.margin)
        return self._priors[asked]

    def is_shared(self, silence: Silence) -> bool:
        """Whether so many peers of the same sources are silent with it that it says nothing about one of them."""
        if len(self._order) < FEWEST_MISSING:
            return False
        if silence not in self._shared:
            if len(self._shared) >= _MAX_ANSWERS:
                self._shared.clear()
                self._unsure = True
            self._shared[silence] = self._count(silence)
        return self._shared[silence]

    def _count(self, silence: Silence) -> bool:
        there = [
            member
            for member in self.members
            if _has_any(member, silence.first - 1, silence.first)
            and not silence.sources.isdisjoint(source for source, _ in member.sources)
        ]
        # Those that take weekends off say nothing of a source on a weekend, unless nearly all do, or have lost days.
        regular = [member for member in there if _is_regular(member, silence.first)]
        asked = regular if 2 * len(regular) >= len(there) else there
        missing = sum(not _has_any(member, silence.first, silence.until) for member in asked)
        return missing >= max(FEWEST_MISSING, MOST_MISSING * len(asked))

    def changed(self, start: int, until: int) -> list[SeriesState]:
        """These buckets of a member have closed or were restated: forget the answers about them.

        Returns who had them.
        """
        self.newest = max(self.newest, until - 1)
        again: list[SeriesState] = []
        if start < self._latest:
            for asked in [asked for asked in self._priors if asked[0].start < until and start < asked[0].until]:
                del self._priors[asked]
            again += (state for state, window in self.young.items() if window.start < until and start < window.until)
        if not self.silent:
            self._shared.clear()
            return again
        shared = [silence for silence in self._shared if silence.first - _RECENT < until and start < silence.until]
        for silence in shared:
            del self._shared[silence]
        if shared or self._unsure:
            self._unsure = False
            again += self.silent
        return again


class Peers:
    """The groups of a partition."""

    __slots__ = ("_affected", "_again", "_groups", "_sampled")

    def __init__(self) -> None:
        self._groups: dict[bytes, Group] = {}
        self._sampled: dict[SeriesState, Group] = {}
        self._again: dict[SeriesState, None] = {}
        self._affected: set[SeriesState] = set()

    def join(self, state: SeriesState) -> None:
        """A series may be asked from now on: it has a past. Newcomers are not, so that a flood of them leaves those
        who know something in the sample. More than once changes nothing."""
        ring = state.ring
        if ring is None or state in self._sampled or not self.has_past(state):
            return
        group = self.group_of(state)
        out = group.join(state)
        if out is state:
            return
        self._sampled[state] = group
        self._look_again(group.changed(ring.start, ring.end))
        if out is not None:
            del self._sampled[out]
            if out.ring is not None:
                self._look_again(group.changed(out.ring.start, out.ring.end))

    def has_past(self, state: SeriesState) -> bool:
        return state.ring is not None and 2 * len(state.ring) >= SPANS[state.judge.grain].window

    def restored(self, state: SeriesState) -> None:
        """A series is back from its snapshot."""
        self.join(state)
        if state.ring is not None and state.ring.has_gaps:
            self.group_of(state).is_silent(state)
        newcomer = state.rare.newcomer
        if newcomer is not None and newcomer.first is not None:
            self.group_of(state).borrows(state, window_before(newcomer.first, state.judge.grain))

    def group_of(self, state: SeriesState) -> Group:
        # The text of a series up to the value of its dimension.
        name = state.key.partition(b"=")[0]
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = Group()
        return group

    def changed(self, state: SeriesState, start: int, until: int) -> None:
        """These buckets have closed or were restated."""
        group = self._sampled.get(state)
        if group is not None:
            self._look_again(group.changed(start, until))
        elif state.rare.newcomer is not None or state.anchor is None:
            self.join(state)

    def borrow(self, state: SeriesState) -> bool:
        """Have a newcomer borrow what its peers say now; whether that is something else than before.

        What lies so far back that it leaves the peers' rings stays as it was borrowed.
        """
        newcomer = state.rare.newcomer
        if newcomer is None or newcomer.first is None:
            return False
        group, judge = self.group_of(state), state.judge
        window = window_before(newcomer.first, judge.grain)
        if group.young.get(state) != window:
            group.borrows(state, window)
        if window.start > group.newest - judge.ring_buckets + ANCHOR_STEP:
            prior = group.prior(window, judge)
        elif newcomer.prior is not None and newcomer.prior.start == window.start:
            return False
        else:
            prior = None
        changed = prior != newcomer.prior
        newcomer.prior = prior
        return changed

    def forget_newcomer(self, state: SeriesState, start: int) -> None:
        """The ring now begins with bucket *start*: a series whose first bucket is gone has a past."""
        newcomer = state.rare.newcomer
        if newcomer is None or newcomer.first is None or newcomer.first >= start:
            return
        if newcomer.prior is None or start - newcomer.first > state.judge.ring_buckets // 2:
            state.own_rare().newcomer = None
            state.give_back()
            self.group_of(state).forget(state)

    def take_again(self) -> list[SeriesState]:
        """The series that have to be looked at again, because of what has changed among their peers; clears."""
        # What waits for a watermark is looked at then.
        again = [state for state in self._again if state.rare.waits_for is None]
        self._again.clear()
        self._affected.update(again)
        return again

    def is_affected(self, state: SeriesState) -> bool:
        """Whether it has not been looked at since its peers have changed; clears."""
        if state not in self._affected:
            return False
        self._affected.remove(state)
        return True

    def _look_again(self, states: Iterable[SeriesState]) -> None:
        self._again.update(dict.fromkeys(states))


def _is_regular(state: SeriesState, until: int) -> bool:
    """Whether hardly any bucket is missing shortly before *until*."""
    ring = state.ring
    return ring is None or ring.tags(until - _RECENT, until).count(0) <= _RECENT // 4


def _has_any(state: SeriesState, start: int, until: int) -> bool:
    """Whether there is a fact about any of these buckets, closed or open."""
    ring = state.ring
    if ring is not None and any(ring.tags(start, until)):
        return True
    return any(start <= bucket.index < until for bucket in state.open_buckets)
