"""Tells of a series' episodes: of those that ended, those that go on, and those that are no more."""

from bisect import bisect_right
from collections.abc import Callable, Sequence

from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.amounts import to_units
from service.core.episodes import Episode, begin
from service.core.feedback import is_false_alarm, is_settled
from service.core.holding import left_of
from service.core.identity import begun, is_part, recognised
from service.core.instants import to_datetime
from service.core.judging import Traced, is_told, told_from
from service.core.learned import Learned
from service.core.notes import Note
from service.core.reporting import HISTORY_POINTS, say, say_left, withdraw
from service.core.running import RunningTotals
from service.core.state import NO_BUCKET, Reported, SeriesState
from service.core.stats import EngineStats
from service.core.watching import ready_until

Told = tuple[Episode, AlertStatus, bool]
"""An episode, what it is now, and whether its last bucket is still filling up."""


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
        judged_at: int,
        since: int | None = None,
        risen_at: int | None = None,
    ) -> None:
        """Say what is new of the episodes that ended and of those that go on; take back what is no more.

        since: this bucket was restated, and *ended* holds all episodes that end with the one before it, or later, not
        only those that ended just now; of others nothing has changed. risen_at: since when a rise that begins with the
        bucket just closed has been known. What is missing is told apart; see `Listening`.
        """
        told = [*((episode, AlertStatus.RESOLVED, False) for episode in ended), *self._going_on(state)]
        reported = state.rare.reported
        if not (told or reported):
            state.trace = None
            return
        episodes = [episode for episode, _, _ in told]
        names = recognised(reported or {}, episodes, pauses=state.judge.keep_firing_for)
        wrong = _no_more(state, names, since)
        concerned = [one for one in zip(told, names, strict=True) if since is None or _is_concerned(*one, since)]
        if not (concerned or wrong):
            let_go_of_trace(state)
            return
        spans = [*((one.first, one.last) for (one, _, _), _ in concerned), *((one.begins, one.last) for one in wrong)]
        trace = self.trace(state, spans)
        for (episode, status, running), name in concerned:
            known = name or self._begun(state, episode, judged_at, risen_at)
            self.tell(say(state, episode, trace, known, status=status, running=running))
        for known in wrong:
            self._take_back(state, known, episodes, trace)
        let_go_of_trace(state)

    def _begun(self, state: SeriesState, episode: Episode, judged_at: int, risen_at: int | None) -> Reported:
        """One that nothing was said of yet."""
        showing = episode.abnormal[min(told_from(state.judge, episode), episode.count) - 1]
        first_at = min(judged_at, state.judge.close_at(showing))
        if risen_at == showing * state.judge.grain_seconds and episode.kind is AlertKind.SPIKE:
            first_at = risen_at
        return begun(state.rare.reported or {}, episode, first_at)

    def _take_back(self, state: SeriesState, known: Reported, episodes: list[Episode], trace: list[Traced]) -> None:
        """Withdraw what does not hold any more, or say what is left of it."""
        within = is_part(known, episodes)
        left = None if within or self._is_disowned(state, known) else left_of(state, known, trace)
        if left is not None:
            self.tell(say_left(state, left, trace, known))
        else:
            self.tell(withdraw(state, known, trace, is_part=within))

    def _is_disowned(self, state: SeriesState, known: Reported) -> bool:
        """Whether it is not the facts that are others: a person has called it wrong, or the policy is another."""
        return state.rare.is_judged_anew or is_false_alarm(state.given, known.kind, known.begins, known.last)

    def _going_on(self, state: SeriesState) -> list[Told]:
        """The episode of the ring's end with the open buckets that join it, and episodes of open buckets alone."""
        found: list[Told] = []
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

    def trace(self, state: SeriesState, told: Sequence[tuple[int, int]]) -> list[Traced]:
        """The ring as a chart draws it, and the open buckets that have fired: as much of it as alerts of these first
        and last buckets show."""
        begin, until = min(first for first, _ in told), min(last for _, last in told)
        if not _shows(state, begin, until):
            self._learned.draw(state, min(begin, until - 2 * HISTORY_POINTS))
            if not _shows(state, begin, until):
                self._learned.draw(state, NO_BUCKET)
        trace = state.trace or []
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


def _is_concerned(told: Told, name: Reported | None, since: int) -> bool:
    """Whether what was restated from bucket *since* on may change what is said of an episode: it shows the bucket after
    its last, and when it ends may hang on later ones."""
    episode, status, _ = told
    goes_on = status is AlertStatus.FIRING or (name is not None and name.status is AlertStatus.FIRING)
    return goes_on or episode.last + 1 >= since


def _no_more(state: SeriesState, names: Sequence[Reported | None], since: int | None) -> list[Reported]:
    """What was said, and is not among what is known by *names*: that goes on no more, or, of all that is *since* that
    bucket, is no more. What has begun to leave the ring stays as it is."""
    return [
        known
        for known in (state.rare.reported or {}).values()
        if known.kind is not AlertKind.MISSING
        and known not in names
        and (
            known.status is AlertStatus.FIRING
            or (since is not None and known.status is not AlertStatus.WITHDRAWN and known.last + 1 >= since)
        )
    ]


def _shows(state: SeriesState, begin: int, until: int) -> bool:
    """Whether the trace that is kept has all that an alert from bucket *begin* to *until* shows."""
    trace, since, ring = state.trace, state.rare.traced_from, state.ring
    if trace is None:
        return False
    if ring is None or since is None or since <= ring.start:
        return True
    return since <= begin and bisect_right(trace, until, key=_bucket_of) >= HISTORY_POINTS


def _bucket_of(traced: Traced) -> int:
    return traced.bucket


def let_go_of_trace(state: SeriesState) -> None:
    """A trace is kept while something goes on, which will be told of again."""
    if state.run is None and not any(bucket.fired for bucket in state.open_buckets):
        state.trace = None
