"""What happens to one series: its buckets open, close, are restated and judged, and its episodes are told.

Everything here happens at a record, never at the edge of a batch, so that a replay in other batches says the same.
"""

from collections.abc import Callable, Sequence

from connectors.series import SeriesKey
from detectors.detector import Detector, StateError
from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.amounts import to_units
from service.core.borrowing import Borrowed, Newcomer, may_borrow
from service.core.buckets import UNBOUNDED, Bucket
from service.core.drivers import KEPT_BUCKETS
from service.core.episodes import Episode, Judged, begin
from service.core.feedback import is_false_alarm, is_settled, kept_after
from service.core.instants import to_datetime
from service.core.judging import (
    Fold,
    Traced,
    fold_ring,
    highest_quiet,
    is_only_moved,
    is_told,
    kind_of,
    learn_again,
    opinion_of,
    told_from,
)
from service.core.listening import Listening, is_final
from service.core.live import LiveDetectors, numbers_of, restored
from service.core.months import keep_month
from service.core.notes import Note
from service.core.peers import Peers
from service.core.reporting import say, withdraw
from service.core.ring import ANCHOR_STEP, Ring
from service.core.sources import FOREVER
from service.core.state import NO_BUCKET, Near, SeriesState
from service.core.stats import EngineStats
from service.core.watching import ready_until, watch_next

NEAR_BUCKETS = 16
"""After so many buckets without a restatement a series' second anchor is let go."""
RUNNING_BUCKETS = 3
"""Running totals are judged of so many of a series' oldest open buckets: of a later one, what is expected hangs on
buckets that are not known yet. A delivery of many days at once is judged day by day so, when its watermark comes."""
_TENTH = 10


