"""Memories of what has been seen, each a few hundred typical points; how far a new point is from all of them is new.

Several memories look at the same bucket through different features. They lie in one array, so that one pass of numpy
asks all of them: a pass costs microseconds, and most of that is the call.
Source: the leader algorithm (Hartigan, 1975), with the least recently used prototype making room.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.detector import StateError
from detectors.extremes import are_tame

Floats = NDArray[np.float64]

WIDEST = 3
"""Features a memory may look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one memory looks at. features: their places among those of a bucket, at most WIDEST.

    vigilance: a point further than this from every prototype becomes one, in spreads of the features.
    """

    features: tuple[int, ...]
    vigilance: float


@dataclass(frozen=True, slots=True)
class Line:
    """Squared distances of the prototypes from a point that moves: parabolas, all of one curvature."""

    constant: Floats
    linear: Floats
    curve: float

    def distances(self, steps: Floats) -> Floats:
        """From the nearest prototype, after each of the *steps*; 0 for an empty memory."""
        if not self.constant.size:
            return np.zeros(steps.size)
        squares: Floats = (self.constant + steps[:, None] * self.linear).min(axis=1) + self.curve * steps * steps
        return np.sqrt(np.maximum(squares, 0.0))


class Prototypes:
    """One memory of at most *size* prototypes for each view.

    >>> memory = Prototypes((View(features=(0,), vigilance=0.5),), size=8)
    >>> for value in (10.0, 10.1, 20.0):
    ...     memory.learn_one([value], memory.nearest([value], [1.0]))
    >>> [round(float(d), 2) for d in memory.nearest([20.4], [1.0])[0]], memory.counts
    ([0.4], [2])
    """

    __slots__ = ("_clock", "_places", "_points", "_rows", "_size", "_used", "_views", "counts")

    def __init__(self, views: Sequence[View], size: int) -> None:
        self._views = tuple(views)
        self._size = size
        # A view of fewer features than WIDEST looks at place -1: a zero that is put behind the features.
        self._places = np.array([[*view.features, *[-1] * WIDEST][:WIDEST] for view in views]).T
        self._points: Floats = np.zeros((WIDEST, len(views), size))
        self._points[0] = np.inf  # what is not there yet is infinitely far
        self._used = np.zeros((len(views), size), dtype=np.int64)
        self._clock = 0
        self.counts = [0] * len(views)

    def nearest(self, features: Sequence[float], spreads: Sequence[float]) -> tuple[list[float], list[int]]:
        """For each view the distance to the nearest prototype, in spreads, and its number; 0 for an empty memory."""
        query = np.array([*features, 0.0])[self._places][:, :, None]
        spread = np.array([*spreads, 1.0])[self._places][:, :, None]
        off = self._points - query
        off /= spread
        off *= off
        squares = off[0]
        squares += off[1]
        squares += off[2]
        numbers = squares.argmin(axis=1).tolist()
        distances = [
            float(squares[view, number]) ** 0.5 if self.counts[view] else 0.0 for view, number in enumerate(numbers)
        ]
        return distances, numbers

    def along(self, features: Sequence[float], slopes: Sequence[float], spreads: Sequence[float]) -> list[Line]:
        """What `nearest` needs to answer for many points on a line; one for each view.

        features: where the line begins. slopes: by how much each of them changes with a step of one.
        """
        lines = []
        for number, view in enumerate(self._views):
            points = self._points[:, number, : self.counts[number]]
            constant, linear, curve = 0.0, 0.0, 0.0
            for place, feature in enumerate(view.features):
                off = (features[feature] - points[place]) / spreads[feature]
                constant = constant + off * off
                if slopes[feature]:
                    slope = slopes[feature] / spreads[feature]
                    linear = linear + 2.0 * slope * off
                    curve += slope * slope
            lines.append(Line(np.asarray(constant), np.asarray(linear), curve))
        return lines

    def learn_one(self, features: Sequence[float], nearest: tuple[list[float], list[int]]) -> None:
        """nearest: what `nearest` says of these features."""
        self._clock += 1
        for view, (distance, number) in enumerate(zip(*nearest, strict=True)):
            count = self.counts[view]
            if count and distance <= self._views[view].vigilance:
                self._used[view, number] = self._clock
                continue
            if count < self._size:
                self.counts[view] = count + 1
                number = count
            else:
                number = int(self._used[view].argmin())
            self._used[view, number] = self._clock
            for place, feature in enumerate(self._views[view].features):
                self._points[place, view, number] = features[feature]

    def move(self, feature: int, moved: Callable[[Floats], Floats]) -> None:
        """Replace one feature of all prototypes by what *moved* makes of it."""
        for number, view in enumerate(self._views):
            if feature in view.features:
                known = self._points[view.features.index(feature), number, : self.counts[number]]
                known[:] = moved(known.copy())

    def export(self) -> tuple[float, ...]:
        """For each view how many, their features one after the other, then how recently each was met, as ranks."""
        numbers: list[float] = []
        for number, view in enumerate(self._views):
            count = self.counts[number]
            numbers.append(float(count))
            for place in range(len(view.features)):
                numbers.extend(self._points[place, number, :count].tolist())
            numbers.extend(self._ranks(number).astype(float).tolist())
        return tuple(numbers)

    def restore(self, numbers: Sequence[float]) -> int:
        """Take over what stands at the beginning of *numbers*; returns how many of them that were.

        numbers: finite. Raises StateError when they are no memories of these views; then use this object no more.
        """
        at = 0
        for number, view in enumerate(self._views):
            if at >= len(numbers) or not 0 <= numbers[at] <= self._size or numbers[at] % 1:
                raise StateError("expected the number of prototypes of a memory")
            count = int(numbers[at])
            at += 1
            size = (len(view.features) + 1) * count
            if at + size > len(numbers):
                raise StateError(f"expected {count} prototypes, got fewer numbers")
            table = np.array(numbers[at : at + size]).reshape(len(view.features) + 1, count)
            if sorted(table[-1]) != list(range(count)):
                raise StateError("expected the ranks of the prototypes of a memory")
            if not are_tame(table.flat):
                raise StateError("expected prototypes within bounds")
            self._points[: len(view.features), number, :count] = table[:-1]
            self._used[number, :count] = table[-1]
            self.counts[number] = count
            at += size
        self._clock = self._size
        return at

    def _ranks(self, view: int) -> NDArray[np.int64]:
        """0 for the prototype that was met longest ago."""
        ranks = np.empty(self.counts[view], dtype=np.int64)
        ranks[self._used[view, : self.counts[view]].argsort()] = np.arange(self.counts[view])
        return ranks
