"""Between which values a bucket would be ordinary, found by asking the model about many values at once.

The usage detector does not think in bounds: it asks how strange a value is, and between two values it knows well there
may be a stretch it has never seen. The band runs from the lowest to the highest ordinary value; for a strange value in
between it ends where the ordinary ones end before it, on the way from what is expected.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FINEST = 0.05
_GROWTH = 1.6
_STEPS = 24
"""The values asked about lie from a twentieth of a spread to some 2,500 spreads away from what is expected."""
_AWAY = [_FINEST * _GROWTH**step for step in range(_STEPS)]
_GRID: Floats = np.array([*(-away for away in reversed(_AWAY)), 0.0, *_AWAY])
_PARTS: Floats = np.linspace(0.0, 1.0, 10)[1:-1]
"""Between the last ordinary value and the first strange one, these places are asked about again."""


class OrdinaryRange:
    """Which values are ordinary, as of one moment.

    strengths: how strange the values are that lie so far from what is expected. needed: from here on a value is no
    longer ordinary.

    >>> found = OrdinaryRange(lambda steps: np.abs(steps + 2.0), expected=42.0, spread=1.0, needed=10.0)
    >>> round(found.lower, 1), found.expected, round(found.upper, 1)
    (30.3, 42.0, 49.7)
    """

    __slots__ = ("_grid", "_ordinary", "expected", "lower", "upper")

    def __init__(self, strengths: Callable[[Floats], Floats], *, expected: float, spread: float, needed: float) -> None:
        steps = spread * _GRID
        self._grid: Floats = expected + steps
        self._ordinary = strengths(steps) < needed
        places = np.flatnonzero(self._ordinary)
        if not places.size:
            self.lower = self.expected = self.upper = expected
            return
        first, last = int(places[0]), int(places[-1])
        nearest = int(places[np.abs(places - _STEPS).argmin()])
        self.expected = float(self._grid[nearest])
        below = steps[first] + (steps[max(first - 1, 0)] - steps[first]) * _PARTS
        above = steps[last] + (steps[min(last + 1, steps.size - 1)] - steps[last]) * _PARTS
        ordinary = strengths(np.concatenate([below, above])) < needed
        below, above = below[ordinary[: _PARTS.size]], above[ordinary[_PARTS.size :]]
        self.lower = float(expected + (below.min() if below.size else steps[first]))
        self.upper = float(expected + (above.max() if above.size else steps[last]))

    def towards(self, value: float) -> float:
        """The last ordinary value on the way from what is expected to a strange *value* within the range."""
        grid = self._grid
        between = (
            (grid < value) & (grid >= self.expected)
            if value > self.expected
            else (grid > value) & (grid <= self.expected)
        )
        known = grid[between & self._ordinary]
        if not known.size:
            return self.expected
        return float(known.max() if value > self.expected else known.min())
