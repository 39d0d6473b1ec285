"""How long to wait after failures in a row. Pure."""

_MAX_DOUBLINGS = 30
"""Python's integers grow without end and then fit no float, at 1,024 failures: five days of a mount that is away."""


def backoff_seconds(failures: int, *, first: float = 1.0, longest: float) -> float:
    """*first* seconds after the first failure, twice as long after every further one, at most *longest*.

    failures: in a row, from 1.

    >>> [backoff_seconds(failures, longest=30.0) for failures in (1, 2, 3, 6, 2000)]
    [1.0, 2.0, 4.0, 30.0, 30.0]
    """
    return min(first * float(2 ** min(max(failures, 1) - 1, _MAX_DOUBLINGS)), longest)
