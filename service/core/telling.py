"""Tells of a series' episodes: of those that ended, those that go on, and those that are no more."""

from collections.abc import Callable

from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.amounts import to_units
from service.core.episodes import Episode, begin
from service.core.feedback import EpisodeKey, is_false_alarm, is_settled
from service.core.holding import left_of
from service.core.identity import free_number, is_part, recognised
from service.core.instants import to_datetime
from service.core.judging import Traced, fold_ring, is_told, told_from
from service.core.learned import Learned, fold_of
from service.core.notes import Note
from service.core.reporting import say, say_left, withdraw
from service.core.running import RunningTotals
from service.core.state import NO_BUCKET, Reported, SeriesState
from service.core.stats import EngineStats
from service.core.watching import ready_until


class Telling:
    """emit: takes each alert as it arises. note: takes what is worth a line, and no alert."""

    __slots__ = ("_emit", "_emit_note", "_learned", "_running", "_stats")

    def __init__(
        self,
        *,
        stats: EngineStats,
        learned: Learned,
        running: RunningTotals,
        emit: Callable[[Alert], None],
        note: Callable[[Note], None],
    ) -> None:
        self._stats = stats
        self._learned = learned
        self._running = running
        self._emit = emit
        self._emit_note = note

    def report(
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
        rise that begins with the bucket just closed has been known. What is missing is told apart; see `Listening`.
        """
        going_on = self._going_on(state)
        firing = any(
            known.status is AlertStatus.FIRING and known.kind is not AlertKind.MISSING
            for known in (state.rare.reported or {}).values()
        )
        if not (ended or going_on or firing or (complete and state.rare.reported)):
            state.trace = None
            return
        trace = self.trace(state)
        told = [*((episode, AlertStatus.RESOLVED, False) for episode in ended), *going_on]
        episodes = [episode for episode, _, _ in told]
        names = recognised(state.rare.reported or {}, episodes, pauses=state.judge.keep_firing_for)
        standing: set[EpisodeKey] = set()
        for (episode, status, running), name in zip(told, names, strict=True):
            known = name or self._begun(state, episode, judged_at, risen_at)
            standing.add((known.first, known.kind))
            self.tell(say(state, episode, trace, known, status=status, running=running))
        self._take_back(state, standing, episodes, trace, complete=complete)
        let_go_of_trace(state)

    def _begun(self, state: SeriesState, episode: Episode, judged_at: int, risen_at: int | None) -> Reported:
        """One that nothing was said of yet."""
        showing = episode.abnormal[min(told_from(state.judge, episode), episode.count) - 1]
        first_at = min(judged_at, state.judge.close_at(showing))
        if risen_at == showing * state.judge.grain_seconds and episode.kind is AlertKind.SPIKE:
            first_at = risen_at
        known = Reported(episode.kind, episode.first, first_at)
        known.first = free_number(state.rare.reported or {}, episode.first, episode.kind)
        return known

    def _take_back(
        self,
        state: SeriesState,
        standing: set[EpisodeKey],
        episodes: list[Episode],
        trace: list[Traced],
        *,
        complete: bool,
    ) -> None:
        """Withdraw what was said and does not hold any more; what has begun to leave the ring stays as it is."""
        start = NO_BUCKET if state.ring is None else state.ring.start
        for key, known in list((state.rare.reported or {}).items()):
            if key in standing or known.status is AlertStatus.WITHDRAWN or known.kind is AlertKind.MISSING:
                continue
            if known.status is AlertStatus.FIRING or (complete and known.last >= start):
                within = is_part(known, episodes)
                left = None if within or self._is_disowned(state, known) else left_of(state, known, trace)
                if left is not None:
                    self.tell(say_left(state, left, trace, known))
                else:
                    self.tell(withdraw(state, known, trace, is_part=within))

    def _is_disowned(self, state: SeriesState, known: Reported) -> bool:
        """Whether it is not the facts that are others: a person has called it wrong, or the policy is another."""
        return state.rare.is_judged_anew or is_false_alarm(state.given, known.kind, known.begins, known.last)

    def _going_on(self, state: SeriesState) -> list[tuple[Episode, AlertStatus, bool]]:
        """The episode of the ring's end with the open buckets that join it, and episodes of open buckets alone."""
        found: list[tuple[Episode, AlertStatus, bool]] = []
        run = state.run
        running = False
        for bucket in state.open_buckets:
            judged = self._running.judged(state, bucket) if bucket.fired else None
            if judged is None:
                continue
            kind, now = judged
            if run is not None and run.kind is kind and run.can_join(now.index, state.judge.keep_firing_for):
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
        """An episode that no bucket has followed is over once those it may pause for are complete without a fact; and
        one that a person has said to be meant, or normal, at once."""
        if is_settled(state.given, run.kind, run.first, run.last):
            return AlertStatus.RESOLVED
        over = state.judge.over_with(run)
        if any(run.last <= bucket.index <= over for bucket in state.open_buckets):
            return AlertStatus.FIRING
        if ready_until(state) < state.judge.close_at(over):
            return AlertStatus.FIRING
        return AlertStatus.RESOLVED

    def trace(self, state: SeriesState) -> list[Traced]:
        """The ring as a chart draws it, and the open buckets that have fired."""
        trace = state.trace
        if trace is None:
            trace = []
            if state.ring is not None:
                fold = fold_of(state, self._learned.at_start(state), state.rare.anchor_run, trace=trace)
                fold_ring(fold, state.ring, start=state.ring.start, until=state.ring.end)
            state.trace = trace
        open_now = []
        for bucket in state.open_buckets:
            at = bucket.index * state.judge.grain_seconds
            open_now.append(Traced(bucket.index, bucket.value, self._learned.at_end(state).band_at(at), bucket.fired))
        return [*trace, *open_now] if open_now else trace

    def tell(self, alert: Alert | None) -> None:
        """Hand on what `say` and `withdraw` have to say; None: nothing new."""
        if alert is None:
            return
        self._stats.alerts[alert.kind, alert.status] += 1
        self._emit(alert)

    def note_retagged(self, state: SeriesState, index: int, moved: int) -> None:
        """Note that bucket *index* changed by its tag alone. moved: what came with it, in nano-units."""
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


def let_go_of_trace(state: SeriesState) -> None:
    """A trace is kept while something goes on, which will be told of again."""
    if state.run is None and not any(bucket.fired for bucket in state.open_buckets):
        state.trace = None
