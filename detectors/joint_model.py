"""How several numbers usually go together, and which of them does not go with the others.

A running covariance of standardised deviations. Its inverse says of each number what the others let expect, and how
sure that is: with P the inverse, the i-th lies (P z)_i / P_ii off, and 1 / P_ii is the variance of that (Whittaker, J.,
1990, Graphical Models in Applied Multivariate Statistics, 5.7). So there is a band for each, given all the others.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.detector import StateError

CLIP = 6.0
"""So many spreads is a deviation learned with at the most: one incident must not teach that two metrics part."""
_RIDGE = 0.02
"""Of the variance of each is taken for its own, or two metrics that are one would know each other exactly."""
_MOST = 100.0
_BELIEVED = 8.0
"""A deviation further off says nothing of what the others should be: it is probably the one that is wrong."""


class Expected(NamedTuple):
    """Of one number, given the others, in its own spreads: where it should be, and with what standard deviation."""

    place: float
    spread: float


class JointModel:
    """Of `size` numbers. memory: beyond so many observations the older ones fade.

    >>> from random import Random
    >>> rng, model = Random(1), JointModel(2, memory=500)
    >>> for _ in range(1000):
    ...     load = rng.gauss(0.0, 1.0)
    ...     model.learn_one([load + rng.gauss(0.0, 0.1), load + rng.gauss(0.0, 0.1)])
    >>> [round(number, 1) for number in model.expected([2.0, -1.5])[0]]  # of the first, as the second is at -1.5
    [-1.5, 0.3]
    """

    __slots__ = ("_count", "_covariance", "_inverse", "_memory", "size")

    def __init__(self, size: int, *, memory: int) -> None:
        self.size = size
        self._memory = memory
        self._count = 0.0
        self._covariance: NDArray[np.float64] = np.eye(size)
        self._inverse: NDArray[np.float64] | None = None

    def expected(self, numbers: Sequence[float]) -> list[Expected]:
        """What the others let expect of each of these standardised deviations."""
        inverse = self._precision()
        believed = np.clip(np.asarray(numbers, dtype=np.float64), -_BELIEVED, _BELIEVED)
        off = inverse @ believed / np.diag(inverse)
        places, spreads = believed - off, 1.0 / np.sqrt(np.diag(inverse))
        return [Expected(float(place), float(spread)) for place, spread in zip(places, spreads, strict=True)]

    def learn_one(self, numbers: Sequence[float]) -> None:
        self._count = min(self._count + 1.0, float(self._memory))
        seen = np.clip(np.asarray(numbers, dtype=np.float64), -CLIP, CLIP)
        self._covariance += (np.outer(seen, seen) - self._covariance) / (self._count + self.size)
        self._inverse = None

    def _precision(self) -> NDArray[np.float64]:
        if self._inverse is None:
            own = np.maximum(np.diag(self._covariance), 0.01)
            ridge = _RIDGE * np.diag(own) + 1e-6 * np.eye(self.size)
            self._inverse = np.asarray(np.linalg.inv(self._covariance + ridge), dtype=np.float64)
        return self._inverse

    def export(self) -> tuple[float, ...]:
        """The count, then the covariance, row after row up to the diagonal."""
        rows, columns = np.tril_indices(self.size)
        return (self._count, *(float(number) for number in self._covariance[rows, columns]))

    @property
    def numbers(self) -> int:
        """How many numbers `export` gives."""
        return 1 + self.size * (self.size + 1) // 2

    def restore(self, state: Sequence[float]) -> None:
        """state: as many numbers as exported, and finite. Raises StateError; then use this object no more."""
        covariance = np.zeros((self.size, self.size))
        rows, columns = np.tril_indices(self.size)
        covariance[rows, columns] = covariance[columns, rows] = np.asarray(state[1:], dtype=np.float64)
        if not 0 <= state[0] <= self._memory or not bool(np.all(np.abs(covariance) <= _MOST)):
            raise StateError("expected a count and covariances within their bounds")
        if not math.isfinite(float(np.linalg.eigvalsh(covariance)[0])) or np.linalg.eigvalsh(covariance)[0] < -1e-6:
            raise StateError("expected a covariance, which no combination makes negative")
        self._count, self._covariance, self._inverse = float(state[0]), covariance, None
