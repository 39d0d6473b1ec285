"""Where a series may be folded again from, beside the start of its ring: what comes late changes what is near its end.

Of late records most are a few hours late, some days; so footholds lie close together near the end and far apart before.
They are left out of snapshots, since folding from the ring's start gives the same, and only the series that were
restated last have them.
"""

from collections.abc import Sequence

from connectors.series import Grain
from service.core.state import Foothold, SeriesState

KEPT_SERIES = 2048
"""So many series have footholds at a time: up to nine, of 5 kB each for hours."""
LET_GO_AFTER = 8
"""So many steps without a restatement, and a series' footholds are let go."""
_STEP = {Grain.DAY: 4, Grain.HOUR: 12, Grain.FIVE_MINUTES: 12, Grain.MINUTE: 15}
"""Buckets from one to the next, near the end; before, four times as many."""
_NEAR = 4
_FAR = 16
"""Footholds lie within so many steps of the end, near and far ones."""


class Footholds:
    """Of all series; first in, first out beyond *limit* of them."""

    __slots__ = ("_kept", "_limit")

    def __init__(self, limit: int = KEPT_SERIES) -> None:
        self._limit = limit
        self._kept: dict[SeriesState, None] = {}

    def put(self, state: SeriesState, start: int, found: Sequence[Foothold], *, end: int) -> None:
        """Those that were found when the ring was folded from *start* to *end*; those up to *start* hold still."""
        step = _STEP[state.judge.grain]
        known = [
            foothold
            for foothold in state.rare.footholds or ()
            if foothold.bucket == start or (foothold.bucket < start and _stays(foothold.bucket, step, end))
        ]
        self._set(state, (*known, *found))

    def drop(self, state: SeriesState) -> None:
        """None holds any more."""
        self._set(state, ())

    def drop_before(self, state: SeriesState, index: int) -> None:
        """They have left the ring."""
        known = state.rare.footholds
        if known is not None and known[0].bucket < index:
            self._set(state, tuple(foothold for foothold in known if foothold.bucket >= index))

    def drop_old(self, state: SeriesState, end: int) -> None:
        """Where nothing was restated for long."""
        known = state.rare.footholds
        if known is not None and end - known[-1].bucket > LET_GO_AFTER * _STEP[state.judge.grain]:
            self.drop(state)

    def _set(self, state: SeriesState, footholds: tuple[Foothold, ...]) -> None:
        kept = self._kept
        if not footholds:
            if state.rare.footholds is not None:
                state.rare.footholds = None
                kept.pop(state, None)
            return
        state.own_rare().footholds = footholds
        if state not in kept:
            kept[state] = None
            if len(kept) > self._limit:
                oldest = next(iter(kept))
                del kept[oldest]
                oldest.rare.footholds = None
                oldest.give_back()


def at_or_before(state: SeriesState, index: int) -> Foothold | None:
    """The latest foothold from which bucket *index* is folded too."""
    found = None
    for foothold in state.rare.footholds or ():
        if foothold.bucket > index:
            break
        found = foothold
    return found


def places(grain: Grain, start: int, end: int, restated: int) -> list[int]:
    """Where a ring that is folded from *start* to *end* gets footholds: among others before what was restated, since
    what is late once is often late again.

    >>> places(Grain.DAY, 0, 90, 81)
    [32, 48, 64, 76, 80, 81, 84, 88]
    """
    step = _STEP[grain]
    near, far = end - _NEAR * step, end - _FAR * step
    found = {restated, *range(-(-far // (_NEAR * step)) * _NEAR * step, end, _NEAR * step)}
    found.update(range(-(-near // step) * step, end, step))
    return sorted(index for index in found if start < index < end)


def _stays(bucket: int, step: int, end: int) -> bool:
    far = _NEAR * step
    return bucket >= end - _FAR * step and (bucket % far == 0 or (bucket % step == 0 and bucket >= end - far))
