"""Says which series have fallen silent, and which only together with their source."""

from collections.abc import Iterable

from service.core.alerts import AlertKind, AlertStatus
from service.core.episodes import Episode
from service.core.feedback import is_false_alarm, is_settled
from service.core.identity import begun, recognised, told_missing
from service.core.lateness import may_come
from service.core.peers import Peers, Silence
from service.core.reporting import say, withdraw
from service.core.ring import Ring
from service.core.silence import (
    complete_until,
    gap_end,
    gaps,
    is_worth_telling,
    memory,
    missing,
    patience,
    retired_after,
)
from service.core.state import Reported, SeriesState
from service.core.telling import Telling, let_go_of_trace
from service.core.watching import ready_until


class Listening:
    """withheld: series that are missing with so many others of their source that it is late rather than they."""

    __slots__ = ("_peers", "_telling", "withheld")

    def __init__(self, peers: Peers, telling: Telling) -> None:
        self._peers = peers
        self._telling = telling
        self.withheld: dict[SeriesState, None] = {}

    def is_open(self, state: SeriesState, end: int) -> bool:
        """Whether a bucket from *end* on, the ring's end, can change what was said of a gap."""
        return any(
            known.kind is AlertKind.MISSING and (known.status is AlertStatus.FIRING or known.last + 1 >= end)
            for known in (state.rare.reported or {}).values()
        )

    def gaps_of(self, state: SeriesState, ready: int) -> list[int]:
        """The gaps to look at when the series is: the one it is in, and all, when its peers have changed."""
        ring = state.ring
        if ring is None or not state.judge.missing_after:
            return []
        if self._peers.is_affected(state):
            return self.all_gaps(state)
        going_on = complete_until(state.judge, ready) - ring.end >= state.judge.missing_after
        return [*(state.rare.awaited or ()), *((ring.end,) if going_on else ())]

    def all_gaps(self, state: SeriesState) -> list[int]:
        ring = state.ring
        if ring is None or not state.judge.missing_after:
            return []
        return [*(gap for gap in gaps(ring) if not is_final(state, gap)), ring.end]

    def hear(self, state: SeriesState, asked: Iterable[int], *, since: int | None = None) -> None:
        """Say what is missing in the gaps that begin at *asked* and in those that were told of; take back what has come
        all the same.

        since: from this bucket on, the ring is another.
        """
        if state.unsettled is not None:
            return  # half of a delivery is there: all of it is looked at when it is folded
        given = state.given
        found = [
            (episode, AlertStatus.RESOLVED if is_settled(given, episode.kind, episode.first, episode.last) else status)
            for episode, status in self._episodes(state, asked, ready_until(state))
            if not is_false_alarm(given, episode.kind, episode.first, episode.last)
        ]
        names = recognised(state.rare.reported or {}, [episode for episode, _ in found], pauses=0)
        wrong = [
            known
            for known in (state.rare.reported or {}).values()
            if known.kind is AlertKind.MISSING
            and known.status is not AlertStatus.WITHDRAWN
            and known not in names
            and (known.status is AlertStatus.FIRING or not is_final(state, known.begins))
        ]
        new = [
            (episode, status, known)
            for (episode, status), known in zip(found, names, strict=True)
            if not _is_as_it_was(known, episode, status, since=since)
        ]
        if not (new or wrong):
            return
        end = 0 if state.ring is None else state.ring.end
        # What an open bucket has come to so far says nothing of a gap before it.
        said = [*((one.first - 1, one.first - 1) for one, _, _ in new), *((k.begins - 1, k.begins - 1) for k in wrong)]
        trace = [traced for traced in self._telling.trace(state, said) if traced.bucket < end]
        for episode, status, known in new:
            if known is None:
                known = begun(state.rare.reported or {}, episode, state.judge.close_at(episode.last))
            self._telling.tell(say(state, episode, trace, known, status=status))
        for known in wrong:
            self._telling.tell(withdraw(state, known, trace))
        let_go_of_trace(state)

    def _episodes(self, state: SeriesState, asked: Iterable[int], ready: int) -> list[tuple[Episode, AlertStatus]]:
        """What is missing in the gaps that begin at *asked*, and in those that something was said of."""
        known = [
            told.begins
            for told in (state.rare.reported or {}).values()
            if told.kind is AlertKind.MISSING
            and (told.status is AlertStatus.FIRING or not is_final(state, told.begins))
        ]
        found: list[tuple[Episode, AlertStatus]] = []
        for gap in sorted({*asked, *known}):
            episode = self._look_at(state, gap, ready)
            if episode is not None:
                found.append(episode)
        return found

    def _look_at(self, state: SeriesState, gap: int, ready: int) -> tuple[Episode, AlertStatus] | None:
        ring, judge = state.ring, state.judge
        _await_no_more(state, gap)
        if ring is None or any(ring.tags(gap, gap + 1)):
            return None
        going_on = gap == ring.end
        self.withheld.pop(state, None)
        after = patience(judge, ring, gap)
        if after is None:
            return None
        end = gap_end(state, gap)
        if going_on and end is not None and told_missing(state.rare.reported, gap) is None:
            return None  # told when the bucket after it closes, whoever else asks before
        length = (complete_until(judge, ready) if end is None else end) - gap
        if length < after or not is_worth_telling(judge, ring, gap):
            return None
        if told_missing(state.rare.reported, gap) is None and _may_come(state, ring, gap, length, ready):
            state.own_rare().awaited = (*(state.rare.awaited or ()), gap)
            return None
        group = self._peers.group_of(state)
        group.silent[state] = None
        sources = frozenset(source for source, _ in state.sources)
        if group.is_shared(Silence(sources, gap, gap + after)):
            if going_on and end is None:
                self.withheld[state] = None
            return None
        retired = retired_after(judge, after)
        if length >= retired:
            return missing(judge, ring, gap, count=retired, accepted=True, over=True), AlertStatus.RESOLVED
        if end is not None:
            return missing(judge, ring, gap, count=length, accepted=False, over=True), AlertStatus.RESOLVED
        return missing(judge, ring, gap, count=after, accepted=False, over=False), AlertStatus.FIRING


