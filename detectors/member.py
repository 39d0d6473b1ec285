"""A detector inside an ensemble: what it says in its own spreads, told in how rarely this series gives as much."""

from collections.abc import Sequence
from typing import NamedTuple

from detectors.detector import Attentive, Detector
from detectors.guards import MAX_FLOAT
from detectors.lasting import Lasting
from detectors.scale import squash, unsquash
from detectors.tail import NUMBERS, Tail, normal_prior
from detectors.verdict import Band

_ANCHOR_PART = 0.05
_MOST_KEPT = 1.0
"""A bucket held back counts as at most so many times the bound, or one incident would make the series a wild one."""
_NARROWEST, _WIDEST = 0.4, 8.0
"""So many times its own bound a detector's calibrated one is at the least and at the most."""
_WIDEST_LASTING = 1.2
"""The same of one whose evidence adds up: while a creep goes on, every day of it would make the next less unusual."""
TAILS = 2 * NUMBERS


class Sides(NamedTuple):
    """One number for falls, one for rises."""

    down: float
    up: float


class Member:
    """One detector with the tails of its two sides. rate: of false alarms a side may give, a share of all buckets."""

    __slots__ = ("_bounds", "_memo", "_rate", "_tails", "detector")

    def __init__(self, detector: Detector, rate: float) -> None:
        self.detector = detector
        self._rate = rate * (detector.run if isinstance(detector, Lasting) else 1.0)
        prior = detector.prior if isinstance(detector, Lasting) else normal_prior(3.5)
        self._tails = (Tail(prior), Tail(prior))
        # What is asked for again before anything is learned: the calibrated bounds, and the band of a bucket.
        self._bounds: Sides | None = None
        self._memo: tuple[int, Band | None] | None = None

    def band_at(self, at: int) -> Band | None:
        """What is expected, with calibrated bounds; None while warming up."""
        band = self._own_band(at)
        if band is None:
            return None
        limits = self._limits()
        if isinstance(self.detector, Lasting):
            return self.detector.band_for(at, limits)
        return _Ruler(band).widened(limits)

    def rarity(self, value: float, at: int) -> Sides:
        """How much rarer falls and rises as far as this are than those to the bound: logarithms, 0 on it."""
        off = self._distances(value, at)
        if off is None:
            return Sides(0.0, 0.0)
        limits = self._limits()
        return Sides(
            *(
                # Where a bound is not the tail's own, distances are read as parts of it.
                tail.rarity(distance / limit * tail.bound(self._rate), self._rate)
                for tail, distance, limit in zip(self._tails, off, limits, strict=True)
            )
        )

    def learn_one(self, value: float, at: int) -> None:
        off = self._distances(value, at)
        if off is not None:
            for tail, distance in zip(self._tails, off, strict=True):
                tail.learn_one(distance)
        self.detector.learn_one(value, at)
        self._bounds = self._memo = None

    def hold_one(self, value: float, at: int) -> None:
        off = self._distances(value, at)
        if off is not None:
            for tail, distance, limit in zip(self._tails, off, self._limits(), strict=True):
                tail.learn_one(min(distance, _MOST_KEPT * limit))
        if isinstance(self.detector, Attentive):
            self.detector.hold_one(value, at)
        self._bounds = self._memo = None

    def accept_level(self, recent: Sequence[tuple[float, int]]) -> None:
        self.detector.accept_level(recent)
        self._memo = None

    def export(self) -> tuple[float, ...]:
        """The tails, how many numbers the detector has, then these."""
        state = self.detector.export()
        return (*self._tails[0].export(), *self._tails[1].export(), float(len(state)), *state)

    def restore(self, tails: Sequence[float], state: Sequence[float]) -> None:
        """Raises StateError; then use this object no more."""
        for tail, start in zip(self._tails, (0, NUMBERS), strict=True):
            tail.restore(tails[start : start + NUMBERS])
        self.detector.restore(state)
        self._bounds = self._memo = None

    def _limits(self) -> Sides:
        if self._bounds is None:
            widest = _WIDEST_LASTING if isinstance(self.detector, Lasting) else _WIDEST
            down, up = (min(max(tail.bound(self._rate), _NARROWEST), widest) for tail in self._tails)
            self._bounds = Sides(down, up)
        return self._bounds

    def _own_band(self, at: int) -> Band | None:
        if self._memo is None or self._memo[0] != at:
            self._memo = (at, self.detector.band_at(at))
        return self._memo[1]

    def _distances(self, value: float, at: int) -> Sides | None:
        band = self._own_band(at)
        if band is None:
            return None
        if isinstance(self.detector, Lasting):
            return Sides(*self.detector.distances(value, at))
        off = _Ruler(band).distance(value)
        return Sides(-off, off)


class _Ruler:
    """Distances within and beyond a band, in parts of the way to its bounds; logarithmic where the band allows it."""

    __slots__ = ("_anchor", "_down", "_expected", "_place", "_up")

    def __init__(self, band: Band) -> None:
        expected = band.expected
        size = abs(expected)
        one_sign = band.lower > 0.0 or band.upper < 0.0
        width = max(band.upper / 2 - expected / 2, expected / 2 - band.lower / 2)
        self._anchor = min(max(_ANCHOR_PART * size if one_sign else max(width, _ANCHOR_PART * size), 1e-300), MAX_FLOAT)
        self._expected = expected
        self._place = squash(expected, self._anchor)
        self._down = self._place - squash(band.lower, self._anchor)
        self._up = squash(band.upper, self._anchor) - self._place

    def distance(self, value: float) -> float:
        """1 on the upper bound, -1 on the lower one."""
        off = squash(value, self._anchor) - self._place
        reach = self._up if off >= 0.0 else self._down
        return off / reach if reach > 0.0 else off * 1e6

    def widened(self, limits: Sides) -> Band:
        lower = unsquash(self._place - limits.down * self._down, self._anchor)
        upper = unsquash(self._place + limits.up * self._up, self._anchor)
        return Band(expected=self._expected, lower=min(lower, self._expected), upper=max(upper, self._expected))


def ratio_within(value: float, band: Band) -> float:
    """How far *value* is on the way from what is expected to the bound: 1 on it."""
    return abs(_Ruler(band).distance(value))
