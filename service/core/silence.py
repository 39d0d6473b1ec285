"""Missing, late and zero are three states: which gaps of a series are missing buckets.

A gap is *missing* when its series used to have facts in nearly every bucket, and its sources are complete beyond it.
While a source itself is behind, nothing is complete: that is *late*, and no series is to blame. Nor is it when many
series of a source fall silent at once. A fact of 0 is a fact, and *zero* is judged like any amount.
"""

import math
from collections.abc import Iterator
from statistics import median

from connectors.facts import Basis
from connectors.series import Grain
from detectors.verdict import Band
from service.core.alerts import AlertKind
from service.core.amounts import to_units
from service.core.episodes import Episode, Judged
from service.core.policies import Judge
from service.core.ring import Ring
from service.core.state import SeriesState

_MEMORY = {Grain.DAY: 28, Grain.HOUR: 168, Grain.FIVE_MINUTES: 288, Grain.MINUTE: 360}
"""So many buckets before a gap say how regular a series is."""
_LEAST = {Grain.DAY: 14, Grain.HOUR: 48, Grain.FIVE_MINUTES: 144, Grain.MINUTE: 240}
"""Fewer say nothing."""
_SPARSE = 0.3
"""A series that misses more than this part of its buckets is sparse: no gap of it means anything."""
_CHANCE = 0.001
"""A gap is unusual when, with every bucket missing by chance as often as before, it is no likelier than this."""
_OUTAGE = 3
_SCORE = 0.6
"""A gap says little of how bad it is: at most `medium`."""
_USUAL = 14


def memory(judge: Judge) -> int:
    """So many buckets before a gap say what it means."""
    return _MEMORY[judge.grain]


def patience(judge: Judge, ring: Ring, gap: int) -> int | None:
    """How many buckets from *gap* on must be missing; None for a series of which none ever is.

    A series that misses some of its buckets is waited for longer: until a gap is as long as no other was, and longer
    than chance makes one. A single long one does not count, so that an outage does not excuse the next.
    """
    if not judge.missing_after or _has_moved_away(ring, gap):
        return None
    tags = ring.tags(gap - _MEMORY[judge.grain], gap)
    if len(tags) < _LEAST[judge.grain]:
        return None
    if 0 not in tags:
        return judge.missing_after
    if tags.count(0) > _SPARSE * len(tags):
        return None
    # Runs of missing buckets, shortest first.
    *others, longest = sorted(map(len, bytes(tag == 0 for tag in tags).split(b"\0")))
    missing = tags.count(0)
    if longest >= _OUTAGE and missing - longest <= 1:
        longest, missing = max(others, default=0), missing - longest
        if not missing:
            return judge.missing_after
    share = (missing + 1) / (len(tags) + 2)
    return max(judge.missing_after, longest + 1, math.ceil(math.log(_CHANCE) / math.log(share)))


def _has_moved_away(ring: Ring, gap: int) -> bool:
    """Whether all that was left of a series went to another tag: it has not fallen silent, it has another name."""
    last = gap - 1
    return ring.is_present(last) and ring.moved(last) < 0 and ring.value(last) <= 0


def retired_after(judge: Judge, after: int) -> int:
    """So many missing buckets in a row are taken for the end of the series, and its alert is resolved."""
    return max(judge.accept_after, after + 1)


def gaps(ring: Ring) -> Iterator[int]:
    """Where the gaps within the ring begin."""
    following = ring.start
    for index in ring.present():
        if index > following:
            yield following
        following = index + 1


def gap_end(state: SeriesState, gap: int) -> int | None:
    """Number of the first bucket after *gap* that has facts, closed or open; None when there is none yet."""
    if state.ring is not None:
        for index in state.ring.present(gap):
            return index
    return min((bucket.index for bucket in state.open_buckets if bucket.index >= gap), default=None)


def complete_until(judge: Judge, ready: int) -> int:
    """Number of the first bucket that is not complete when the sources are complete until *ready*."""
    return (ready - judge.lateness_seconds) // judge.grain_seconds


def is_worth_telling(judge: Judge, ring: Ring, gap: int) -> bool:
    """Whether what usually comes reaches the policy's floor: nobody misses a thousandth of a cent."""
    return abs(median(_before(judge, ring, gap))) >= judge.floor


def _before(judge: Judge, ring: Ring, gap: int) -> list[int]:
    """The latest amounts before *gap*; there are some."""
    start = max(gap - _MEMORY[judge.grain], ring.start)
    places = [place for place, tag in enumerate(ring.tags(start, gap), start) if tag][-_USUAL:]
    return [ring.value(index) for index in places]


def missing(judge: Judge, ring: Ring, gap: int, *, count: int, accepted: bool, over: bool) -> Episode:
    """What is said of a gap of *count* buckets. Expected are the amounts before it; what was spent is not known."""
    before = _before(judge, ring, gap)
    expected = round(median(before))
    band = Band(expected=to_units(expected), lower=to_units(min(before)), upper=to_units(max(before)))
    return Episode(
        kind=AlertKind.MISSING,
        first=gap,
        worst=Judged(index=gap, actual=0, basis=_basis_before(ring, gap), band=band, score=_SCORE),
        impact=-expected * count,
        held=(0,) * count,
        over=over,
        accepted=accepted,
    )


def _basis_before(ring: Ring, gap: int) -> Basis:
    return ring.basis(max(index for index in ring.present() if index < gap))
