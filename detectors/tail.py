"""How often a series exceeds a distance by itself: four running numbers, from which a bound follows for any rate.

What a detector calls three spreads happens once a year on one series and once a week on another, whose noise has heavy
tails or comes in runs. Here the distances that a series really gave say how rare the next one is: above their 95 %
quantile they are described by a generalized Pareto distribution (Pickands, J., 1975), fitted by its first two moments
(Hosking, J. R. M. and Wallis, J. R., 1987). Until there are enough of them, what theory says of the detector counts.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

from detectors.detector import StateError

NUMBERS: Final = 4
_OFTEN: Final = 0.05
"""A distance is in the tail when so many are larger."""
_MEMORY: Final = 4000.0
"""Older distances fade beyond so many."""
_WORTH: Final = 100.0
"""Theory counts as so many distances, five of them in the tail."""
_LIGHTEST, _HEAVIEST = -0.15, 0.4
"""Shapes that are believed. Moments tell nothing of tails heavier than 0.5, and a light tail would have an end."""
_HEAVIER = 1.3
"""Before anything is known, it is better to be quiet: real noise is seldom lighter than normal noise."""
_LEAST = 1e-6
_MOST = 1e6
_KNOWN = 20.0
_NORMAL = NormalDist()
_FAR_OFF = -600.0


class Prior(NamedTuple):
    """What theory says: the 95 % quantile, then mean and mean square of what exceeds it."""

    quantile: float
    excess: float
    square: float


def normal_prior(spreads: float) -> Prior:
    """Of a distance that is 1 at so many standard deviations of normal noise, or of slightly heavier tails."""
    return Prior(1.645 / spreads, 0.418 / spreads, _HEAVIER * 0.312 / spreads**2)


class Tail:
    """Of one side; distances are in units of the detector's own bound, and may be negative.

    >>> from random import Random
    >>> rng, tail = Random(1), Tail(normal_prior(3.5))
    >>> round(tail.bound(1 / 1000), 2)  # normal noise: 3.1 / 3.5, and some more for what is not known
    1.0
    >>> for _ in range(4000):  # heavy tails: a student's t with three degrees of freedom
    ...     chi = math.fsum(rng.gauss(0, 1) ** 2 for _ in range(3)) / 3
    ...     tail.learn_one(rng.gauss(0, 1) / math.sqrt(chi) / 3.5)
    >>> round(tail.bound(1 / 1000), 1)  # in truth: 10.2 / 3.5, which is 2.9
    3.5
    """

    __slots__ = ("_count", "_excess", "_quantile", "_square")

    def __init__(self, prior: Prior) -> None:
        self._count = _WORTH
        self._quantile, self._excess, self._square = prior

    def bound(self, rate: float) -> float:
        """The distance that is exceeded at this rate, a share of all buckets below 0.05; always above 0."""
        scale, shape = self._shape()
        times = _OFTEN / rate
        beyond = math.log(times) if abs(shape) < 1e-6 else (times**shape - 1.0) / shape
        return max(self._quantile + scale * beyond, _LEAST)

    def rarity(self, distance: float, rate: float) -> float:
        """How much rarer *distance* is than the bound for *rate*: a logarithm, 0 up to there."""
        bound = self.bound(rate)
        scale, shape = self._shape()
        # The scale of what exceeds the bound. A light tail is continued as an exponential one, which has no end.
        scale = max(scale + shape * (bound - self._quantile), _LEAST)
        beyond = max(distance - bound, 0.0) / scale
        if shape < 1e-6:
            return -beyond
        # A heavy tail is believed as far as any data could show; beyond, what is farther must not seem as usual.
        known = min(beyond, _KNOWN)
        return -(math.log1p(shape * known) / shape + (beyond - known) / (1.0 + shape * known))

    def learn_one(self, distance: float) -> None:
        distance = min(max(distance, -_MOST), _MOST)
        self._count = min(self._count + 1.0, _MEMORY)
        excess = distance - self._quantile
        # A quantile as Robbins, H. and Monro, S., 1951, find a root; the density there is that of an exponential tail.
        step = self._excess / self._count
        self._quantile += step * ((1.0 - _OFTEN) / _OFTEN if excess > 0.0 else -1.0)
        if excess > 0.0:
            weight = 1.0 / (_OFTEN * self._count)
            self._excess = max(self._excess + weight * (excess - self._excess), _LEAST)
            self._square = max(self._square + weight * (excess * excess - self._square), _LEAST**2)

    def _shape(self) -> tuple[float, float]:
        mean = self._excess
        variance = max(self._square - mean * mean, 0.01 * mean * mean)
        shape = min(max(0.5 * (1.0 - mean * mean / variance), _LIGHTEST), _HEAVIEST)
        return mean * (1.0 - shape), shape

    def export(self) -> tuple[float, ...]:
        return (self._count, self._quantile, self._excess, self._square)

    def restore(self, numbers: Sequence[float]) -> None:
        """numbers: NUMBERS as exported, and finite. Raises StateError; then use this object no more."""
        self._count, self._quantile, self._excess, self._square = map(float, numbers)
        if not (0 < self._count <= _MEMORY and abs(self._quantile) <= 2 * _MOST and self._excess > 0 < self._square):
            raise StateError("expected a count, a quantile and positive excesses of a tail")


def spreads_of(rarity: float) -> float:
    """How many standard deviations normal noise exceeds as rarely. rarity: a logarithm, below log(0.5).

    >>> [round(spreads_of(math.log(rate)), 2) for rate in (0.05, 0.001, 1e-9)], round(spreads_of(-2000.0))
    ([1.64, 3.09, 6.0], 63)
    """
    if rarity > _FAR_OFF:
        return -_NORMAL.inv_cdf(math.exp(rarity))
    return math.sqrt(-2.0 * rarity - math.log(-4.0 * math.pi * rarity))
