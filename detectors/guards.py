"""What keeps every detector sane: finite values only, a floor on the spread, one meaning of the score.

A flat series has a spread of zero, and then the smallest rounding is infinitely unusual; so no spread counts as smaller
than its floor. A running statistic that has seen NaN or infinity once stays NaN; so both are refused before learning.
"""

import math
import sys

from detectors.detector import NotFiniteError
from detectors.verdict import Band, Status, Verdict

MAX_FLOAT = sys.float_info.max
_FAR = 1e150
"""Beyond this a ratio is not squared: the square would be infinite, and the score is 1 long before."""


def finite(value: float) -> float:
    """*value* as a float. Raises NotFiniteError for NaN and infinity."""
    number = float(value)
    if not math.isfinite(number):
        raise NotFiniteError(f"a value must be finite, got {number!r}")
    return number


def clamp(value: float) -> float:
    """*value* within the range of finite floats: what overflowed stands at its end."""
    return min(max(value, -MAX_FLOAT), MAX_FLOAT)


def spread_floor(spread: float, level: float, *, relative: float, absolute: float) -> float:
    """*spread*, but at least *relative* of the level and at least *absolute*, all in the unit of the series."""
    return max(spread, relative * abs(level), absolute)


def score_of(ratio: float) -> float:
    """The score of a distance: *ratio* is |actual - expected| in units of the distance of the bound.

    0 at the expected value, 0.5 on the bound, towards 1 beyond it; the same for every detector, so that one
    threshold means the same everywhere.

    >>> [round(score_of(ratio), 3) for ratio in (0.0, 0.5, 1.0, 2.0, 10.0)]
    [0.0, 0.2, 0.5, 0.8, 0.99]
    """
    if ratio > _FAR:
        return 1.0
    square = ratio * ratio
    return square / (1.0 + square)


def judge(value: float, band: Band, ratio: float) -> Verdict:
    """The verdict on a finite *value*. The band decides the status, and the score follows it.

    ratio: as in `score_of`. Rounding may put it on the other side of 1 than the band does; it is then taken as 1.
    """
    if value > band.upper:
        return Verdict(status=Status.HIGH, score=max(score_of(ratio), 0.5), actual=value, band=band)
    if value < band.lower:
        return Verdict(status=Status.LOW, score=max(score_of(ratio), 0.5), actual=value, band=band)
    return Verdict(status=Status.NORMAL, score=min(score_of(ratio), 0.5), actual=value, band=band)


def warming_up(value: float) -> Verdict:
    """The verdict of a detector that has learned too little; its score of 0 says nothing about the value."""
    return Verdict(status=Status.WARMING_UP, score=0.0, actual=value, band=None)
