"""What a series has cost in the newest month: the ring, and what has left it."""

from service.core.amounts import to_units
from service.core.instants import to_datetime
from service.core.ring import Ring
from service.core.state import SeriesState


def month_to_date(state: SeriesState) -> tuple[str, float] | None:
    """The newest month with facts, and its sum in units of the series; None for a series that has begun anew."""
    known: list[tuple[int, int]] = []
    ring = state.ring
    if ring is not None:
        known += [(index, ring.value(index)) for index in ring.present()]
    known += [(bucket.index, bucket.value) for bucket in state.open_buckets]
    if not known:
        return None
    grain_seconds = state.judge.grain_seconds
    by_month = [(month_of(index * grain_seconds), nano) for index, nano in known]
    newest = max(month for month, _ in by_month)
    total = sum(nano for month, nano in by_month if month == newest)
    left = state.rare.left
    if left is not None and left[0] == newest:
        total += left[1]
    return month_text(newest), to_units(total)


def keep_month(state: SeriesState, ring: Ring, until: int) -> None:
    """Of what leaves the ring, add up what belongs to the newest month."""
    grain_seconds = state.judge.grain_seconds
    last = min(until, ring.end) - 1
    if month_of(last * grain_seconds) == month_of((ring.end - 1) * grain_seconds):
        for index in range(ring.start, last + 1):
            if ring.is_present(index):
                add_to_month(state, index, ring.value(index))


def add_to_month(state: SeriesState, index: int, nano: int) -> None:
    """Count a bucket that is not in the ring; months before the newest are forgotten."""
    month = month_of(index * state.judge.grain_seconds)
    if month == month_of(state.head_index * state.judge.grain_seconds):
        left = state.rare.left
        before = left[1] if left is not None and left[0] == month else 0
        state.own_rare().left = (month, before + nano)


def month_of(seconds: int) -> int:
    """Year * 12 + month - 1, UTC."""
    at = to_datetime(seconds)
    return at.year * 12 + at.month - 1


def month_text(month: int) -> str:
    return f"{month // 12:04}-{month % 12 + 1:02}"
