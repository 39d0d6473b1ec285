"""How much is attainable at all: an observer who knows of each tag what no detector can.

It knows the true baseline of every period, the noise and how it resembles its neighbour, the share of idle periods,
the shapes of the incidents, and, once the aftermath of an incident is over, the level it has left behind. At each
period it asks for the strongest matched filter among the shapes that may be under way: steps and ramps of all lengths.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.spend.calendars import DAY, HOUR
from benchmarks.spend.incidents import Incident, Kind, Month
from benchmarks.spend.scoring import Alarm
from benchmarks.spend.tags import PERSISTENCE, Tag
from benchmarks.spend.views import View

Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
Whole = np.ndarray[tuple[Any, ...], np.dtype[np.signedinteger[Any]]]
_LENGTHS = {
    DAY: tuple(range(1, 29)),
    HOUR: (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 21, 24, 30, 36, 42, 48, 60, 72, 84, 96, 120, 144, 168),
}
_SHORTEST_RAMP = {DAY: 5, HOUR: 24}
_WARM_DAYS = {DAY: 14, HOUR: 7}
_LASTING = frozenset({Kind.SHIFT, Kind.CREEP, Kind.HIDDEN})
_STOPPED = 1e3
"""The strength of a zero where a tag never rests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strengths:
    """Of each period of a tag, in standard deviations: that it has risen, and that it has fallen."""

    rises: Numbers
    falls: Numbers


def strengths(month: Month, seen: Sequence[View]) -> dict[str, Strengths]:
    labels: dict[str, list[Incident]] = {tag.name: [] for tag in month.tags}
    for incident in (*month.incidents, *month.neutral):
        labels[incident.tag].append(incident)
    return {view.tag.name: _of_tag(view, labels[view.tag.name]) for view in seen}


def alarms_of(
    found: Mapping[str, Strengths], seen: Sequence[View], limit: float
) -> tuple[dict[str, list[Alarm]], dict[str, int]]:
    """The alarms of each tag, and how many periods were judged."""
    alarms, judged = {}, {}
    for view in seen:
        tag, strong = view.tag, found[view.tag.name]
        warm = _WARM_DAYS[tag.grain_seconds] * tag.per_day
        alarms[tag.name] = [
            Alarm(period=int(period), rises=bool(strong.rises[period] >= strong.falls[period]), deviation=0.0)
            for period in np.nonzero(np.maximum(strong.rises, strong.falls) >= limit)[0]
            if period >= warm
        ]
        judged[tag.name] = max(sum(value is not None for value in view.values) - warm, 0)
    return alarms, judged


def _of_tag(view: View, labels: list[Incident]) -> Strengths:
    tag = view.tag
    rises, falls = np.zeros(len(view.values)), np.zeros(len(view.values))
    if any(label.kind is Kind.NEW_TAG for label in labels):
        return Strengths(rises=rises, falls=falls)  # it has no baseline
    factors, borders = _left_behind(tag, labels)
    periods, logarithms, rest = [], [], 0.0
    for period, value in enumerate(view.values):
        if value is None:
            continue
        # An incident scales a credit along with the rest.
        ratio = (tag.values[period] or 0.0) / tag.normal[period] if tag.normal[period] else 1.0
        cost = value - tag.added[period] * ratio
        if cost <= 0.0:
            rest += -2.0 * np.log(tag.habit.idle) if tag.habit.idle else _STOPPED**2
            falls[period] = np.sqrt(rest)
            continue
        rest = 0.0
        periods.append(period)
        logarithms.append(np.log(cost / (tag.expected[period] * factors[period])))
    if len(periods) > 1:
        places = np.array(periods)
        up, down = _filtered(_whitened(tag, places, np.array(logarithms)), np.searchsorted(borders, places), tag)
        rises[places], falls[places] = up, np.maximum(falls[places], down)
    return Strengths(rises=rises, falls=falls)


def _left_behind(tag: Tag, labels: list[Incident]) -> tuple[Numbers, list[int]]:
    """By which factor earlier incidents have moved each period, and the last periods of their aftermaths."""
    factors = np.ones(len(tag.values))
    for label in sorted(labels, key=lambda label: label.first):
        if label.kind in _LASTING:
            after = range(label.settled + 1, len(tag.values))
            ratios = ((tag.values[period] or 0.0) / tag.normal[period] for period in after if tag.normal[period])
            factors[label.settled + 1 :] = next((ratio for ratio in ratios if ratio > 0.0), 1.0)
    return factors, sorted(label.settled + 1 for label in labels)


def _whitened(tag: Tag, places: Numbers, logarithms: Numbers) -> Numbers:
    """What is new in each period, in standard deviations."""
    left = PERSISTENCE ** np.diff(places)
    new = np.empty(len(places))
    new[0] = logarithms[0]
    new[1:] = (logarithms[1:] - left * logarithms[:-1]) / np.sqrt(1.0 - left * left)
    return new / tag.habit.noise


def _filtered(new: Numbers, stretch: Whole, tag: Tag) -> tuple[Numbers, Numbers]:
    """The strongest of all filters that end at a period and lie within one stretch between incidents."""
    up, down = np.zeros(len(new)), np.zeros(len(new))
    for shape in _shapes(tag.grain_seconds):
        length = len(shape)
        if length > len(new):
            continue
        fits = stretch[length - 1 :] == stretch[: len(new) - length + 1]
        strong = np.where(fits, np.correlate(new, shape, "valid") / np.sqrt(shape @ shape), 0.0)
        up[length - 1 :] = np.maximum(up[length - 1 :], strong)
        down[length - 1 :] = np.maximum(down[length - 1 :], -strong)
    return up, down


def _shapes(grain_seconds: int) -> list[Numbers]:
    """Steps and ramps as they look once whitened."""
    found = []
    for length in _LENGTHS[grain_seconds]:
        steps = [np.ones(length)]
        if length >= _SHORTEST_RAMP[grain_seconds]:
            steps.append(np.arange(1.0, length + 1.0) / length)
        found += [shape - PERSISTENCE * np.concatenate(([0.0], shape[:-1])) for shape in steps]
    return found
