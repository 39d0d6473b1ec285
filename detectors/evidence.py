"""Evidence that adds up: what no single bucket shows, many that lean the same way do.

Page's CUSUM: deviations in spreads, less an allowance, are added up from zero; the sum that reaches a limit says that
the level has moved. Asked before the bucket is seen, it says how far that bucket may lie before the limit is reached,
so evidence is one more bound of a band, on the same score. Source: Page, E. S., 1954, Continuous inspection schemes.
"""

from typing import Final

CLIP: Final = 3.5
"""So many spreads of one bucket are evidence at the most: what lies further off is for the point bounds to judge."""
STANDING: Final = 0.5
"""From this part of the limit on, buckets held back count as a shift that goes on."""
_ON_AND_ON: Final = 1.2
"""While a shift goes on, a bucket belongs to it from so many spreads on."""


def added(evidence: float, deviation: float, allowance: float, *, most: float = CLIP, onset: float = 1.0) -> float:
    """The evidence after a bucket that deviates by so many spreads towards its side.

    allowance: in spreads; a lasting shift of twice this is found fastest. most: so many spreads count at the most.
    onset: the first bucket of a shift deviates so many times as far as those after it, which are expected to resemble
    it; so it may as well be one.

    >>> added(added(0.0, 2.0, 0.75), 2.0, 0.75), added(1.0, -3.0, 0.75), added(0.0, 9.0, 0.75, most=3.0)
    (2.5, 0.0, 2.25)
    >>> added(0.0, 3.0, 0.75, onset=2.0), added(0.0, 2.0, 0.75, onset=2.0)
    (3.0, 1.25)
    """
    off = min(deviation, most)
    return max(evidence + off - allowance, onset * (off - onset * allowance), 0.0)


def reach_left(evidence: float, limit: float, allowance: float, *, held_back: bool) -> float:
    """How many spreads off, at the most, the next bucket leaves the evidence within its limit.

    held_back: the buckets just before it were not learned, so a shift that stands out goes on with less.

    >>> reach_left(0.0, 5.0, 0.75, held_back=False), reach_left(4.0, 5.0, 0.75, held_back=False)
    (5.75, 1.75)
    >>> reach_left(4.0, 5.0, 0.75, held_back=True)
    1.2
    """
    left = max(limit - evidence, 0.0) + allowance
    return min(left, _ON_AND_ON) if held_back and evidence >= STANDING * limit else left