def _may_come(state: SeriesState, ring: Ring, gap: int, length: int, ready: int) -> bool:
    """Whether a gap of so many buckets is no longer than records of the series are late.

    For no longer than after which it would be taken for retired: then any order of the same facts has come to the same.
    """
    judge, lateness = state.judge, state.rare.lateness
    complete = complete_until(judge, ready)
    if lateness is None or complete - gap >= retired_after(judge, judge.missing_after):
        return False
    ages = (complete - index - 1 for index in range(gap, min(gap + length, complete)))
    return may_come(lateness, judge.grain, ages, end=ring.end, seen=ring.end - ring.start)


def _await_no_more(state: SeriesState, gap: int) -> None:
    awaited = state.rare.awaited
    if awaited and gap in awaited:
        state.rare.awaited = tuple(other for other in awaited if other != gap) or None


def _is_as_it_was(known: Reported | None, episode: Episode, status: AlertStatus, *, since: int | None) -> bool:
    """Whether what was last said of a gap still holds, so that its alert need not be made to see that.

    An alert shows the buckets before a gap, and when it is over the one after it.
    """
    if known is None or (known.status, known.begins, known.last, known.impact) != (
        status,
        episode.first,
        episode.last,
        episode.impact,
    ):
        return False
    shown = episode.last + 1 if status is AlertStatus.RESOLVED else episode.first - 1
    return since is None or shown < since


def is_final(state: SeriesState, gap: int) -> bool:
    """Whether what came before a gap has begun to leave the ring: what was said of it stays as it is."""
    ring = state.ring
    return ring is not None and state.anchor is not None and gap - memory(state.judge) < ring.start
