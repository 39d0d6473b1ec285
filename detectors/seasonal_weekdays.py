"""What a weekday has in common with others: working days resemble each other, and so do the days of a weekend.

Each weekday has a mean of its own. As far as the weekdays of a series have not shown to differ within their group by
more than the noise in their means explains, the mean of the group is believed instead (empirical Bayes: Efron, B.,
Morris, C., 1973, Stein's estimation rule and its competitors). One that stands out is taken at its word. So where a
weekend is not Saturday and Sunday, its days stand for themselves.
"""

from array import array
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from detectors.slots import Layout

_DAYS = 7
_GROUPS = (range(5), range(5, _DAYS))
_KNOWN = 0.5
"""A weekday that counts less says nothing of the others."""
_STANDS_OUT = 3.0**2


class Week(NamedTuple):
    """Of each weekday, Monday first: the effect that counts, and its variance; empty without slots of weekdays."""

    effects: Sequence[float]
    doubts: Sequence[float]


_NO_WEEK = Week((), ())


def week_of(table: "array[float]", layout: Layout, noise: float) -> Week:
    """table: the slots, as in `detectors.seasonal_state`. noise: variance of one observation.

    >>> from detectors.slots import layout_of
    >>> layout = layout_of(86400)
    >>> table = array("f", [0.0] * layout.numbers)
    >>> table[:7] = array("f", [0.1, -0.1, 0.0, 0.1, -0.1, -0.8, -0.6])
    >>> table[layout.size : layout.size + 7] = array("f", [4.0] * 7)
    >>> week = week_of(table, layout, 0.04)  # so a mean of four is 0.1 off
    >>> [round(effect, 2) for effect in week.effects], [round(doubt, 3) for doubt in week.doubts[4:]]
    ([0.02, -0.02, 0.0, 0.02, -0.02, -0.72, -0.68], [0.003, 0.005, 0.005])
    >>> table[0] = 2.0  # a job of Mondays
    >>> [round(effect, 2) for effect in week_of(table, layout, 0.04).effects]
    [2.0, -0.04, -0.02, -0.01, -0.04, -0.72, -0.68]
    """
    start = layout.weekday_start
    if start is None:
        return _NO_WEEK
    own = table[start : start + _DAYS]
    counts = table[layout.size + start : layout.size + start + _DAYS]
    alike = [_alike(group, own, counts, noise) for group in _GROUPS]
    between = _between(alike, own, counts, noise)
    effects, doubts = [], []
    for group, days in zip(_GROUPS, alike, strict=True):
        total = sum([counts[day] for day in days])
        mean = sum([counts[day] * own[day] for day in days]) / total if days else 0.0
        for day in group:
            count = counts[day]
            if day in days:
                part = between / (between + noise / count)
                effects.append(mean + part * (own[day] - mean))
                doubts.append(part * noise / count + (1.0 - part) ** 2 * noise / total)
            else:
                prior = layout.prior_variance[start + day]
                effects.append(own[day] if count > _KNOWN or not days else mean)
                doubts.append(noise / (count + noise / prior))
    return Week(effects, doubts)


def _alike(group: range, own: "array[float]", counts: "array[float]", noise: float) -> list[int]:
    """The known days of a *group* but for those that stand out from its median."""
    known = [day for day in group if counts[day] > _KNOWN]
    if not known:
        return known
    middle = median([own[day] for day in known])
    most = sum([counts[day] for day in known])
    return [day for day in known if (own[day] - middle) ** 2 <= _STANDS_OUT * noise * (1.0 / counts[day] + 1.0 / most)]


def _between(alike: list[list[int]], own: "array[float]", counts: "array[float]", noise: float) -> float:
    """Variance between days that are alike, beyond what the noise of their means explains (method of moments)."""
    squares = freedom = spare = 0.0
    for days in alike:
        if len(days) < 2:
            continue
        total = sum([counts[day] for day in days])
        mean = sum([counts[day] * own[day] for day in days]) / total
        squares += sum([counts[day] * (own[day] - mean) ** 2 for day in days])
        spare += total - sum([counts[day] ** 2 for day in days]) / total
        freedom += len(days) - 1
    return max(squares - freedom * noise, 0.0) / spare if spare else 0.0
