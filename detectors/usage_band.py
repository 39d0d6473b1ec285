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
_GROWTH = 1.3
_STEPS = 60
"""The values asked about lie from a twentieth of a spread to some 250,000 spreads away from what is expected."""
_OFFSETS: Floats = np.array([_FINEST * _GROWTH**step for step in range(_STEPS)])
_PARTS: Floats = np.linspace(0.0, 1.0, 18)[1:-1]
"""Between the last ordinary value and the first strange one, these places are asked about again."""


class OrdinaryRange:
    """Which values are ordinary, as of one moment.

    strengths: how strange each of many values is. needed: from here on a value is no longer ordinary.

    >>> found = OrdinaryRange(lambda values: np.abs(values - 40.0), expected=42.0, spread=1.0, needed=10.0)
    >>> round(found.lower, 1), found.expected, round(found.upper, 1)
    (30.1, 42.0, 50.0)
    """

    __slots__ = ("_grid", "_ordinary", "expected", "lower", "upper")

    def __init__(self, strengths: Callable[[Floats], Floats], *, expected: float, spread: float, needed: float) -> None:
        offsets = spread * _OFFSETS
        self._grid: Floats = np.concatenate([expected - offsets[::-1], [expected], expected + offsets])
        self._ordinary = strengths(self._grid) < needed
        places = np.flatnonzero(self._ordinary)
        if not places.size:
            self.lower = self.expected = self.upper = expected
            return
        first, last = int(places[0]), int(places[-1])
        nearest = int(places[np.abs(places - _STEPS).argmin()])
        self.expected = float(self._grid[nearest])
        self.lower, self.upper = self._refine(strengths, needed, first, last)

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

    def _refine(
        self, strengths: Callable[[Floats], Floats], needed: float, first: int, last: int
    ) -> tuple[float, float]:
        grid = self._grid
        low, high = float(grid[first]), float(grid[last])
        lower_part = low + (grid[max(first - 1, 0)] - low) * _PARTS
        upper_part = high + (grid[min(last + 1, grid.size - 1)] - high) * _PARTS
        ordinary = strengths(np.concatenate([lower_part, upper_part])) < needed
        below, above = lower_part[ordinary[: _PARTS.size]], upper_part[ordinary[_PARTS.size :]]
        return (min(low, *below.tolist()) if below.size else low, max(high, *above.tolist()) if above.size else high)
