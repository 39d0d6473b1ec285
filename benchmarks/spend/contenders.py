"""What ours is measured against, each as its documentation or its folklore has it, and each at one setting.

They learn every value they see, as they do in the field. None is told of weekdays but the batch detector.
"""

import math
from collections import deque
from collections.abc import Callable
from statistics import mean, pstdev
from typing import Protocol

import numpy as np
from river.anomaly import GaussianScorer, HalfSpaceTrees

from benchmarks.spend.calendars import DAY

Values = np.ndarray[tuple[int], np.dtype[np.float64]]
Kept = np.ndarray[tuple[int], np.dtype[np.bool_]]
_WINDOW = 7
_SIGMA = 2.0


class Contender(Protocol):
    def judge(self, value: float) -> float | None:
        """What was expected, if *value* is unusual; else None. Learns it."""


class Classic:
    """Mean and two standard deviations of the last seven; of hours, of the last week's."""

    def __init__(self, grain_seconds: int, *, inside: bool) -> None:
        self._recent: deque[float] = deque(maxlen=_WINDOW if grain_seconds == DAY else 24 * _WINDOW)
        self._inside = inside

    def judge(self, value: float) -> float | None:
        recent = self._recent
        if self._inside:
            recent.append(value)
        unusual, centre = False, 0.0
        if len(recent) >= _WINDOW:
            centre = mean(recent)
            unusual = abs(value - centre) > _SIGMA * max(pstdev(recent), 1e-9 * abs(centre))
        if not self._inside:
            recent.append(value)
        return centre if unusual else None


class RiverGaussian:
    """river's GaussianScorer with a limit of 0.995 (that is 2.8 standard deviations)."""

    def __init__(self, grain_seconds: int) -> None:
        self._scorer = GaussianScorer(grace_period=30 if grain_seconds == DAY else 168)
        self._sum, self._count = 0.0, 0

    def judge(self, value: float) -> float | None:
        unusual = float(self._scorer.score_one(None, value)) > 0.995
        self._scorer.learn_one(None, value)
        centre = self._sum / max(self._count, 1)
        self._sum, self._count = self._sum + value, self._count + 1
        return centre if unusual else None


class RiverTrees:
    """river's HalfSpaceTrees on value and change, scaled by what was seen; limit 0.97."""

    def __init__(self, grain_seconds: int) -> None:
        self._trees = HalfSpaceTrees(n_trees=10, height=6, window_size=60 if grain_seconds == DAY else 336, seed=1)
        self._low, self._high, self._before, self._count = math.inf, -math.inf, 0.0, 0

    def judge(self, value: float) -> float | None:
        self._low, self._high = min(self._low, value), max(self._high, value)
        wide = (self._high - self._low) or 1.0
        point = {"value": (value - self._low) / wide, "change": 0.5 + (value - self._before) / wide / 2}
        self._count += 1
        unusual = self._count > 60 and float(self._trees.score_one(point)) > 0.97
        self._trees.learn_one(point)
        before, self._before = self._before, value
        return before if unusual else None


class Batch:
    """Fits level, trend and season anew to the whole past at every step, by least squares with the outliers left out.

    An STL-like decomposition in miniature: it forgets nothing and learns nothing step by step. Four standard
    deviations of its residuals.
    """

    def __init__(self, grain_seconds: int) -> None:
        self._period = 7 if grain_seconds == DAY else 24
        self._past: list[float] = []

    def judge(self, value: float) -> float | None:
        past, period = self._past, self._period
        past.append(math.log(max(value, 1e-3)))
        count = len(past) - 1
        if count < 4 * period:
            return None
        history = np.array(past[max(0, count - 40 * period) : count])
        size = len(history)
        times = np.arange(size)
        keep = np.ones(size, dtype=bool)
        for _ in range(2):
            slope, level = np.polyfit(times[keep], history[keep], 1)
            rest = history - level - slope * times
            season = np.array([_median_of(rest, keep, times % period == slot) for slot in range(period)])
            rest = rest - season[times % period]
            spread = max(1.4826 * float(np.median(np.abs(rest - np.median(rest)))), 0.02)
            keep = np.abs(rest) < 4 * spread
        expected = level + slope * size + season[size % period]
        return math.exp(float(expected)) if abs(past[-1] - expected) > 4 * spread else None


def _median_of(rest: Values, keep: Kept, here: Kept) -> float:
    return float(np.median(rest[keep & here] if np.any(keep & here) else rest[here]))


CONTENDERS: dict[str, Callable[[int], Contender]] = {
    "classic": lambda grain: Classic(grain, inside=True),
    "classic_leaving_out": lambda grain: Classic(grain, inside=False),
    "river_gaussian": RiverGaussian,
    "river_half_space_trees": RiverTrees,
    "batch": Batch,
}
