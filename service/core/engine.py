"""The facts of one partition in, alerts out: exact whatever the order, and fast per fact.

What a fact costs is a lookup, a decode and an addition; a detector runs only when a running total leaves the bounds
that were prepared for it, when a bucket closes, or when a closed one is restated. What an engine does depends on
its records alone, not on how they were cut into batches, and not on a clock.
"""

from collections.abc import Collection, Iterable

import msgspec

from connectors.facts import FEEDBACK_MARK, WATERMARK_KEY_PREFIX, Fact, Fold
from connectors.series import SeriesKey
from service.core.alerts import Alert
from service.core.amounts import MAX_NANO, NANO
from service.core.closing import Closing
from service.core.digest import digest_of_states
from service.core.drivers import KEPT_BUCKETS
from service.core.feedback import heard_of
from service.core.folding import Folding, Valid
from service.core.instants import InstantError
from service.core.lifecycle import Lifecycle
from service.core.live import KEPT_OBJECTS, LiveDetectors
from service.core.months import month_to_date
from service.core.newcomers import Newcomers, as_event_of, other_of
from service.core.notes import Note
from service.core.peers import Peers
from service.core.policies import PolicyBook
from service.core.registers import Registers
from service.core.rejects import Rejected, RejectError
from service.core.saving import Saving
from service.core.sources import FOREVER, NEVER, Source
from service.core.spend import Followed, SpendBook, SpendStatement
from service.core.state import SeriesState
from service.core.stats import EngineStats
from service.core.validation import (
    DECODE_ERRORS,
    Record,
    amount_of,
    bad_value,
    check_fold,
    check_time,
    instant_of,
    key_mismatch,
    promise_of,
    rejected_for,
    series_of,
)
from service.core.watching import is_due, watch_next


