"""When a series is complete, and who wakes it then.

A series is woken by its sources, once for the next thing that may happen to it: its oldest open bucket closes, the
bucket after an episode closes without a fact, or so many have none that they are missing.
"""

from connectors.facts import Basis
from service.core.alerts import AlertStatus
from service.core.identity import told_missing
from service.core.ring import Ring
from service.core.silence import complete_until, patience, retired_after
from service.core.sources import NEVER, hold_seconds
from service.core.state import SeriesState


def ready_until(state: SeriesState) -> int:
    """Until when the series is complete: as soon as all sources of one basis say so.

    Metered estimates need not wait for the bill. A source that is `hold_seconds` behind another of its basis is not
    waited for: it may never come back.
    """
    sources = state.sources
    grain_seconds = state.judge.grain_seconds
    if len(sources) == 1:
        return sources[0][0].mark(grain_seconds)
    ready = NEVER
    for basis in (Basis.ESTIMATED, Basis.BILLED):
        marks = [source.mark(grain_seconds) for source, its_basis in sources if its_basis is basis]
        if marks:
            front = max(marks) - hold_seconds(grain_seconds)
            ready = max(ready, min(mark for mark in marks if mark >= front))
    return ready


def watch(state: SeriesState, index: int) -> None:
    """Have the sources wake the series when bucket *index* is complete."""
    close_at = state.judge.close_at(index)
    if state.watched_at <= close_at:
        return
    state.watched_at = close_at
    grain_seconds = state.judge.grain_seconds
    hold = hold_seconds(grain_seconds)
    marks = [source.mark(grain_seconds) for source, _ in state.sources]
    for (source, _), mark in zip(state.sources, marks, strict=True):
        if mark < close_at:
            source.watch(close_at, state)
        else:  # it waits for others: ask again when the one behind it would not be waited for any more
            behind = min(other for other in marks if other >= mark - hold)
            source.watch(behind + hold + 1, state)


def watch_next(state: SeriesState) -> None:
    """Watch for what closes next: the oldest open bucket, and the one whose absence ends an episode.

    What could close already is not watched for: it waits for a watermark, or is about to close.
    """
    ready = ready_until(state)
    for bucket in state.open_buckets:
        if ready < state.judge.close_at(bucket.index):
            watch(state, bucket.index)
            break
    run = state.run
    if run is not None and ready < state.judge.close_at(state.judge.over_with(run)):
        watch(state, state.judge.over_with(run))
    silent = next_silence(state, ready)
    if silent is not None and ready < state.judge.close_at(silent):
        watch(state, silent)


def next_silence(state: SeriesState, ready: int) -> int | None:
    """Number of the bucket with which there will be something to say about a series without open buckets: that it is
    missing, that it is missing alone while others of its source were too, or that it is gone for good."""
    ring, judge = state.ring, state.judge
    if ring is None or state.bucket is not None or state.others:
        return None
    next_one = complete_until(judge, ready)
    silent = _next_of_gap(state, ring, ready)
    return next_one if state.rare.awaited and (silent is None or next_one < silent) else silent


def _next_of_gap(state: SeriesState, ring: Ring, ready: int) -> int | None:
    """The same of the gap that the ring ends with."""
    judge = state.judge
    gap = ring.end
    after = patience(judge, ring, gap)
    if after is None:
        return None
    retired = gap + retired_after(judge, after) - 1
    known = told_missing(state.rare.reported, gap)
    if known is not None:
        return retired if known.status is AlertStatus.FIRING else None
    due = gap + after - 1
    if ready < judge.close_at(due):
        return due
    again = complete_until(judge, ready)
    return again if again <= retired else None


def comes_due(state: SeriesState) -> bool:
    """Whether what the series was watched for is still there, and complete.

    What waits for a watermark is complete already, and is no reason to close anything now.
    """
    if state.rare.waits_for is None:
        return is_due(state)
    at = state.watched_at
    close_at = state.judge.close_at
    if ready_until(state) < at:
        return False
    if state.run is not None and close_at(state.judge.over_with(state.run)) == at:
        return True
    return any(close_at(bucket.index) == at for bucket in state.open_buckets)


def is_due(state: SeriesState) -> bool:
    """Whether a series that waits for no watermark has a bucket to close or to fold again, or an episode that a
    missing bucket has ended."""
    if state.unsettled is not None:
        return True
    ready = ready_until(state)
    close_at = state.judge.close_at
    if any(close_at(bucket.index) <= ready for bucket in state.open_buckets):
        return True
    if state.run is not None and close_at(state.judge.over_with(state.run)) <= ready:
        return True
    return is_silent(state, ready)


def is_silent(state: SeriesState, ready: int) -> bool:
    """Whether it has been missing for long enough that there may be something to say now."""
    ring = state.ring
    if ring is None or state.bucket is not None or state.others:
        return False
    if state.rare.awaited:
        return True
    gone = complete_until(state.judge, ready) - ring.end
    if not 0 < state.judge.missing_after <= gone:
        return False
    after = patience(state.judge, ring, ring.end)
    return after is not None and after <= gone
