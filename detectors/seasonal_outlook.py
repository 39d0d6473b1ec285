"""What a seasonal model says of a bucket before it is seen."""

from typing import NamedTuple


class Ahead(NamedTuple):
    """Of an active bucket that is to come, on the scale.

    place: expected. base: the same without what the latest deviation lets expect. noise: variance of what is new in
    a bucket. level_variance: of the level. spread: of everything together, a standard deviation. steps: buckets since
    the latest one learned. doubts: variance of the effect of each of its slots. part: of the effect of its hour of
    the week, so much is in it.
    """

    place: float
    base: float
    noise: float
    level_variance: float
    spread: float
    steps: int
    doubts: list[float]
    part: float


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
