"""The scale on which spend is judged: logarithmic where it is large, linear around zero.

Noise, growth and weekdays act on spend as factors, so differences of logarithms are what compares days. But spend can
be zero or negative, where there is no logarithm. `asinh(x / anchor)` is log(2 x / anchor) far above the anchor and
x / anchor far below, for either sign. Source: Johnson, N. L., 1949, the S_U transformation.
"""

import math

from detectors.guards import MAX_FLOAT

_RATIO_FITS = 1e150
_SINH_FITS = 300.0
_LOG_MAX = math.log(MAX_FLOAT)
_LN2 = math.log(2.0)


def squash(value: float, anchor: float) -> float:
    """*value* on the scale with this *anchor* (above 0, both in the unit of the series); below 1500 for any float.

    >>> [round(squash(x, 5.0), 3) for x in (-100.0, 0.0, 1.0, 100.0, 200.0, 400.0)]
    [-3.69, 0.0, 0.199, 3.69, 4.382, 5.075]
    """
    ratio = value / anchor
    if -_RATIO_FITS < ratio < _RATIO_FITS:
        return math.asinh(ratio)
    return math.copysign(math.log(abs(value)) - math.log(anchor) + _LN2, value)


def unsquash(place: float, anchor: float) -> float:
    """The value at a *place* of the scale; what lies beyond the largest float stands at it.

    >>> round(unsquash(squash(123.0, 5.0), 5.0), 9)
    123.0
    """
    if -_SINH_FITS < place < _SINH_FITS:
        value = anchor * math.sinh(place)
        if -MAX_FLOAT <= value <= MAX_FLOAT:
            return value
    logarithm = abs(place) + math.log(anchor) - _LN2
    return math.copysign(math.exp(logarithm) if logarithm < _LOG_MAX else MAX_FLOAT, place)
