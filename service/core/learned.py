"""What a series has taught its detector, as of the end and of the start of its ring, and how one becomes the other.

The start is the anchor: what is restated is folded again from there. As the ring moves on, it is brought forward.
"""

from detectors.detector import Detector, StateError
from service.core.alerts import AlertKind, AlertStatus
from service.core.borrowing import Borrowed
from service.core.episodes import Episode
from service.core.feedback import kept_after
from service.core.footholds import Footholds, at_or_before, places
from service.core.judging import Fold, Traced, fold_ring, learn_again
from service.core.live import LiveDetectors, numbers_of, restored
from service.core.months import keep_month
from service.core.peers import Peers
from service.core.ring import ANCHOR_STEP, Ring
from service.core.state import Foothold, SeriesState
from service.core.stats import EngineStats


class Learned:
    """Hands out detectors, and folds rings with them."""

    __slots__ = ("_footholds", "_live", "_peers", "_stats")

    def __init__(self, *, stats: EngineStats, live: LiveDetectors, peers: Peers) -> None:
        self._stats = stats
        self._live = live
        self._peers = peers
        self._footholds = Footholds()

    def at_end(self, state: SeriesState) -> Detector:
        """As of the ring's end."""
        try:
            return self._live.of(state)
        except StateError:
            detector = self._begin_anew(state)
            if state.ring is not None:
                fold = fold_of(state, detector, None)
                state.ring.judge(fold_ring(fold, state.ring, start=state.ring.start, until=state.ring.end))
                state.run = fold.run
            self._live.put(state, detector)
            return detector

    def at_start(self, state: SeriesState) -> Detector:
        """As of the ring's start; an object of its own."""
        try:
            return restored(state, state.anchor)
        except StateError:
            return self._begin_anew(state)

    def _begin_anew(self, state: SeriesState) -> Detector:
        """The snapshot's numbers belong to another detector or policy: what the ring holds is learned anew."""
        self._stats.cold_starts += 1
        self._footholds.drop(state)
        state.anchor = None
        if state.rare.anchor_run is not None:
            state.rare.anchor_run = None
        return state.judge.make()

    def refold(self, state: SeriesState, ring: Ring, restated: int) -> list[Episode]:
        """Fold from bucket *restated* on, at the least; returns the episodes that ended on the way, all of those that
        end with the bucket before it or later among them."""
        start, fold = self._begin(state, ring, _first_concerned(state, ring, restated))
        judgements: list[int] = []
        footholds: list[Foothold] = []
        place = start
        for until in (*places(state.judge.grain, start, ring.end, restated), ring.end):
            judgements += fold_ring(fold, ring, start=place, until=until)
            place = until
            if until < ring.end:
                footholds.append(Foothold(until, numbers_of(fold.detector), fold.run))
        ring.judge(judgements)
        self._footholds.put(state, start, footholds, end=ring.end)
        self._live.put(state, fold.detector)
        state.run = fold.run
        state.trace = fold.trace
        state.own_rare().traced_from = start
        return fold.ended

    def draw(self, state: SeriesState, since: int) -> None:
        """Make the trace of the ring again, from bucket *since* on at the least."""
        ring = state.ring
        if ring is None:
            state.trace = []
            return
        start, fold = self._begin(state, ring, since)
        fold_ring(fold, ring, start=start, until=ring.end)
        state.trace = fold.trace
        state.own_rare().traced_from = start

    def _begin(self, state: SeriesState, ring: Ring, index: int) -> tuple[int, Fold]:
        """What folds from bucket *index* or before, and where it begins."""
        foothold = at_or_before(state, index)
        if foothold is None or foothold.bucket <= ring.start:
            return ring.start, fold_of(state, self.at_start(state), state.rare.anchor_run, trace=[])
        return foothold.bucket, fold_of(state, restored(state, foothold.numbers), foothold.run, trace=[])

    def advance(self, state: SeriesState, ring: Ring) -> None:
        """A bucket was closed: bring the anchor forward, past the oldest that the ring need not keep."""
        start = (ring.end - state.judge.ring_buckets) // ANCHOR_STEP * ANCHOR_STEP
        if start > ring.start:
            self._advance_to(state, ring, state.judge.shared(start))
        self._footholds.drop_old(state, ring.end)

    def leave_behind(self, state: SeriesState, ring: Ring, index: int) -> None:
        """After a gap longer than the ring all that was known is old: fold it away instead of filling the gap."""
        self._advance_to(state, ring, ring.end)
        ring.start = state.judge.shared(index - state.judge.ring_buckets + 1)

    def _advance_to(self, state: SeriesState, ring: Ring, start: int) -> None:
        keep_month(state, ring, start)
        detector = self.at_start(state)
        run = learn_again(fold_of(state, detector, state.rare.anchor_run), ring, start)
        if run is not state.rare.anchor_run:
            state.own_rare().anchor_run = run
        state.anchor = numbers_of(detector)
        self._peers.forget_newcomer(state, start)
        self._footholds.drop_before(state, start)
        if state.trace is not None:
            state.trace = [traced for traced in state.trace if traced.bucket >= start]
        _forget_reported(state, start)
        if state.rare.given:
            state.rare.given = kept_after(state.rare.given, start)


def _first_concerned(state: SeriesState, ring: Ring, restated: int) -> int:
    """The first bucket of the alerts that end where the ring is folded again, or later, unless it is *restated*."""
    first = restated
    told = [
        known
        for known in (state.rare.reported or {}).values()
        if known.kind is not AlertKind.MISSING and known.status is not AlertStatus.WITHDRAWN
    ]
    while True:
        foothold = at_or_before(state, first)
        start = ring.start if foothold is None else foothold.bucket
        begins = min((known.begins for known in told if known.last + 1 >= start), default=first)
        if begins >= first:
            return first
        first = begins


def fold_of(state: SeriesState, detector: Detector, run: Episode | None, trace: list[Traced] | None = None) -> Fold:
    """What takes the series' buckets, with all that its judgement hangs on."""
    return Fold(state.judge, detector, run, trace=trace, borrowed=borrowed_of(state), given=state.given)


def borrowed_of(state: SeriesState) -> Borrowed | None:
    """What judges a newcomer; None of a series with a past, or without peers."""
    newcomer = state.rare.newcomer
    if newcomer is None or newcomer.prior is None:
        return None
    return Borrowed(state.judge, newcomer, newcomer.prior, state.ring)


def _forget_reported(state: SeriesState, start: int) -> None:
    """What was said of episodes before the ring is final; only what still fires is remembered."""
    rare = state.rare
    if rare.reported:
        rare.reported = {
            key: known
            for key, known in rare.reported.items()
            if known.last >= start or known.status is AlertStatus.FIRING
        } or None
