"""Online statistics that stay sound where river's do not, as subclasses of river's own base classes.

river's EWVar is E[x²] - E[x]²: for a large mean and a small spread it turns negative (a constant 1234567.89 does).
`utils.Rolling` keeps 200 bytes a value, and reverting loses digits with every step. These here plug into everything
that takes a `river.stats.base.Univariate`, refuse NaN and infinity, and survive values up to the largest float.
"""

import math
from array import array
from collections.abc import Sequence

from river import stats

from detectors.guards import MAX_FLOAT, clamp, finite

_SQUARES_FIT = 1e150


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (ddof 1), exactly summed in two passes; finite for finite values.

    values: at least one; the deviation of a single one is 0.

    >>> mean_and_sd([1e9 + 1, 1e9 + 2, 1e9 + 3])
    (1000000002.0, 1.0)
    """
    count = len(values)
    largest = max(map(abs, values))
    if largest < _SQUARES_FIT:
        mean = math.fsum(values) / count
        if count == 1:
            return mean, 0.0
        differences = [value - mean for value in values]
        # The mean itself was rounded; without this a large constant had a deviation (Chan, Golub, LeVeque 1983).
        rounding = math.fsum(differences) ** 2 / count
        squares = math.fsum([difference * difference for difference in differences])
        return mean, math.sqrt(max(squares - rounding, 0.0) / (count - 1))
    # Scaled down by a power of two, which loses no digits that matter beside the largest.
    shift = math.frexp(largest)[1] + 2
    mean, deviation = mean_and_sd([math.ldexp(value, -shift) for value in values])
    return _scaled_up(mean, shift), _scaled_up(deviation, shift)


def _scaled_up(value: float, shift: int) -> float:
    try:
        return math.ldexp(value, shift)
    except OverflowError:
        return math.copysign(MAX_FLOAT, value)


class EWMeanVar(stats.base.Univariate):  # type: ignore[misc]  # river's types are not followed (pyproject.toml)
    """Exponentially weighted mean and variance; `get` gives the variance, never negative.

    fading_factor: weight of the newest value, above 0 and at most 1, as in river's EWMean and EWVar.
    Source: Finch, T., 2009, Incremental calculation of weighted mean and variance, equations 124 and 143.

    >>> sound, rivers = EWMeanVar(0.1), stats.EWVar(0.1)
    >>> for _ in range(100):
    ...     sound.update(1234567.89)
    ...     rivers.update(1234567.89)
    >>> sound.mean, sound.get(), rivers.get() == 0.0
    (1234567.89, 0.0, False)
    """

    __slots__ = ("_variance", "fading_factor", "mean", "n")

    def __init__(self, fading_factor: float = 0.5) -> None:
        if not 0.0 < fading_factor <= 1.0:
            raise ValueError(f"fading_factor must be above 0 and at most 1, got {fading_factor!r}")
        self.fading_factor = fading_factor
        self.n = 0
        self.mean = 0.0
        self._variance = 0.0

    @property
    def name(self) -> str:
        return f"ewmv_{self.fading_factor}"

    def update(self, x: float) -> None:
        """Raises NotFiniteError and changes nothing for NaN and infinity."""
        x = finite(x)
        self.n += 1
        if self.n == 1:
            self.mean = x
            return
        a = self.fading_factor
        difference = clamp(x - self.mean)
        self.mean = clamp(self.mean + a * difference)
        self._variance = (1.0 - a) * clamp(self._variance + clamp(a * difference * difference))

    def get(self) -> float:
        return self._variance


class RollingMeanVar(stats.base.RollingUnivariate):  # type: ignore[misc]  # as above
    """Mean and sample variance of the last values; `get` gives the variance.

    The window is one array of eight bytes a value, summed exactly anew with every update: nothing drifts, and a window
    filled again with the same values is the same to the last bit. Costs grow with the window: 5 us at 30 values.

    >>> rolling = RollingMeanVar(window_size=3)
    >>> for x in (1, 2, 3, 5):
    ...     rolling.update(x)
    >>> list(rolling.window), round(rolling.mean, 3), round(rolling.get(), 3)
    ([2.0, 3.0, 5.0], 3.333, 2.333)
    """

    __slots__ = ("_size", "mean", "sd", "window")

    def __init__(self, window_size: int) -> None:
        if window_size < 1:
            raise ValueError(f"window_size must be at least 1, got {window_size!r}")
        self._size = window_size
        self.window = array("d")
        self.mean = 0.0
        self.sd = 0.0

    @property
    def window_size(self) -> int:
        return self._size

    def update(self, x: float) -> None:
        """Raises NotFiniteError and changes nothing for NaN and infinity."""
        x = finite(x)
        if len(self.window) == self._size:
            self.window.pop(0)
        self.window.append(x)
        self.mean, self.sd = mean_and_sd(self.window)

    def refill(self, values: Sequence[float]) -> None:
        """Forget the window and take the last of these finite *values*, oldest first."""
        self.window = array("d", values[-self._size :])
        self.mean, self.sd = mean_and_sd(self.window) if self.window else (0.0, 0.0)

    def get(self) -> float:
        return clamp(self.sd * self.sd)
