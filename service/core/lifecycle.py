"""What happens to one series: its buckets open, close, are restated and judged, and its episodes are told.

Everything here happens at a record, never at the edge of a batch, so that a replay in other batches says the same.
"""

from collections.abc import Callable

from connectors.series import SeriesKey
from service.core.alerts import Alert
from service.core.borrowing import Newcomer, may_borrow
from service.core.buckets import UNBOUNDED, Bucket
from service.core.drivers import KEPT_BUCKETS, trim_parts
from service.core.judging import Fold
from service.core.learned import Learned, fold_of
from service.core.listening import Listening
from service.core.live import LiveDetectors
from service.core.notes import Note
from service.core.peers import Peers
from service.core.ring import Ring
from service.core.running import RUNNING_BUCKETS, RunningTotals, needs_look
from service.core.sources import FOREVER
from service.core.spend import SpendBook
from service.core.state import NO_BUCKET, SeriesState
from service.core.stats import EngineStats
from service.core.telling import Telling
from service.core.watching import ready_until, watch_next


class Lifecycle:
    """Closes, settles and reports series; the engine decides when.

    emit: takes each alert as it arises. touch: told of each series that changed. note: takes what is worth a line, and
    no alert. peers: what series of one dimension say about each other. spend: takes which buckets cost something else.
    """

    def __init__(
        self,
        *,
        stats: EngineStats,
        live: LiveDetectors,
        peers: Peers,
        emit: Callable[[Alert], None],
        touch: Callable[[SeriesState], None],
        note: Callable[[Note], None],
        driver_buckets: int = KEPT_BUCKETS,
        spend: SpendBook | None = None,
    ) -> None:
        self._stats = stats
        self._spend = spend
        self._peers = peers
        self._touch = touch
        self._driver_buckets = driver_buckets
        self._learned = Learned(stats=stats, live=live, peers=peers)
        self._running = RunningTotals(learned=self._learned, peers=peers)
        self._telling = Telling(stats=stats, learned=self._learned, running=self._running, emit=emit, note=note)
        self._listening = Listening(peers, self._telling)

    def catch_up(self, state: SeriesState) -> None:
        """Fold what was restated, and close what is complete."""
        self.settle(state)
        ready = ready_until(state)
        judge = state.judge
        closed = False
        waiting = state.open_buckets
        while waiting and judge.close_at(waiting[0].index) <= ready:
            bucket, waiting = waiting[0], waiting[1:]
            state.set_open(waiting)
            self._close(state, bucket)
            closed = True
        if closed:
            self._prepare_open(state)
        run = state.run
        if run is not None and not closed and judge.close_at(judge.over_with(run)) <= ready:
            self._telling.report(state, [], judged_at=ready)  # buckets without a fact have ended it
        gaps = self._listening.gaps_of(state, ready)
        if gaps:
            self._listening.hear(state, gaps)
        watch_next(state)
        state.index = NO_BUCKET
        self._touch(state)

    def reconsider(self, state: SeriesState, first: int, at: int) -> None:
        """A person said something of the episode that begins with bucket *first*: fold again with it.

        at: event time, seconds since 1970.
        """
        ring = state.ring
        if ring is not None and ring.start <= first < ring.end:
            state.unsettled = first if state.unsettled is None else min(first, state.unsettled)
        if state.rare.waits_for is None:  # else at the watermark: what is restated is half of a whole now
            self.settle(state)
            self._prepare_open(state)
            self._telling.report(state, [], judged_at=at)
            self._listening.hear(state, self._listening.all_gaps(state), since=NO_BUCKET)
            watch_next(state)
            state.index = NO_BUCKET
        self._touch(state)

    def welcome(self, state: SeriesState, series: SeriesKey) -> None:
        """A series that nothing is known of yet."""
        if self._spend is not None:
            self._spend.watch(state, series)
        if may_borrow(series, state.judge):
            state.own_rare().newcomer = Newcomer()

    def restated(self, state: SeriesState, index: int) -> None:
        """A closed bucket is another than before; what follows from it comes with `settle`."""
        state.unsettled = index if state.unsettled is None else min(index, state.unsettled)
        if self._spend is not None:
            self._spend.changed(state, index)

    def resumed(self, state: SeriesState) -> None:
        """There is a fact again: end what was said of its absence."""
        if self._listening.is_open(state, NO_BUCKET if state.ring is None else state.ring.end):
            self._listening.hear(state, ())

    @property
    def withheld(self) -> int:
        """Series that are missing together with many others of their source."""
        return len(self._listening.withheld)

    def expect(self, state: SeriesState, bucket: Bucket, at: int) -> None:
        """Set the bounds of an open bucket's running total, and look at it if it is beyond them already.

        at: event time, seconds since 1970.
        """
        self._running.prepare(state, bucket)
        if needs_look(bucket):
            self.look(state, bucket, at)

    def look(self, state: SeriesState, bucket: Bucket, at: int) -> None:
        """The running total has left its bounds: say what there is to say, and set the bounds for the next look.

        at: event time, seconds since 1970.
        """
        if state.unsettled is not None or state.rare.newcomer is not None:
            self.settle(state)
        was_fired = bucket.fired
        running = self._running.judged(state, bucket)
        bucket.fired = running is not None
        if was_fired or bucket.fired:
            self._telling.report(state, [], judged_at=at)
        self._running.step_on(state, bucket, running)

    def _prepare_open(self, state: SeriesState) -> None:
        for place, bucket in enumerate(state.open_buckets):
            if place >= RUNNING_BUCKETS and not bucket.fired:
                continue  # spares asking of each
            self.expect(state, bucket, bucket.index * state.judge.grain_seconds)

    def settle(self, state: SeriesState) -> None:
        """Fold the ring again if something in it, or what was borrowed, was restated; correct what was said of it."""
        ring = state.ring
        changed = state.unsettled
        borrowed = state.rare.newcomer is not None and self._peers.borrow(state)
        if ring is None:
            if borrowed:
                self._prepare_open(state)
            return
        if changed is None and not borrowed:
            return
        state.unsettled = None
        since = ring.start if borrowed or changed is None else changed
        ended = self._learned.refold(state, ring, since)
        self._stats.refolds += 1
        if changed is not None:
            self._peers.changed(state, changed, ring.end)
        self._telling.report(state, ended, since=since, judged_at=FOREVER)
        self._listening.hear(state, self._listening.all_gaps(state), since=since)
        if state.rare.is_judged_anew:
            state.own_rare().is_judged_anew = False
            self._stats.judged_anew += 1
        trim_parts(ring, self._driver_buckets)
        self._prepare_open(state)
        watch_next(state)

    def _close(self, state: SeriesState, bucket: Bucket) -> None:
        index = bucket.index
        judge = state.judge
        detector = self._learned.at_end(state)
        ring = state.ring
        if ring is None:
            ring = state.ring = Ring(index)
        fold = fold_of(state, detector, state.run, trace=state.trace)
        following = ring.end
        gap = following if index > following else None
        if index - ring.end >= judge.ring_buckets:
            self._learned.leave_behind(state, ring, index)
        ring.extend_to(index)
        was_ahead = bucket.effective.high == UNBOUNDED and bucket.effective.gauge is None
        bucket.close()
        ring.put(bucket, fold.bucket(index, bucket.value, bucket.effective_basis, bucket.moved))
        for at, moved in fold.retagged:
            self._telling.note_retagged(state, at, moved)
        state.run = fold.run
        self._count(state, fold)
        self._stats.closed += 1
        if self._spend is not None:
            self._spend.changed(state, index)
        self._learned.advance(state, ring)
        self._peers.changed(state, index, index + 1)
        # Had the days before been there, its total would have been judged when it came.
        risen_at = index * judge.grain_seconds if was_ahead else None
        self._telling.report(state, fold.ended, judged_at=judge.close_at(index), risen_at=risen_at)
        if gap is not None or self._listening.is_open(state, following):
            self._listening.hear(state, (ring.end,) if gap is None else (gap, ring.end), since=following)
        trim_parts(ring, self._driver_buckets)

    def _count(self, state: SeriesState, fold: Fold) -> None:
        judged = self._stats.judged
        name = state.judge.detector
        for status, count in fold.counts.items():
            judged[name, status] += count
