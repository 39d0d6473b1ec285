"""Says which series have fallen silent, and which only together with their source."""

from collections.abc import Iterable

from service.core.alerts import AlertKind, AlertStatus
from service.core.episodes import Episode
from service.core.peers import Peers, Silence
from service.core.silence import complete_until, gap_end, gaps, memory, missing, patience, retired_after
from service.core.state import SeriesState


class Listening:
    """withheld: series that are missing with so many others of their source that it is late rather than they."""

    __slots__ = ("_peers", "withheld")

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self.withheld: dict[SeriesState, None] = {}

    def is_told(self, state: SeriesState) -> bool:
        """Whether anything was said of a gap that is still in the ring."""
        return any(kind is AlertKind.MISSING for _, kind in state.rare.reported or ())

    def gaps_of(self, state: SeriesState, ready: int) -> list[int]:
        """The gaps to look at when the series is: the one it is in, and all, when its peers have changed."""
        ring = state.ring
        if ring is None or not state.judge.missing_after:
            return []
        if self._peers.is_affected(state):
            return self.all_gaps(state)
        return [ring.end] if complete_until(state.judge, ready) - ring.end >= state.judge.missing_after else []

    def all_gaps(self, state: SeriesState) -> list[int]:
        ring = state.ring
        if ring is None or not state.judge.missing_after:
            return []
        return [*(gap for gap in gaps(ring) if not is_final(state, gap)), ring.end]

    def episodes(self, state: SeriesState, asked: Iterable[int], ready: int) -> list[tuple[Episode, AlertStatus]]:
        """What is missing in the gaps that begin at *asked*, and in those that something was said of."""
        known = [
            told.first
            for told in (state.rare.reported or {}).values()
            if told.kind is AlertKind.MISSING and (told.status is AlertStatus.FIRING or not is_final(state, told.first))
        ]
        found: list[tuple[Episode, AlertStatus]] = []
        for gap in sorted({*asked, *known}):
            episode = self._look_at(state, gap, ready)
            if episode is not None:
                found.append(episode)
        return found

    def _look_at(self, state: SeriesState, gap: int, ready: int) -> tuple[Episode, AlertStatus] | None:
        ring, judge = state.ring, state.judge
        if ring is None or any(ring.tags(gap, gap + 1)):
            return None
        going_on = gap == ring.end
        self.withheld.pop(state, None)
        after = patience(judge, ring, gap)
        if after is None:
            return None
        end = gap_end(state, gap)
        if going_on and end is not None and (gap, AlertKind.MISSING) not in (state.rare.reported or {}):
            return None  # told when the bucket after it closes, whoever else asks before
        length = (complete_until(judge, ready) if end is None else end) - gap
        if length < after:
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


def is_final(state: SeriesState, gap: int) -> bool:
    """Whether what came before a gap has begun to leave the ring: what was said of it stays as it is."""
    ring = state.ring
    return ring is not None and state.anchor is not None and gap - memory(state.judge) < ring.start