class Engine:
    """One per partition of the facts topic; synchronous, free of I/O.

    max_new_series: new values of one dimension and tenant that this partition admits per hour of event time.
    close_limit: at most so many series are closed within one `apply`, so that a day's end does not hold up the loop;
        the others follow with the next one, or with `advance`. None: all at once. What is said is the same.
    kept_detectors: how many series keep their detector as an object; the others keep its numbers.
    driver_buckets: of so many of a series' latest buckets with drivers these are kept. What is restated later than
        that is judged the same, and explained as far as was said before.
    spend: series whose closed buckets are stated (`take_spend`). born: when this state begins, if nothing is restored,
        milliseconds since 1970: what is stated of another log of facts is older, or newer, as a whole.
    """

    def __init__(
        self,
        *,
        policies: PolicyBook,
        partition: int = 0,
        max_new_series: int | None = None,
        close_limit: int | None = None,
        kept_detectors: int = KEPT_OBJECTS,
        driver_buckets: int = KEPT_BUCKETS,
        spend: Collection[Followed] = (),
        born: int = 0,
    ) -> None:
        self.stats = EngineStats()
        self._policies = policies
        self._partition = partition
        self._close_limit = close_limit
        self._states: dict[bytes, SeriesState] = {}
        self._registers = Registers()
        self._peers = Peers()
        self._newcomers = Newcomers(max_new_series)
        self._alerts: list[Alert] = []
        self._rejects: list[Rejected] = []
        self._notes: list[Note] = []
        self._spend = SpendBook(spend) if spend else None
        self._saving = Saving(
            stats=self.stats,
            policies=policies,
            states=self._states,
            registers=self._registers,
            newcomers=self._newcomers,
            spend=self._spend,
            born=born,
        )
        self._decode = msgspec.json.Decoder(Fact).decode
        self._life = Lifecycle(
            stats=self.stats,
            live=LiveDetectors(kept_detectors),
            peers=self._peers,
            emit=self._alerts.append,
            touch=self._saving.touch,
            note=self._notes.append,
            driver_buckets=driver_buckets,
            spend=self._spend,
        )
        self._folding = Folding(stats=self.stats, registers=self._registers, life=self._life)
        self._closing = Closing(self._folding.settle_waiting, self._peers.take_again)

    # -- records in ---------------------------------------------------------------------------------------------

    def apply(self, records: Iterable[Record]) -> None:  # noqa: C901  # per fact: a call costs as much as an addition
        """Fold records in order of their offsets; reads them once. Never raises on what they hold."""
        closing = self._closing
        closing.allowed = FOREVER if self._close_limit is None else self._close_limit
        saving = self._saving
        if saving.has_restored:
            self._awaken()
        if closing:
            closing.drain()
        states = self._states
        origins = self._registers.origins
        decode = self._decode
        folding = self._folding
        life = self._life
        put, add = Fold.SET, Fold.ADD
        replayed = max(saving.offset, saving.restored_offset)
        offset = -1
        done = 0
        for record in records:
            offset = record.offset
            if offset <= replayed and self._is_known(record):
                continue
            state = states.get(record.key)  # type: ignore[arg-type]  # no state has None for a key
            if state is None:
                self._apply_other(record)
                continue
            try:
                fact = decode(record.value or b"")
                if fact.series.encode() != state.key:
                    raise key_mismatch(fact.series, state.key)
                instant = state.judge.instants[fact.charge_period_start]
                nano = round(fact.value * NANO)
                if not -MAX_NANO <= nano <= MAX_NANO:
                    raise bad_value("value", fact.value)
                origin = origins.get(fact.origin)
                if origin is None:
                    origin = self._registers.origin(fact.origin)
                source = origin.source
                seconds = instant.seconds
                if not source.oldest <= seconds <= source.seen:
                    check_time(source, seconds, record.timestamp)
                fold = fact.fold
                if fact.drivers or (fold is add and not fact.event_id):
                    check_fold(fact)
            except (*DECODE_ERRORS, RejectError, ValueError, OverflowError) as error:
                self._reject(record, error)
                continue
            if seconds > source.seen:
                self._see(source, seconds)
            if (
                instant.bucket != state.index
                or fact.drivers
                or (
                    (state.origin is not origin or state.basis is not fact.basis)
                    and not folding.rejoin(state, origin, fact.basis)
                )
            ):
                if state.due:
                    closing.close(state)
                folding.fold(state, Valid(fact, nano, origin, instant), offset)
            else:
                ledger = state.ledger
                assert ledger is not None
                if fold is add:
                    if folding.is_new_event(state, origin, fact.event_id):
                        ledger.total += nano
                    else:
                        self.stats.repeated += 1
                elif fold is put and ledger.parts is None:
                    if not ledger.put(origin, fact.revision, nano):
                        self.stats.repeated += 1
                else:
                    folding.fold(state, Valid(fact, nano, origin, instant), offset)
                if not ledger.low <= ledger.total <= ledger.high:
                    assert state.bucket is not None
                    life.look(state, state.bucket, seconds)
            done += 1
            if not state.dirty:
                saving.touch(state)
        self.stats.facts += done
        saving.offset = max(saving.offset, offset)

    def advance(self, limit: int) -> int:
        """Close at most *limit* of the series that `close_limit` has put off; returns how many are left."""
        self._closing.allowed = limit
        self._closing.drain()
        return len(self._closing)

    def _apply_other(self, record: Record) -> None:
        """The first fact of a series, a watermark, or something that is neither."""
        key = record.key
        try:
            if key is not None and key.startswith(WATERMARK_KEY_PREFIX):
                self._promise(record)
                return
            fact, series = series_of(record)
            judge = self._policies.judge_of(series)
            instant = instant_of(judge.instants, fact)
            nano = amount_of(fact)
            check_fold(fact)
            origin = self._registers.origin(fact.origin)
            check_time(origin.source, instant.seconds, record.timestamp)
            admitted = self._newcomers.admit(series, max(self.stats.last_start, instant.seconds))
        except (*DECODE_ERRORS, RejectError) as error:
            self._reject(record, error)
            return
        if instant.seconds > origin.source.seen:
            self._see(origin.source, instant.seconds)
        if admitted:
            series_key = fact.series.encode()
            state = self._states[series_key] = SeriesState(series_key, judge)
            self._life.welcome(state, series)
        else:
            self.stats.capped += 1
            state, fact = self._other(series, fact)
            if record.offset <= state.restored_offset:
                self.stats.skipped += 1
                return
        if state.due:
            self._closing.close(state)
        self._folding.fold(state, Valid(fact, nano, origin, instant), record.offset)
        self.stats.facts += 1
        self._saving.touch(state)

    def _other(self, series: SeriesKey, fact: Fact) -> tuple[SeriesState, Fact]:
        """What takes a value beyond the cap, and what the fact is there."""
        other = other_of(series, self._partition)
        key = str(other).encode()
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = SeriesState(key, self._policies.judge_of(other))
            self._life.welcome(state, other)
        return state, as_event_of(other, fact)

    def _promise(self, record: Record) -> None:
        """A source says until when it is complete: close what it held up, and fold again what it has restated."""
        promise = promise_of(record)
        closing = self._closing
        self.stats.watermarks += 1
        source = self._registers.source(promise.source)
        if promise.until >= closing.deadline or not source.has_word:  # its first word may take its mark back
            closing.drain_all()
        source.word = max(source.word, promise.until)
        closing.ring(source.take_due())
        if source.unsettled:
            waiting = self._folding.waiting
            settled = [state for state in source.unsettled if waiting[state] < record.offset]
            for state in settled:
                self._folding.release(state)
                self._saving.touch(state)
            closing.wake(settled, deadline=NEVER)
        closing.drain()

    def _is_known(self, record: Record) -> bool:
        """Whether it was folded before a restart, or is repeated by the stream.

        The partition's snapshot is the last of a checkpoint, so all at or below its offset is in the snapshots of the
        series. Beyond it some series may have one that is newer; then the fact's time counts still.
        """
        if record.offset <= self._saving.offset:
            self.stats.skipped += 1
            return True
        state = self._states.get(record.key or b"")
        if state is None or record.offset > state.restored_offset:
            return False
        self.stats.skipped += 1
        try:
            fact = self._decode(record.value or b"")
            self._see(
                self._registers.origin(fact.origin).source, state.judge.instants[fact.charge_period_start].seconds
            )
        except (*DECODE_ERRORS, RejectError, InstantError):
            pass  # it was refused then, too
        return True

    def _hear(self, record: Record) -> None:
        """What a person said of an alert. Of a series that is not known here it says nothing."""
        try:
            episode, given = heard_of(record, self._policies)
        except (*DECODE_ERRORS, RejectError) as error:
            self._refuse(record, error)
            return
        state = self._states.get(record.key or b"")
        if state is None:
            self.stats.feedback_unknown += 1
            return
        known = state.given.get(episode)
        if known is not None and known.revision >= given.revision:
            self.stats.repeated += 1
            return
        self.stats.feedback += 1
        if state.due:
            self._closing.close(state)
        rare = state.own_rare()
        rare.given = {**(rare.given or {}), episode: given}
        self._life.reconsider(state, episode[0], self.stats.last_start)

    def _reject(self, record: Record, error: Exception) -> None:
        """A record that is no fact: feedback is told from a mistake here, where it costs the others nothing."""
        if (record.value or b"").startswith(FEEDBACK_MARK):
            self._hear(record)
        else:
            self._refuse(record, error)

    def _refuse(self, record: Record, error: Exception) -> None:
        rejected = rejected_for(record, error)
        self.stats.rejected[rejected.reason] += 1
        self._rejects.append(rejected)

    # -- time ---------------------------------------------------------------------------------------------------

    def _see(self, source: Source, seconds: int) -> None:
        """A fact is newer than all before it of its source."""
        if seconds <= source.seen:
            return
        closing = self._closing
        if seconds >= closing.deadline:
            closing.drain_all()
        source.see(seconds)
        self.stats.last_start = max(self.stats.last_start, seconds)
        if seconds >= source.wake:
            closing.ring(source.take_due())
            closing.drain()

    # -- alerts, rejects, snapshots out -------------------------------------------------------------------------

    def take_alerts(self) -> list[Alert]:
        """In the order they arose; clears."""
        alerts = self._alerts[:]
        self._alerts.clear()
        return alerts

    def take_rejects(self) -> list[Rejected]:
        """In the order of their offsets; clears."""
        rejects = self._rejects[:]
        self._rejects.clear()
        return rejects

    def take_notes(self) -> list[Note]:
        """What is worth a line and no alert, in the order it arose; clears."""
        notes = self._notes[:]
        self._notes.clear()
        return notes

    def take_spend(self) -> list[SpendStatement]:
        """What the series that are followed cost, of each bucket that was closed or restated; clears."""
        return [] if self._spend is None else self._spend.take(born=self._saving.born, offset=self._saving.offset)

    def freeze(self, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        """Snapshots (key, value) of what changed since the last time; clears what it returns.

        limit: at most so many series; call again until it returns nothing. The partition's own snapshot comes last
        of all, and must be written last: on load it may be older than those of its series, never newer.
        """
        self.stats.withheld = self._life.withheld
        self.stats.late_seconds = self._registers.late_seconds()
        return self._saving.freeze(limit, begin_anew=self._folding.begin_anew)

    def restore(self, key: bytes, snapshot: bytes) -> None:
        """Take over a snapshot; of several of one key the one with the highest offset, whatever their order.

        Only before the first `apply`. Raises SnapshotError and leaves everything as it was.
        """
        self._saving.restore(key, snapshot)

    def _awaken(self) -> None:
        """All snapshots are there: have the sources wake the series again, and close what was due."""
        restored = self._saving.take_restored()
        if self._spend is not None:
            self._spend.restored(restored, self._saving.stated)
        for state in restored:
            self._peers.restored(state)
        waiting = [state for state in restored if state.rare.waits_for is not None]
        for state in sorted(waiting, key=_waiting_since):
            self._folding.wait_again(state)
        for state in restored:
            if state.rare.waits_for is None and (state.rare.is_judged_anew or is_due(state)):
                self._closing.wake((state,), deadline=NEVER)
            else:
                watch_next(state)

    def __len__(self) -> int:
        """Series with live state."""
        return len(self._states)

    # -- looking in ---------------------------------------------------------------------------------------------

    def digest(self) -> str:
        """A canonical hash of all folded state: equal for any order of the same facts."""
        return digest_of_states(self._states.values(), self._registers.sources.values())

    def month_to_date(self, series: str) -> tuple[str, float] | None:
        """("2024-09", amount) of the newest month of a series; None for one that is not known here."""
        state = self._states.get(series.encode())
        return None if state is None else month_to_date(state)


def _waiting_since(state: SeriesState) -> int:
    return state.rare.waits_for[0] if state.rare.waits_for is not None else -1
