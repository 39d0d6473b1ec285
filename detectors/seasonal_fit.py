"""The first model of a series, fitted to its first buckets all at once.

One bucket after the other would take the first for the level and make its weekday the measure of all the others; and
an outlier among the first few would be worse. So they are kept, and fitted together by weighted means, in which what
lies far off counts little (Huber, P. J., 1964, Robust estimation of a location parameter).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, median_low

from detectors.scale import squash
from detectors.seasonal_slots import added_only
from detectors.slots import Layout

CLIP = 3.0
"""A deviation counts as at most so many spreads, wherever something is learned from it."""
IDLE_PART = 0.2
"""Up to this part of the anchor, 1 % of the usual level, a bucket counts as idle."""
_ANCHOR_PART = 0.05
_USUAL_RANGE = 6.0
"""Up to so many usual sizes the scale of sums is about linear: four spreads, if these are normal around zero."""
_HAS_IDLED = 0.001
_BY_CHANCE = 0.6
_FEW_ACTIVE = 8
_UNKNOWN_NOISE = 0.3
"""Of fewer active buckets than the one number, the spread is taken to be up to the other, in logarithms."""
_PASSES = 4
_ROUNDS = 20
_MAD_TO_SD = 1.4826
_FIRST_CLIP = 2.5  # below CLIP: among fourteen days even two outliers must not widen the band
_SQRT2 = math.sqrt(2.0)
_NEIGHBOURS_ALIKE = 1.7
"""Neighbouring hours deviate alike, so their differences show less than the noise: 1 / (1 - 0.4), for an assumed
autocorrelation of 0.4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Where the scale turns from linear to logarithmic, in the unit of the series.

    multiplicative: values have one sign, so noise and seasons act as factors. Otherwise they add up, the scale is
    linear over the usual range, and nothing counts as idle.
    """

    at: float
    multiplicative: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """level, effects, noise_variance: on the scale of the anchor. counts, idle_counts: per slot, and per rhythm slot.

    active: how many were not idle; with none of them the series is dormant. mixed: variance of what hours of the week
        have for themselves. idle_share: how often a bucket is idle
        where its slot would not let one expect it; above 0 if any was.
    """

    anchor: Anchor
    level: float
    noise_variance: float
    effects: list[float]
    counts: list[float]
    idle_counts: list[float]
    active: int
    mixed: float
    idle_share: float


def choose_anchor(values: Sequence[float], *, absolute_floor: float) -> Anchor:
    """The anchor for a series of these values.

    >>> choose_anchor([90.0, 100.0, 0.0, 110.0], absolute_floor=1e-6)
    Anchor(at=5.0, multiplicative=True)
    >>> choose_anchor([-90.0, 100.0, 80.0, -120.0], absolute_floor=1e-6)
    Anchor(at=540.0, multiplicative=False)
    """
    active = [value for value in values if abs(value) > absolute_floor]
    if not active:
        return Anchor(at=absolute_floor, multiplicative=True)
    positive = sum(value > 0 for value in active)
    fewer = min(positive, len(active) - positive)
    size = median_low(map(abs, active))  # the other median overflows between two of the largest floats
    if fewer >= 2 and fewer > 0.1 * len(active):
        return Anchor(at=max(_USUAL_RANGE * size, absolute_floor) if size < 1e300 else size, multiplicative=False)
    return Anchor(at=max(_ANCHOR_PART * size, absolute_floor), multiplicative=True)


def fit(
    values: Sequence[float], ats: Sequence[int], layout: Layout, *, absolute_floor: float, relative_floor: float
) -> Fit:
    """Fit level, slot effects and spread to *values* at the times *ats*, at least one, all finite."""
    anchor = choose_anchor(values, absolute_floor=absolute_floor)
    if anchor.multiplicative:
        # A credit in a series that costs: its sign says that it is none of the usual amounts.
        negative = 2 * sum(value < 0 for value in values) > sum(value != 0 for value in values)
        kept = [(value, at) for value, at in zip(values, ats, strict=True) if not value or (value < 0) is negative]
        values, ats = [value for value, _ in kept], [at for _, at in kept]
    slots = [layout.of(at) for at in ats]
    rhythms = [-1 if layout.rhythm_place is None else of[layout.rhythm_place] - layout.rhythm_start for of in slots]
    idle = [anchor.multiplicative and abs(value) <= IDLE_PART * anchor.at for value in values]
    idle_counts = [0.0] * layout.rhythm_size
    for rhythm, is_idle in zip(rhythms, idle, strict=True):
        if is_idle and rhythm >= 0 and not all(idle):
            idle_counts[rhythm] += 1.0
    places = [squash(value, anchor.at) for value, is_idle in zip(values, idle, strict=True) if not is_idle]
    active_slots = [of for of, is_idle in zip(slots, idle, strict=True) if not is_idle]
    level, variance, effects, counts = _backfit(places, active_slots, layout, relative_floor**2)
    return Fit(
        anchor=anchor,
        level=level,
        noise_variance=variance,
        effects=effects,
        counts=counts,
        idle_counts=idle_counts,
        active=len(places),
        mixed=_mixed(effects, layout),
        idle_share=_idle_share(idle, rhythms),
    )


def _idle_share(idle: list[bool], rhythms: list[int]) -> float:
    """How often a bucket is idle at random, that is where its rhythm slot is active at other times."""
    share = sum(idle) / len(idle)
    if share in (0.0, 1.0):
        return share
    if 2 * len(set(rhythms)) > len(rhythms) and rhythms[0] >= 0:
        # Slots seen once do not tell. But nights and weekends come in runs, and chance does not.
        changes = sum(before != after for before, after in pairwise(idle)) / (len(idle) - 1)
        return share if changes > _BY_CHANCE * 2.0 * share * (1.0 - share) else _HAS_IDLED
    active = {rhythm for rhythm, is_idle in zip(rhythms, idle, strict=True) if not is_idle}
    unsure = [is_idle for rhythm, is_idle in zip(rhythms, idle, strict=True) if rhythm in active]
    return max(sum(unsure) / len(unsure), _HAS_IDLED)


def _backfit(
    places: list[float], slots: list[tuple[int, ...]], layout: Layout, floor: float
) -> tuple[float, float, list[float], list[float]]:
    """Level, noise variance, slot effects and counts: each in turn fitted to what the others leave over."""
    effects, counts = [0.0] * layout.size, [0.0] * layout.size
    if not places:
        return 0.0, floor + _UNKNOWN_NOISE**2, effects, counts
    # Rhythm slots seen hardly more than once would explain every deviation and leave no noise. They wait, and so do
    # the turns of the month, which would take for themselves what belongs to a weekday.
    parts = range(max(map(len, slots)))
    rhythm = len(parts) if layout.rhythm_place is None else layout.rhythm_place
    seen_once = rhythm < len(parts) and 2 * len({of[rhythm] for of in slots}) > len(places)
    early, late = (parts[:rhythm], parts[rhythm:]) if seen_once else (parts, parts[:0])
    level = median(places)
    # Begun with the spread that outliers had widened, the fit would take them for effects of their weekdays.
    rough = max(_rough_variance(places, slots, None if seen_once else layout.rhythm_place), floor)
    for _ in range(_PASSES):
        for part in early:
            _fit_part(part, places, slots, layout, level, rough, effects, counts)
        without = [place - sum(effects[slot] for slot in of) for place, of in zip(places, slots, strict=True)]
        level = _huber_mean(without, level, rough)
    if seen_once and len(without) > 1:
        # Weekends shift all their hours alike, so neighbours tell the noise better than distances from the level.
        steps = [(after - before) / _SQRT2 for before, after in pairwise(without)]
        variance = max(_NEIGHBOURS_ALIKE * _variance(steps, 0.0), floor)
    else:
        # A fitted effect takes a part of the deviations with it, which belongs to the noise.
        prior = layout.prior_variance
        taken = sum(count / (count + rough / prior[slot]) for slot, count in enumerate(counts) if count)
        freedom = 1.0 + min(taken, 0.5 * len(places))
        variance = max(_variance([place - level for place in without], freedom), floor)
    for part in (*late, *late):  # twice, since the first time all that is far off counts little
        _fit_part(part, places, slots, layout, level, variance, effects, counts)
    missing = max(_FEW_ACTIVE - len(places), 0) / _FEW_ACTIVE
    return level, variance + (_UNKNOWN_NOISE * missing) ** 2, effects, counts


def _mixed(effects: list[float], layout: Layout) -> float:
    """The most that hours of the week may have for themselves, as a variance: noise is in it."""
    seen = [effects[slot] for slot in layout.mixed if effects[slot]]
    most = max((layout.prior_variance[slot] for slot in layout.mixed), default=0.0)
    return min(sum(effect * effect for effect in seen) / len(seen), most) if seen else most


def _rough_variance(places: list[float], slots: list[tuple[int, ...]], rhythm_place: int | None) -> float:
    """Noise variance by the median difference of one bucket to the next of its slot, or to the next at all."""
    latest: dict[int, float] = {}
    differences = []
    for place, of in zip(places, slots, strict=True):
        slot = 0 if rhythm_place is None else of[rhythm_place]
        if slot in latest:
            differences.append(abs(place - latest[slot]))
        latest[slot] = place
    return (_MAD_TO_SD * median(differences) / _SQRT2) ** 2 if differences else 0.0


def _fit_part(
    part: int,
    places: list[float],
    slots: list[tuple[int, ...]],
    layout: Layout,
    level: float,
    variance: float,
    effects: list[float],
    counts: list[float],
) -> None:
    """Fit the slots that stand at position *part* of the buckets' slots, the other parts being as they are.

    A slot counts what its buckets weigh together: two that contradict each other leave it nearly unknown.
    """
    prior = layout.prior_variance
    sums: dict[int, float] = {}
    weights: dict[int, float] = {}
    reach = CLIP * math.sqrt(variance)
    for place, of in zip(places, slots, strict=True):
        if part >= len(of):
            continue
        slot = of[part]
        if layout.by_the_hour and slot >= 24 and slot < layout.turn_start <= of[-1]:
            continue  # a single turn of a month and the only day of its name in a week cannot be told apart
        rest = place - level - sum(effects[other] for other in of if other != slot)
        off = abs(rest - effects[slot])
        weight = 1.0 if off <= reach else reach / off
        if layout.rhythm_place is not None and len(of) > layout.rhythm_place + 1:
            # The turn of a month says little about a weekday, and as little about itself as the weekday is known.
            rhythm, turn = of[layout.rhythm_place], of[layout.rhythm_place + 1]
            if slot == rhythm:
                weight /= 1.0 + prior[turn] / variance
            elif slot == turn:
                weight /= 1.0 + 1.0 / (counts[rhythm] + variance / prior[rhythm])
        sums[slot] = sums.get(slot, 0.0) + weight * rest
        weights[slot] = weights.get(slot, 0.0) + weight
    for slot, weight in weights.items():
        # How much a mean of hours of the week counts is learned; see `detectors.seasonal_slots`.
        effect = sums[slot] / (weight if slot in layout.mixed else weight + variance / prior[slot])
        effects[slot] = added_only(effect, rising=level >= 0.0) if slot >= layout.turn_start else effect
        counts[slot] = 0.0 if layout.by_the_hour and slot >= layout.turn_start else weight * layout.weight[slot]


def _huber_mean(places: list[float], start: float, variance: float) -> float:
    reach = CLIP * math.sqrt(variance)
    weights = [1.0 if abs(place - start) <= reach else reach / abs(place - start) for place in places]
    return sum(weight * place for weight, place in zip(weights, places, strict=True)) / sum(weights)


def _variance(deviations: list[float], freedom: float) -> float:
    """Variance in which no deviation counts as more than 2.5 spreads: the largest one that agrees with itself.

    What happens more often than once in six times widens it, what is rarer does not.
    """
    squares = [deviation * deviation for deviation in deviations]
    variance = sum(squares) / len(squares)
    for _ in range(_ROUNDS):
        most = _FIRST_CLIP * _FIRST_CLIP * variance
        clipped = sum([min(square, most) for square in squares]) / len(squares)
        if clipped >= 0.999 * variance:
            break
        variance = clipped
    return variance * len(squares) / max(len(squares) - freedom, 1.0)
