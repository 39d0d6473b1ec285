"""How a fact that passed validation joins its bucket, wherever that bucket is: open, closed, new or long gone."""

from typing import NamedTuple

from connectors.facts import Basis, Fact, Fold
from service.core.amounts import to_nano
from service.core.buckets import Bucket, Ledger
from service.core.event_ids import ID_BYTES, KEPT_IDS, forget_older_half
from service.core.instants import Instant
from service.core.lateness import Lateness
from service.core.lifecycle import Lifecycle
from service.core.months import add_to_month
from service.core.registers import Registers
from service.core.running import needs_look
from service.core.silence import complete_until, retired_after
from service.core.sources import FOREVER, Origin, Source
from service.core.state import NO_BUCKET, SeriesState
from service.core.stats import EngineStats
from service.core.watching import is_due, ready_until, watch, watch_next

MAX_UNSETTLED_RECORDS = 20_000
"""A restated series waits for its source's watermark, but for no more records than this."""

MAX_SERIES_SOURCES = 16
"""A series waits for so many sources to be complete."""


class Valid(NamedTuple):
    """A fact that passed validation. nano: its value."""

    fact: Fact
    nano: int
    origin: Origin
    instant: Instant


class Folding:
    """The careful way of a fact; the engine's loop takes the short one where the bucket is at hand."""

    __slots__ = ("_life", "_registers", "_stats", "waiting")

    def __init__(self, *, stats: EngineStats, registers: Registers, life: Lifecycle) -> None:
        self._stats = stats
        self._registers = registers
        self._life = life
        self.waiting: dict[SeriesState, int] = {}
        """Series that wait for a watermark, with the offset at which they began to, oldest first."""

    def fold(self, state: SeriesState, valid: Valid, offset: int) -> None:
        index = valid.instant.bucket
        bucket = state.open_bucket(index)
        sources = state.sources
        if bucket is not None:
            self._fold_open(state, bucket, valid)
        elif index > state.head_index:
            self._fold_new(state, index, valid, offset)
        else:
            self._restate(state, index, valid, offset)
        if state.sources is not sources and state.rare.waits_for is None and is_due(state):
            # With this source, which is further than the others, something is complete already.
            self._catch_up_late(state, valid.origin.source, offset)

    def rejoin(self, state: SeriesState, origin: Origin, basis: Basis) -> bool:
        """Make *origin* with *basis* the one that the next facts of the present bucket are expected from.

        False, and nothing is changed, when they are new to the series or to the bucket: that takes more care.
        """
        bucket = state.bucket
        assert bucket is not None
        ledger = bucket.billed if basis is Basis.BILLED else bucket.estimated
        if ledger is None or not _is_known(state, origin.source, basis):
            return False
        state.origin, state.basis, state.ledger = origin, basis, ledger
        return True

    def count_in(self, state: SeriesState, bucket: Bucket, valid: Valid) -> bool:
        """Add the fact to the ledger of its basis; False when it says nothing new."""
        fact, nano, origin, instant = valid
        if fact.fold is not Fold.SET and fact.event_id and not self.is_new_event(state, origin, fact.event_id):
            return False
        newcomer = state.rare.newcomer
        if newcomer is not None:
            newcomer.note(bucket.index, instant.seconds, nano, fact.fold, fact.basis, origin, fact.revision)
        ledger = bucket.ledger_of(fact.basis)
        if fact.fold is Fold.SET:
            if not ledger.put(origin, fact.revision, nano):
                return False
            self._put_parts(ledger, fact, origin)
            return True
        if fact.fold is Fold.ADD:
            ledger.total += nano
            if fact.drivers:
                ledger.add_parts(self._registers.parts(fact.drivers))
            return True
        ledger.sample(nano, instant.micros, fact.event_id)
        return True

    def is_new_event(self, state: SeriesState, origin: Origin, event_id: str) -> bool:
        """Remember the event's id; False when it was counted before."""
        digest = origin.digest_of(event_id)
        rare = state.rare
        seen, log = rare.seen_ids, rare.id_log
        if seen is None or log is None:
            rare = state.own_rare()
            rare.seen_ids, rare.id_log = {digest}, bytearray(digest)
            return True
        if digest in seen:
            return False
        seen.add(digest)
        log += digest
        if len(log) >= KEPT_IDS * ID_BYTES:
            self._stats.forgotten_ids += forget_older_half(seen, log)
        return True

    def settle_waiting(self, state: SeriesState) -> None:
        """Do what waited for a watermark."""
        self._wait_no_more(state)
        self._life.catch_up(state)

    def release(self, state: SeriesState) -> None:
        """Its watermark has come: what it waited for is due."""
        self._wait_no_more(state)

    def begin_anew(self, state: SeriesState) -> None:
        """As if no fact of it had come yet."""
        self._wait_no_more(state)
        state.forget()

    def _wait_no_more(self, state: SeriesState) -> None:
        if state.rare.waits_for is not None:
            for source in state.rare.waits_for[1]:
                source.unsettled.pop(state, None)
            state.rare.waits_for = None
            self.waiting.pop(state, None)

    def await_watermark(self, state: SeriesState, source: Source, offset: int) -> None:
        """Fold again at the source's next watermark."""
        source.unsettled[state] = None
        since, sources = state.rare.waits_for or (offset, ())
        if source not in sources:
            state.own_rare().waits_for = (since, (*sources, source))
            self.waiting[state] = since

    def wait_again(self, state: SeriesState) -> None:
        """A restored series still waits for the watermarks it waited for."""
        if state.rare.waits_for is not None:
            since, sources = state.rare.waits_for
            self.waiting[state] = since
            for source in sources:
                source.unsettled[state] = None

    def _put_parts(self, ledger: Ledger, fact: Fact, origin: Origin) -> None:
        ledger.put_moved(origin, to_nano(fact.retagged) if fact.drivers else 0)
        if fact.drivers:
            ledger.put_parts(origin, self._registers.parts(fact.drivers))
        elif ledger.parts is not None:
            ledger.parts.pop(origin, None)
            if not ledger.parts:
                ledger.parts = None

    def _join(self, state: SeriesState, bucket: Bucket, valid: Valid) -> None:
        state.take_up(bucket, valid.origin, valid.fact.basis)
        newcomer = state.rare.newcomer
        if newcomer is not None and newcomer.is_starting(bucket.index):
            state.index = NO_BUCKET  # the pace of a newcomer is taken from each of its facts
        self._add_source(state, valid.origin.source, valid.fact.basis)

    def _add_source(self, state: SeriesState, source: Source, basis: Basis) -> None:
        if _is_known(state, source, basis) or len(state.sources) >= MAX_SERIES_SOURCES:
            return  # beyond that its facts count, but when it is complete is not asked
        state.sources = self._registers.sources_of((*state.sources, (source, basis)))
        state.watched_at = FOREVER
        watch_next(state)

    def _fold_open(self, state: SeriesState, bucket: Bucket, valid: Valid) -> None:
        basis = bucket.effective_basis
        if not self.count_in(state, bucket, valid):
            self._stats.repeated += 1
            return
        self._join(state, bucket, valid)
        if valid.fact.fold is Fold.GAUGE or basis is not bucket.effective_basis:
            self._life.expect(state, bucket, valid.instant.seconds)
        elif needs_look(bucket):
            self._life.look(state, bucket, valid.instant.seconds)

    def _fold_new(self, state: SeriesState, index: int, valid: Valid, offset: int) -> None:
        bucket = Bucket(index)
        if not self.count_in(state, bucket, valid):
            self._stats.repeated += 1
            return
        self._join(state, bucket, valid)
        is_late = ready_until(state) >= state.judge.close_at(index)
        if state.rare.reported is not None and not is_late:  # else it is seen when the bucket closes what has come
            self._life.resumed(state)
        self._life.expect(state, bucket, valid.instant.seconds)
        if is_late:
            _note_late(state, index)
            self._catch_up_late(state, valid.origin.source, offset)
        else:
            watch(state, index)

    def _restate(self, state: SeriesState, index: int, valid: Valid, offset: int) -> None:
        ring = state.ring
        assert ring is not None
        oldest = ring.end - state.judge.ring_buckets
        if index < oldest or (index < ring.start and state.anchor is not None):
            self._too_late(state, index, valid)
            return
        known = ring.is_present(index)
        bucket = ring.get(index) if known else Bucket(index)
        before = (bucket.value, bucket.effective_basis) if known else None
        if not self.count_in(state, bucket, valid):
            self._stats.repeated += 1
            return
        self._add_source(state, valid.origin.source, valid.fact.basis)
        self._stats.restated += 1
        if not known:
            _note_late(state, index)
        if index < ring.start:
            ring.extend_to(index)
        same = before == (bucket.value, bucket.effective_basis) and not (valid.fact.drivers and state.rare.reported)
        ring.put(bucket, ring.judgement(index))
        if same:
            return
        self._life.restated(state, index)
        self._catch_up_late(state, valid.origin.source, offset)

    def _too_late(self, state: SeriesState, index: int, valid: Valid) -> None:
        """Older than the ring: an event still counts in the sum of its month. What was set before is not known any
        more, so a `set` is counted only."""
        self._stats.too_late += 1
        if valid.fact.fold is Fold.ADD and self.is_new_event(state, valid.origin, valid.fact.event_id):
            add_to_month(state, index, valid.nano)

    def _catch_up_late(self, state: SeriesState, source: Source, offset: int) -> None:
        """A closed bucket was restated, or one came that should have closed already.

        A source that sends watermarks sends them after each delivery: until then its facts are half of a whole, and
        folding once is enough. Others are folded at once.
        """
        if not source.has_word:
            self.settle_waiting(state)
            return
        self.await_watermark(state, source, offset)
        while self.waiting:
            longest = next(iter(self.waiting))
            if offset - self.waiting[longest] < MAX_UNSETTLED_RECORDS:
                break
            self.settle_waiting(longest)


def _note_late(state: SeriesState, index: int) -> None:
    """The first record of a bucket came when its sources were complete. What comes later yet is history filled in."""
    judge = state.judge
    late = complete_until(judge, ready_until(state)) - index
    if judge.missing_after and 0 < late <= retired_after(judge, judge.missing_after):
        rare = state.own_rare()
        if rare.lateness is None:
            rare.lateness = Lateness(index)
        rare.lateness.saw(judge.grain, index, late)


def _is_known(state: SeriesState, source: Source, basis: Basis) -> bool:
    return any(known is source and its_basis is basis for known, its_basis in state.sources)