class Lifecycle:
    """Closes, settles and reports series; the engine decides when.

    emit: takes each alert as it arises. touch: told of each series that changed. note: takes what is worth a line, and
    no alert. peers: what series of one dimension say about each other.
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
    ) -> None:
        self._stats = stats
        self._live = live
        self._peers = peers
        self._listening = Listening(peers)
        self._emit = emit
        self._touch = touch
        self._emit_note = note
        self._driver_buckets = driver_buckets

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
        if run is not None and not closed and judge.close_at(run.last + 1) <= ready:
            self._report(state, [], complete=False, judged_at=ready)  # a bucket without a fact has ended it
        gaps = self._listening.gaps_of(state, ready)
        if gaps:
            self._hear(state, gaps)
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
            self._report(state, [], complete=False, judged_at=at)
            self._hear(state, self._listening.all_gaps(state))
            watch_next(state)
            state.index = NO_BUCKET
        self._touch(state)

    def welcome(self, state: SeriesState, series: SeriesKey) -> None:
        """A series that nothing is known of yet."""
        if may_borrow(series, state.judge):
            state.own_rare().newcomer = Newcomer()

    def resumed(self, state: SeriesState) -> None:
        """There is a fact again: end what was said of its absence."""
        if self._listening.is_told(state):
            self._hear(state, ())

    @property
    def withheld(self) -> int:
        """Series that are missing together with many others of their source."""
        return len(self._listening.withheld)

    # -- closing ------------------------------------------------------------------------------------------------

    def _close(self, state: SeriesState, bucket: Bucket) -> None:
        index = bucket.index
        judge = state.judge
        detector = self._detector(state)
        ring = state.ring
        if ring is None:
            ring = state.ring = Ring(index)
        fold = Fold(judge, detector, state.run, trace=state.trace, borrowed=self._borrowed(state), given=state.given)
        gap = ring.end if index > ring.end else None
        if gap is not None:
            fold.missing()
        if index - ring.end >= judge.ring_buckets:
            self._leave_behind(state, ring, index)
        ring.extend_to(index)
        was_ahead = bucket.effective.high == UNBOUNDED and bucket.effective.gauge is None
        bucket.close()
        ring.put(bucket, fold.bucket(index, bucket.value, bucket.effective_basis, bucket.moved))
        for at, moved in fold.retagged:
            self._note(state, at, moved)
        state.run = fold.run
        self._count(state, fold)
        self._stats.closed += 1
        self._advance_anchor(state, ring)
        if state.rare.near is not None and index - state.rare.near.bucket > NEAR_BUCKETS:
            state.rare.near = None
        self._peers.changed(state, index, index + 1)
        # Had the days before been there, its total would have been judged when it came.
        risen_at = index * judge.grain_seconds if was_ahead else None
        self._report(state, fold.ended, complete=False, judged_at=judge.close_at(index), risen_at=risen_at)
        if gap is not None or self._listening.is_told(state):
            self._hear(state, () if gap is None else (gap,))
        _trim_parts(ring, self._driver_buckets)

    def _leave_behind(self, state: SeriesState, ring: Ring, index: int) -> None:
        """After a gap longer than the ring all that was known is old: fold it away instead of filling the gap."""
        self._move_anchor(state, ring, ring.end)
        ring.start = state.judge.shared(index - state.judge.ring_buckets + 1)

    def _advance_anchor(self, state: SeriesState, ring: Ring) -> None:
        start = (ring.end - state.judge.ring_buckets) // ANCHOR_STEP * ANCHOR_STEP
        if start > ring.start:
            self._move_anchor(state, ring, state.judge.shared(start))

    def _move_anchor(self, state: SeriesState, ring: Ring, start: int) -> None:
        keep_month(state, ring, start)
        detector = self._anchor_detector(state)
        borrowed = self._borrowed(state)
        run = learn_again(
            state.judge, detector, state.rare.anchor_run, ring, start, borrowed=borrowed, given=state.given
        )
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

    # -- restating ----------------------------------------------------------------------------------------------

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
        ended = self._refold(state, ring, ring.start if borrowed or changed is None else changed)
        self._stats.refolds += 1
        if changed is not None:
            self._peers.changed(state, changed, ring.end)
        self._report(state, ended, complete=True, judged_at=FOREVER)
        self._hear(state, self._listening.all_gaps(state))
        _trim_parts(ring, self._driver_buckets)
        self._prepare_open(state)
        watch_next(state)

    def _refold(self, state: SeriesState, ring: Ring, restated: int) -> list[Episode]:
        """Fold from bucket *restated* on, at the least; returns the episodes that ended on the way.

        Where alerts were raised the whole ring is folded: each of them shows buckets that came before and after.
        """
        rare = state.rare
        near = rare.near
        if near is not None and near.bucket <= restated and rare.reported is None:
            start, detector = near.bucket, restored(state, near.numbers)
            fold = Fold(state.judge, detector, near.run, borrowed=self._borrowed(state), given=state.given)
        else:
            start, detector = ring.start, self._anchor_detector(state)
            fold = Fold(
                state.judge,
                detector,
                rare.anchor_run,
                trace=[],
                borrowed=self._borrowed(state),
                given=state.given,
            )
        judgements = fold_ring(fold, ring, start=start, until=restated)
        state.own_rare().near = Near(restated, numbers_of(detector), fold.run)
        judgements += fold_ring(fold, ring, start=restated, until=ring.end)
        ring.judge(judgements)
        self._live.put(state, detector)
        state.run = fold.run
        state.trace = fold.trace
        return fold.ended

    def _anchor_detector(self, state: SeriesState) -> Detector:
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

    def _detector(self, state: SeriesState) -> Detector:
        """As of the ring's end."""
        try:
            return self._live.of(state)
        except StateError:
            detector = self._begin_anew(state)
            if state.ring is not None:
                fold = Fold(state.judge, detector, None, borrowed=self._borrowed(state), given=state.given)
                state.ring.judge(fold_ring(fold, state.ring, start=state.ring.start, until=state.ring.end))
                state.run = fold.run
            self._live.put(state, detector)
            return detector

    # -- running totals -----------------------------------------------------------------------------------------

    def prepare(self, state: SeriesState, bucket: Bucket) -> None:
        """Set the bounds between which the running total of an open bucket needs no look."""
        for ledger in (bucket.billed, bucket.estimated):
            if ledger is not None:
                ledger.low, ledger.high = -UNBOUNDED, UNBOUNDED
        if state.ring is None:
            self._peers.borrow(state)  # from the first fact on; later, when its ring is settled
        borrowed = self._borrowed(state)
        if state.ring is None and borrowed is None:
            return  # nothing was learned yet
        if state.others and not bucket.fired and _must_wait(state, bucket):
            return
        ledger = bucket.effective
        if ledger.gauge is not None:
            return  # a mean may still fall: gauges are judged when the bucket closes
        at = bucket.index * state.judge.grain_seconds
        band = self._detector(state).band_at(at)
        high = highest_quiet(state.judge, band, index=bucket.index, given=state.given)
        if high is None and borrowed is not None:
            high = borrowed.highest_quiet(bucket.index, state.run)
        if high is not None:
            ledger.high = high
        if bucket.fired:
            ledger.low = ledger.total + 1  # a look is due whatever it is now

    def needs_look(self, bucket: Bucket) -> bool:
        ledger = bucket.effective
        return not ledger.low <= ledger.total <= ledger.high

    def look(self, state: SeriesState, bucket: Bucket, at: int) -> None:
        """The running total has left its bounds: say what there is to say, and set the bounds for the next look.

        at: event time, seconds since 1970.
        """
        if state.unsettled is not None or state.rare.newcomer is not None:
            self.settle(state)
        was_fired = bucket.fired
        running = self._running(state, bucket)
        bucket.fired = running is not None
        if was_fired or bucket.fired:
            self._report(state, [], complete=False, judged_at=at)
        ledger = bucket.effective
        self.prepare(state, bucket)
        if running is None:
            ledger.high = max(ledger.high, ledger.total)
            return
        quiet = ledger.high
        step = max(abs(running[1].deviation) // _TENTH, 1)
        ledger.low = max(ledger.total - step, quiet)
        ledger.high = ledger.total + step

    def _prepare_open(self, state: SeriesState) -> None:
        for place, bucket in enumerate(state.open_buckets):
            if place >= RUNNING_BUCKETS and not bucket.fired:
                continue  # spares asking of each
            self.prepare(state, bucket)
            if self.needs_look(bucket):
                self.look(state, bucket, bucket.index * state.judge.grain_seconds)

    def _running(self, state: SeriesState, bucket: Bucket) -> tuple[AlertKind, Judged] | None:
        """An open bucket as far as it has come, if that is too much already. A fall is seen only when it closes."""
        if bucket.effective.gauge is not None:
            return None
        judge, index = state.judge, bucket.index
        value, basis = bucket.value, bucket.effective_basis
        verdict = self._detector(state).score_one(to_units(value), index * judge.grain_seconds)
        if verdict.band is None:
            return self._running_newcomer(state, bucket)
        kind = kind_of(judge, verdict.status, value, verdict.band, index=index, given=state.given)
        if kind is not AlertKind.SPIKE or self._is_only_moved(state, bucket):
            return None
        return AlertKind.SPIKE, Judged(index=index, actual=value, basis=basis, band=verdict.band, score=verdict.score)

    def _running_newcomer(self, state: SeriesState, bucket: Bucket) -> tuple[AlertKind, Judged] | None:
        borrowed = self._borrowed(state)
        if borrowed is None or ready_until(state) >= state.judge.close_at(bucket.index):
            return None  # a history that is filled in is judged when it is there
        index, value = bucket.index, bucket.value
        opinion = opinion_of(borrowed, index, value, state.run, state.given)
        if opinion is None or self._is_only_moved(state, bucket):
            return None
        kind, band, score = opinion
        return kind, Judged(index=index, actual=value, basis=bucket.effective_basis, band=band, score=score)

    def _is_only_moved(self, state: SeriesState, bucket: Bucket) -> bool:
        return is_only_moved(
            state.judge,
            self._detector(state),
            bucket.index,
            bucket.value,
            bucket.moved,
            borrowed=self._borrowed(state),
            run=state.run,
            given=state.given,
        )

    def _borrowed(self, state: SeriesState) -> Borrowed | None:
        """What judges a newcomer; None of a series with a past, or without peers."""
        newcomer = state.rare.newcomer
        if newcomer is None or newcomer.prior is None:
            return None
        return Borrowed(state.judge, newcomer, newcomer.prior, state.ring)

    # -- telling ------------------------------------------------------------------------------------------------

    def _report(
        self,
        state: SeriesState,
        ended: list[Episode],
        *,
        complete: bool,
        judged_at: int,
        risen_at: int | None = None,
    ) -> None:
        """Say what is new of the episodes that ended and of those that go on; take back what is no more.

        complete: *ended* holds all episodes of the ring, not only those that ended just now. risen_at: since when a
        rise that begins with the bucket just closed has been known. What is missing is told apart; see `_hear`.
        """
        going_on = self._going_on(state)
        firing = any(
            known.status is AlertStatus.FIRING and known.kind is not AlertKind.MISSING
            for known in (state.rare.reported or {}).values()
        )
        if not (ended or going_on or firing or (complete and state.rare.reported)):
            state.trace = None
            return
        trace = self._trace(state)
        told: set[tuple[int, AlertKind]] = set()
        for episode, status, running in (*((episode, AlertStatus.RESOLVED, False) for episode in ended), *going_on):
            told.add((episode.first, episode.kind))
            showing = episode.first + told_from(state.judge, episode) - 1
            first_at = min(judged_at, state.judge.close_at(showing))
            if risen_at == showing * state.judge.grain_seconds and episode.kind is AlertKind.SPIKE:
                first_at = risen_at
            alert = say(state, episode, trace, status=status, running=running, judged_at=first_at)
            if alert is not None:
                self._tell(alert)
        self._take_back(state, told, trace, complete=complete)
        if state.run is None and not any(bucket.fired for bucket in state.open_buckets):
            state.trace = None

    def _hear(self, state: SeriesState, gaps: Sequence[int]) -> None:
        """Say what is missing in these gaps and in those that were told of; take back what has come all the same."""
        if state.unsettled is not None:
            return  # half of a delivery is there: all of it is looked at when it is folded
        given = state.given
        found = [
            (episode, AlertStatus.RESOLVED if is_settled(given, episode.first, episode.kind) else status)
            for episode, status in self._listening.episodes(state, gaps, ready_until(state))
            if not is_false_alarm(given, episode.first, episode.kind)
        ]
        told = {episode.first for episode, _ in found}
        wrong = [
            known
            for known in (state.rare.reported or {}).values()
            if known.kind is AlertKind.MISSING
            and known.status is not AlertStatus.WITHDRAWN
            and known.first not in told
            and (known.status is AlertStatus.FIRING or not is_final(state, known.first))
        ]
        if not (found or wrong):
            return
        trace = self._trace(state)
        for episode, status in found:
            at = state.judge.close_at(episode.last)
            alert = say(state, episode, trace, status=status, running=False, judged_at=at)
            if alert is not None:
                self._tell(alert)
        for known in wrong:
            alert = withdraw(state, known, trace)
            if alert is not None:
                self._tell(alert)
        if state.run is None and not any(bucket.fired for bucket in state.open_buckets):
            state.trace = None

    def _take_back(
        self, state: SeriesState, told: set[tuple[int, AlertKind]], trace: list[Traced], *, complete: bool
    ) -> None:
        """Withdraw what was said and does not hold any more; what has left the ring stays as it is."""
        start = NO_BUCKET if state.ring is None else state.ring.start
        for key, known in list((state.rare.reported or {}).items()):
            if key in told or known.status is AlertStatus.WITHDRAWN or known.kind is AlertKind.MISSING:
                continue
            if known.status is AlertStatus.FIRING or (complete and known.last >= start):
                alert = withdraw(state, known, trace)
                if alert is not None:
                    self._tell(alert)

    def _going_on(self, state: SeriesState) -> list[tuple[Episode, AlertStatus, bool]]:
        """The episode of the ring's end with the open buckets that join it, and episodes of open buckets alone."""
        found: list[tuple[Episode, AlertStatus, bool]] = []
        run = state.run
        running = False
        for bucket in state.open_buckets:
            judged = self._running(state, bucket) if bucket.fired else None
            if judged is None:
                continue
            kind, now = judged
            if run is not None and run.kind is kind and run.last + 1 == now.index:
                run = run.joined(now)
            else:
                if run is not None:
                    found.append((run, self._status(state, run), running))
                run = begin(kind, now)
            running = True
        if run is not None:
            found.append((run, self._status(state, run), running))
        return [one for one in found if is_told(state.judge, one[0])]

    def _status(self, state: SeriesState, run: Episode) -> AlertStatus:
        """An episode that no bucket has followed is over once the next one is complete without a fact; and one that a
        person has said to be meant, or normal, at once."""
        if is_settled(state.given, run.first, run.kind):
            return AlertStatus.RESOLVED
        following = run.last + 1
        if state.open_bucket(following) is not None or state.open_bucket(run.last) is not None:
            return AlertStatus.FIRING
        if ready_until(state) < state.judge.close_at(following):
            return AlertStatus.FIRING
        return AlertStatus.RESOLVED

    def _trace(self, state: SeriesState) -> list[Traced]:
        """The ring as a chart draws it, and the open buckets that have fired."""
        trace = state.trace
        if trace is None:
            trace = []
            if state.ring is not None:
                fold = Fold(
                    state.judge,
                    self._anchor_detector(state),
                    state.rare.anchor_run,
                    trace=trace,
                    borrowed=self._borrowed(state),
                    given=state.given,
                )
                fold_ring(fold, state.ring, start=state.ring.start, until=state.ring.end)
            state.trace = trace
        open_now = []
        for bucket in state.open_buckets:
            at = bucket.index * state.judge.grain_seconds
            open_now.append(Traced(bucket.index, bucket.value, self._detector(state).band_at(at), bucket.fired))
        return [*trace, *open_now] if open_now else trace

    def _tell(self, alert: Alert) -> None:
        self._stats.alerts[alert.kind, alert.status] += 1
        self._emit(alert)

    def _note(self, state: SeriesState, index: int, moved: int) -> None:
        bucket = None if state.ring is None or state.ring.whole is None else state.ring.whole.get(index)
        parts = {} if bucket is None else bucket.parts or {}
        others = sorted({part.moved_with for part in parts.values() if part.moved_with is not None})
        self._stats.retagged += 1
        self._emit_note(
            Note(
                series=state.text,
                at=to_datetime(index * state.judge.grain_seconds),
                moved=to_units(moved),
                counterparts=tuple(others),
            )
        )

    def _count(self, state: SeriesState, fold: Fold) -> None:
        judged = self._stats.judged
        name = state.judge.detector
        for status, count in fold.counts.items():
            judged[name, status] += count


def _must_wait(state: SeriesState, bucket: Bucket) -> bool:
    """Whether what is expected of an open bucket hangs too much on others: on many, or on one that a tag change moves
    to another level."""
    older = [other for other in (*state.others, state.bucket) if other is not None and other.index < bucket.index]
    return len(older) >= RUNNING_BUCKETS or any(other.moved for other in older)


def _trim_parts(ring: Ring, kept_buckets: int) -> None:
    """Keep the drivers of the latest buckets only; the others are written compactly again."""
    if ring.whole is None or len(ring.whole) <= kept_buckets:
        return
    kept = 0
    for index in sorted(ring.whole, reverse=True):
        bucket = ring.whole[index]
        if not bucket.has_parts:
            continue
        kept += 1
        if kept > kept_buckets:
            bucket.forget_parts()
            ring.put(bucket, ring.judgement(index))


def _forget_reported(state: SeriesState, start: int) -> None:
    """What was said of episodes before the ring is final; only what still fires is remembered."""
    rare = state.rare
    if rare.reported:
        rare.reported = {
            key: known
            for key, known in rare.reported.items()
            if known.last >= start or known.status is AlertStatus.FIRING
        } or None
