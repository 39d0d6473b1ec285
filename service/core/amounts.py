"""Amounts as whole nano-units, so that sums never depend on the order of their parts."""

from connectors.facts import MAX_ABS_VALUE

NANO = 1_000_000_000
MAX_NANO = int(MAX_ABS_VALUE) * NANO
"""What connectors.facts.MAX_ABS_VALUE is in nano-units."""
INT64_MAX = 2**63 - 1


def to_nano(value: float) -> int:
    """Raises ValueError for NaN and OverflowError for infinity."""
    return round(value * NANO)


def to_units(nano: int) -> float:
    return nano / NANO


def bound(value: float) -> int:
    """A bound a detector gave, in nano-units, held within what amounts can be; infinities become the limits."""
    if value >= 2 * MAX_ABS_VALUE:
        return 2 * MAX_NANO
    if value <= -2 * MAX_ABS_VALUE:
        return -2 * MAX_NANO
    return round(value * NANO)


def mean(total: int, count: int) -> int:
    """Rounded half up, in integers: the same whatever the order of what was added."""
    return (2 * total + count) // (2 * count)
