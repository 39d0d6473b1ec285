"""What a series has taught its detector, as of the end and of the start of its ring, and how one becomes the other.

The start is the anchor: what is restated is folded again from there. As the ring moves on, it is brought forward.
"""

from detectors.detector import Detector, StateError
from service.core.alerts import AlertStatus
from service.core.borrowing import Borrowed
from service.core.episodes import Episode
from service.core.feedback import kept_after
from service.core.judging import Fold, Traced, fold_ring, learn_again
from service.core.live import LiveDetectors, numbers_of, restored
from service.core.months import keep_month
from service.core.peers import Peers
from service.core.ring import ANCHOR_STEP, Ring
from service.core.state import Near, SeriesState
from service.core.stats import EngineStats

NEAR_BUCKETS = 16
"""After so many buckets without a restatement a series' second anchor is let go."""


class Learned:
    """Hands out detectors, and folds rings with them."""

    __slots__ = ("_live", "_peers", "_stats")

    def __init__(self, *, stats: EngineStats, live: LiveDetectors, peers: Peers) -> None:
        self._stats = stats
        self._live = live
        self._peers = peers

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
        state.anchor = None
        if state.rare.anchor_run is not None:
            state.rare.anchor_run = None
        return state.judge.make()

    def refold(self, state: SeriesState, ring: Ring, restated: int) -> list[Episode]:
        """Fold from bucket *restated* on, at the least; returns the episodes that ended on the way.

        Where alerts were raised the whole ring is folded: each of them shows buckets that came before and after.
        """
        rare = state.rare
        near = rare.near
        if near is not None and near.bucket <= restated and rare.reported is None:
            start, detector = near.bucket, restored(state, near.numbers)
            fold = fold_of(state, detector, near.run)
        else:
            start, detector = ring.start, self.at_start(state)
            fold = fold_of(state, detector, rare.anchor_run, trace=[])
        judgements = fold_ring(fold, ring, start=start, until=restated)
        state.own_rare().near = Near(restated, numbers_of(detector), fold.run)
        judgements += fold_ring(fold, ring, start=restated, until=ring.end)
        ring.judge(judgements)
        self._live.put(state, detector)
        state.run = fold.run
        state.trace = fold.trace
        return fold.ended

    def advance(self, state: SeriesState, ring: Ring) -> None:
        """A bucket was closed: bring the anchor forward, past the oldest that the ring need not keep."""
        start = (ring.end - state.judge.ring_buckets) // ANCHOR_STEP * ANCHOR_STEP
        if start > ring.start:
            self._advance_to(state, ring, state.judge.shared(start))
        newest = ring.end - 1
        if state.rare.near is not None and newest - state.rare.near.bucket > NEAR_BUCKETS:
            state.rare.near = None

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
        if state.trace is not None:
            state.trace = [traced for traced in state.trace if traced.bucket >= start]
        _forget_reported(state, start)
        if state.rare.given:
            state.rare.given = kept_after(state.rare.given, start)
        if state.rare.near is not None and state.rare.near.bucket < start:
            state.rare.near = None


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
