"""Running totals: what an open bucket has come to so far, and whether that is too much already."""

from service.core.alerts import AlertKind
from service.core.amounts import to_units
from service.core.buckets import UNBOUNDED, Bucket
from service.core.episodes import Judged
from service.core.judging import highest_quiet, is_only_moved, kind_of, opinion_of
from service.core.learned import Learned, borrowed_of
from service.core.peers import Peers
from service.core.state import SeriesState
from service.core.watching import ready_until

RUNNING_BUCKETS = 3
"""Running totals are judged of so many of a series' oldest open buckets: of a later one, what is expected hangs on
buckets that are not known yet. A delivery of many days at once is judged day by day so, when its watermark comes."""
_TENTH = 10


class RunningTotals:
    """Judges open buckets, and says how far their totals may go before they have to be judged again."""

    __slots__ = ("_learned", "_peers")

    def __init__(self, *, learned: Learned, peers: Peers) -> None:
        self._learned = learned
        self._peers = peers

    def prepare(self, state: SeriesState, bucket: Bucket) -> None:
        """Set the bounds between which the running total of an open bucket needs no look."""
        for ledger in (bucket.billed, bucket.estimated):
            if ledger is not None:
                ledger.low, ledger.high = -UNBOUNDED, UNBOUNDED
        if state.ring is None:
            self._peers.borrow(state)  # from the first fact on; later, when its ring is settled
        borrowed = borrowed_of(state)
        if state.ring is None and borrowed is None:
            return  # nothing was learned yet
        if state.others and not bucket.fired and _must_wait(state, bucket):
            return
        ledger = bucket.effective
        if ledger.gauge is not None:
            return  # a mean may still fall: gauges are judged when the bucket closes
        at = bucket.index * state.judge.grain_seconds
        band = self._learned.at_end(state).band_at(at)
        high = highest_quiet(state.judge, band, index=bucket.index, given=state.given)
        if high is None and borrowed is not None:
            high = borrowed.highest_quiet(bucket.index, state.run)
        if high is not None:
            ledger.high = high
        if bucket.fired:
            ledger.low = ledger.total + 1  # a look is due whatever it is now

    def step_on(self, state: SeriesState, bucket: Bucket, running: tuple[AlertKind, Judged] | None) -> None:
        """Set the bounds anew after a look. running: what `judged` has said of it; a tenth more or less is told of."""
        ledger = bucket.effective
        self.prepare(state, bucket)
        if running is None:
            ledger.high = max(ledger.high, ledger.total)
            return
        quiet = ledger.high
        step = max(abs(running[1].deviation) // _TENTH, 1)
        ledger.low = max(ledger.total - step, quiet)
        ledger.high = ledger.total + step

    def judged(self, state: SeriesState, bucket: Bucket) -> tuple[AlertKind, Judged] | None:
        """An open bucket as far as it has come, if that is too much already. A fall is seen only when it closes."""
        if bucket.effective.gauge is not None:
            return None
        judge, index = state.judge, bucket.index
        value, basis = bucket.value, bucket.effective_basis
        verdict = self._learned.at_end(state).score_one(to_units(value), index * judge.grain_seconds)
        if verdict.band is None:
            return self._judged_newcomer(state, bucket)
        kind = kind_of(judge, verdict.status, value, verdict.band, index=index, given=state.given)
        if kind is not AlertKind.SPIKE or self._is_only_moved(state, bucket):
            return None
        return AlertKind.SPIKE, Judged(index=index, actual=value, basis=basis, band=verdict.band, score=verdict.score)

    def _judged_newcomer(self, state: SeriesState, bucket: Bucket) -> tuple[AlertKind, Judged] | None:
        borrowed = borrowed_of(state)
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
            self._learned.at_end(state),
            bucket.index,
            bucket.value,
            bucket.moved,
            borrowed=borrowed_of(state),
            run=state.run,
            given=state.given,
        )


def needs_look(bucket: Bucket) -> bool:
    ledger = bucket.effective
    return not ledger.low <= ledger.total <= ledger.high


def _must_wait(state: SeriesState, bucket: Bucket) -> bool:
    """Whether what is expected of an open bucket hangs too much on others: on many, or on one that a tag change moves
    to another level."""
    older = [other for other in (*state.others, state.bucket) if other is not None and other.index < bucket.index]
    return len(older) >= RUNNING_BUCKETS or any(other.moved for other in older)
