"""What a seasonal model says of a bucket before it is seen."""

from typing import NamedTuple


class Ahead(NamedTuple):
    """Of an active bucket that is to come, on the scale.

    place: expected. base: the same without what the latest deviation lets expect. noise: variance of what is new in
    a bucket. level_variance: of the level. spread: of everything together, a standard deviation. steps: buckets since
    the latest one learned. effects, doubts: of each of its slots, what is in it, and the variance of that.
    """

    place: float
    base: float
    noise: float
    level_variance: float
    spread: float
    steps: int
    effects: list[float]
    doubts: list[float]


# Plain tuples, since making a named one takes longer than what is worked out for it.
Reaches = tuple[float, float, float]
"""How far below and above what is expected the bounds lie, and how far that of a single bucket does, on the scale."""
Beside = tuple[float, float, float]
"""How far below and above an hour's effect those of its neighbours lie, where it may be one of them by now; and how
much nearer to zero a bucket is on the quietest weekday."""
Outlook = tuple[Ahead, Reaches, Beside]
"""Of a bucket that does not rest."""
Places = tuple[float, float, float]
"""The lower bound of a bucket, what is expected of it, and its upper bound, on the scale."""
