"""What peers cost, for those that have no past of their own: a limit that few of them reach."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from connectors.series import Grain
from service.core.ring import Ring


class Window(NamedTuple):
    """Buckets from *start* on, before *until*; every *stride*-th of them is asked for."""

    start: int
    until: int
    stride: int


class Span(NamedTuple):
    """Of one grain, in buckets. Newcomers that begin in the same *epoch* borrow the same; one whole epoch lies
    between the *window* they borrow from and their own, so that it is closed when they come. aside: so many of a
    peer's highest buckets are set aside as unusual. margin: the shorter the bucket, the more it scatters. smooth: a
    newcomer's bucket is judged together with those before it, so many in all."""

    epoch: int
    window: int
    stride: int
    aside: int
    margin: float
    smooth: int


SPANS = {
    Grain.DAY: Span(epoch=1, window=7, stride=1, aside=2, margin=1.15, smooth=1),
    Grain.HOUR: Span(epoch=24, window=168, stride=3, aside=4, margin=1.5, smooth=6),
    Grain.FIVE_MINUTES: Span(epoch=36, window=144, stride=3, aside=4, margin=2.0, smooth=12),
    Grain.MINUTE: Span(epoch=60, window=240, stride=5, aside=4, margin=2.0, smooth=30),
}
_FEW = 8.0
"""The limit of n peers is margin + _FEW / n times what the costliest of them costs: the fewer are known, the wider."""
_FEWEST = 5
"""Of fewer peers nothing is usual."""
_RARE = 200
"""Of so many peers one may reach the limit."""


class Prior(NamedTuple):
    """What a newcomer borrows. start: number of the first bucket it was taken from: its version.

    peers: how many there were. below: how many of them never came near *limit*, nano-units a bucket.
    """

    start: int
    peers: int
    below: int
    limit: int


def window_before(first: int, grain: Grain) -> Window:
    """Where a series that begins with bucket *first* looks.

    >>> window_before(100, Grain.DAY)
    Window(start=92, until=99, stride=1)
    """
    span = SPANS[grain]
    until = first // span.epoch * span.epoch - span.epoch
    return Window(until - span.window, until, span.stride)


def usual_peak(ring: Ring | None, window: Window, *, aside: int) -> int | None:
    """The highest of a peer's buckets but for what is rare, nano-units; None when half of them are missing."""
    if ring is None:
        return None
    asked = range(window.start, window.until, window.stride)
    values = sorted(ring.value(index) for index in asked if ring.is_present(index))
    if 2 * len(values) < len(asked):
        return None
    return values[-1 - aside]


def prior_of(peaks: Sequence[int], window: Window, *, floor: int, margin: float) -> Prior | None:
    """None where there are too few peers to say what is usual. floor: nano-units; no limit is lower.

    The k-th largest of n exchangeable values is exceeded by another one in k of n + 1 cases, whatever their
    distribution (as in conformal prediction).

    >>> prior_of([1_000_000_000] * 99 + [5_000_000_000], Window(0, 7, 1), floor=0, margin=1.2)
    Prior(start=0, peers=100, below=100, limit=6400000000)
    >>> prior_of([1_000_000_000] * 4, Window(0, 7, 1), floor=0, margin=1.2) is None
    True
    """
    if len(peaks) < _FEWEST:
        return None
    ordered = sorted(peaks)
    costly = max(ordered[-max((len(ordered) + 1) // _RARE, 1)], 0)
    limit = max(_rounded_up(costly * (margin + _FEW / len(ordered))), floor)
    return Prior(window.start, len(ordered), sum(peak < limit for peak in ordered), limit)


def _rounded_up(nano: float) -> int:
    """To two digits: a peer that is restated by a little changes nothing that was said."""
    if nano <= 0:
        return 0
    step = int(10 ** max(math.floor(math.log10(nano)) - 1, 0))
    return math.ceil(nano / step) * step
