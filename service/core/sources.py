"""Who says it, and how far in event time each source has come.

A source is the part of an origin before the first colon. Its mark tells until when its facts are complete:

- A source that sends watermarks is taken at its word. Only when its facts run eight days, three days of hours or eight
  finer buckets ahead of its word is the word taken for stale, and the mark follows the facts at that distance.
- A source that never sent one is complete until the newest charge period start among its facts.

Both move in event time and by records only, so a replay moves them the same way.
"""

import heapq
from typing import TYPE_CHECKING

from connectors.series import Grain
from service.core.event_ids import EventHash

if TYPE_CHECKING:
    from service.core.ring import Stamps
    from service.core.state import SeriesState

NEVER = -(2**62)
FOREVER = 2**62
MAX_BEHIND_SECONDS = 3_653 * 86_400
"""Ten years: what is further behind the newest fact of its source is a mistake."""
_HOLD = 8
_HOLD_HOURS = 72
"""A bill by the hour may be complete a day late, and states the hours since then all the same."""


def hold_seconds(grain_seconds: int) -> int:
    """So far behind, a source no longer keeps others waiting."""
    return (_HOLD_HOURS if grain_seconds == Grain.HOUR.seconds else _HOLD) * grain_seconds


class Lane:
    """The series of one grain that wait for one source, by the time that their bucket closes."""

    __slots__ = ("grain_seconds", "hold", "times", "waiting")

    def __init__(self, grain_seconds: int) -> None:
        self.grain_seconds = grain_seconds
        self.hold = hold_seconds(grain_seconds)
        self.times: list[int] = []
        self.waiting: dict[int, list[SeriesState]] = {}

    def add(self, close_at: int, state: "SeriesState") -> None:
        waiting = self.waiting.get(close_at)
        if waiting is None:
            heapq.heappush(self.times, close_at)
            self.waiting[close_at] = [state]
        elif waiting[-1] is not state:
            waiting.append(state)

    def take(self, mark: int) -> "list[SeriesState]":
        """Those whose bucket closes at *mark* or before, in order of time; a series may come twice."""
        taken: list[SeriesState] = []
        while self.times and self.times[0] <= mark:
            taken += self.waiting.pop(heapq.heappop(self.times))
        return taken


class Source:
    """seen: newest start among its facts; oldest: what is before it is refused; word: newest watermark it sent.

    wake: the `seen` at which a bucket closes."""

    __slots__ = ("lanes", "name", "oldest", "seen", "shared_stamps", "unsettled", "wake", "word")

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen = NEVER
        self.oldest = NEVER
        self.word = NEVER
        self.wake = FOREVER
        self.shared_stamps: dict[Stamps, Stamps] = {}
        """Of the rings of its series; see there."""
        self.lanes: dict[int, Lane] = {}
        self.unsettled: dict[SeriesState, None] = {}
        """Series with restated buckets that are folded again at this source's next watermark, in order of arrival."""

    def see(self, seconds: int) -> None:
        """A fact newer than all before it."""
        self.seen = seconds
        self.oldest = seconds - MAX_BEHIND_SECONDS

    @property
    def has_word(self) -> bool:
        return self.word != NEVER

    def mark(self, grain_seconds: int) -> int:
        """Until when the facts of series of this grain are complete."""
        if self.word == NEVER:
            return self.seen
        return max(self.word, self.seen - hold_seconds(grain_seconds))

    def watch(self, close_at: int, state: "SeriesState") -> None:
        grain_seconds = state.judge.grain_seconds
        lane = self.lanes.get(grain_seconds)
        if lane is None:
            lane = self.lanes[grain_seconds] = Lane(grain_seconds)
        lane.add(close_at, state)
        self.wake = min(self.wake, close_at if self.word == NEVER else close_at + lane.hold)

    def take_due(self) -> "list[SeriesState]":
        """The series that waited for what the mark has passed; sets `wake` anew."""
        due: list[SeriesState] = []
        wake = FOREVER
        for grain_seconds, lane in self.lanes.items():
            due += lane.take(self.mark(grain_seconds))
            if lane.times:
                wait = lane.times[0] if self.word == NEVER else lane.times[0] + lane.hold
                wake = min(wake, wait)
        self.wake = wake
        return due


class Origin:
    """One `<source>:<delivery>`; an engine shares one object per name among its series, as long as it can."""

    __slots__ = ("_revision", "_stamp", "digest_of", "name", "source")

    def __init__(self, name: str, source: Source) -> None:
        self.name = name
        self.source = source
        self.digest_of = EventHash(name)
        self._revision = 0
        self._stamp: tuple[bool, Origin, int] | None = None

    def shared_revision(self, revision: int) -> int:
        """The same number, as one object for all the series of a delivery."""
        if revision != self._revision:
            self._revision = revision
        return self._revision

    def stamp(self, revision: int, *, billed: bool) -> "tuple[bool, Origin, int]":
        """(billed, self, revision), as one object for all the series of a delivery."""
        stamp = self._stamp
        if stamp is None or stamp[2] != revision or stamp[0] is not billed:
            stamp = self._stamp = (billed, self, revision)
        return stamp

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Origin({self.name!r})"
