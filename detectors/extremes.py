"""Numbers of any size, brought into a range in which sums and squares stay finite, and back.

Up to 1e100 a number stands for itself; beyond, each further power of ten counts as 1e100 more. Nothing that is measured
comes near; a detector that meets it all the same neither raises nor learns an infinity.
"""

import math
from collections.abc import Iterable

from detectors.guards import MAX_FLOAT

_LINEAR = 1e100
_MOST = 1e110
"""No sum of a few thousand tamed numbers comes here, and squares of differences stay finite below it."""


def tame(value: float) -> float:
    """A number between -2.1e102 and 2.1e102; the order of values is kept.

    >>> tame(12.5), f"{tame(-1e308):.3g}"
    (12.5, '-2.09e+102')
    """
    size = abs(value)
    if size <= _LINEAR:
        return value
    return math.copysign(_LINEAR * (1.0 + math.log10(size / _LINEAR)), value)


def untame(tamed: float) -> float:
    """The value again; what lies beyond the largest float stands at it.

    >>> untame(12.5), untame(tame(1e200)) / 1e200, untame(1e300) == MAX_FLOAT
    (12.5, 1.0, True)
    """
    size = abs(tamed)
    if size <= _LINEAR:
        return tamed
    power = 100.0 + (size / _LINEAR - 1.0)
    return math.copysign(10.0**power if power < 308.25 else MAX_FLOAT, tamed)


def are_tame(numbers: Iterable[float]) -> bool:
    """Whether all of them can come from tamed numbers; those of a state may come from anywhere."""
    return all(-_MOST <= number <= _MOST for number in numbers)
