"""What an alert says moved: how much, which way, when, and in which drivers, so that two alerts can be compared.

All amounts are positive, in the direction of the alert. `overlap` is the one measure: how much money of the change of
one alert another alert shows, too. It is a lower bound, as sources name their largest drivers only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from connectors.series import OTHER, TOTAL, UNTAGGED, Grain, SeriesKey
from service.core.alerts import Alert, AlertKind
from service.core.wording import is_money, is_rest

Labels = tuple[tuple[str, str], ...]
Family = tuple[str, str, str, bool]
"""Tenant, metric, unit, whether it rises: only within one of these can two alerts be the same money."""
Rank = tuple[int, int, str]

_RISES = (AlertKind.SPIKE, AlertKind.NEW_SPEND)
_IDENTIFYING = ("resource_id", "resource_name")
_AGREES = 0.8
"""What names no resource, such as a service alone, is the same in both if it moved by this share of the other."""
_MISSING_AGREES = 0.99
"""Of what is missing nothing is known but what it usually costs: of the same money that is the same amount."""
_ALIKE = 0.9
"""Two alerts that have a resource in common, and whose source names too few drivers, are the same if so much alike."""
_FOLLOWS = 2.0
"""A part that moved by less than so many times the share of the whole only takes part in what the whole does."""


@dataclass(frozen=True, slots=True, eq=False)
class Stake:
    """rank: what people own comes first. begin, end: in seconds since 1970; end is the last known bucket's.

    net: |actual - expected| of the worst bucket. enough: so much is unusual by itself, as the bound says. moved: what
    went the alert's way before something else took from it; at least *net*. drivers: change of each in the alert's
    direction, 0 if it went the other way. before: what each usually costs. resources: the drivers that name one.
    """

    id: str
    rank: Rank
    family: Family
    dimension: str
    value: str
    grain_seconds: int
    begin: float
    end: float
    expected: float
    net: float
    enough: float
    moved: float
    drivers: Mapping[Labels, float]
    before: Mapping[Labels, float]
    resources: frozenset[Labels]
    is_missing: bool

    @property
    def is_owned(self) -> bool:
        """Whether it is of a tag's value: services, accounts and totals are nobody's."""
        return self.rank[0] < 2

    @property
    def is_total(self) -> bool:
        return self.dimension == TOTAL

    @property
    def key(self) -> tuple[bool, bool, Rank, float, str]:
        """The order in which alerts are preferred as heads; no two are equal. What hides most of its own change under
        changes the other way comes late."""
        return self.is_total, self.moved > 2 * self.net, self.rank, -self.net, self.id

    def holds(self, labels: Labels) -> bool:
        """Whether all of a driver belongs to this series by definition; tags say nothing of it."""
        return (self.dimension, self.value) in labels

    def meets(self, other: "Stake") -> bool:
        """Whether they overlap in time, or one follows the other."""
        return self.begin <= other.end and other.begin <= self.end

    def is_sibling(self, other: "Stake") -> bool:
        """Two values of one dimension have no money in common."""
        return self.dimension == other.dimension and self.value != other.value


def stake_of(alert: Alert, ranks: Mapping[str, int]) -> Stake:
    """ranks: dimension or tag -> its place in the order."""
    series = SeriesKey.parse(alert.series)
    rises = alert.kind in _RISES
    sign = 1.0 if rises else -1.0
    net = abs(alert.actual - alert.expected)
    drivers: dict[Labels, float] = {}
    before: dict[Labels, float] = {}
    rest = 0.0
    for driver in alert.drivers:
        if is_rest(driver.labels):
            rest = max(0.0, driver.change * sign)
            continue
        labels = tuple(sorted(driver.labels.items()))
        drivers[labels] = drivers.get(labels, 0.0) + driver.change * sign
        before.setdefault(labels, max(0.0, driver.before))
    begin = alert.starts_at.timestamp()
    seconds = Grain(alert.grain).seconds
    end = (alert.ends_at or alert.starts_at + timedelta(seconds=seconds * alert.buckets)).timestamp()
    if alert.ends_at is not None:
        end += end - begin  # a level that was taken for normal here is news to wider series for about as long
    if alert.kind is AlertKind.MISSING:
        drivers = {(("missing_since", str(begin)),): net}
    drivers = {labels: max(0.0, change) for labels, change in drivers.items()}
    return Stake(
        id=alert.id,
        rank=_rank(series, ranks),
        family=(alert.tenant, alert.metric, alert.unit, rises),
        dimension=series.dimension,
        value=series.value,
        grain_seconds=seconds,
        begin=begin,
        end=end,
        expected=max(0.0, alert.expected),
        net=net,
        enough=max(0.0, alert.upper - alert.expected if rises else alert.expected - alert.lower),
        moved=max(net, sum(drivers.values()) + rest),
        drivers=drivers,
        before=before,
        resources=frozenset(labels for labels in drivers if any(name in _IDENTIFYING for name, _ in labels)),
        is_missing=alert.kind is AlertKind.MISSING,
    )


def _rank(series: SeriesKey, ranks: Mapping[str, int]) -> Rank:
    """Tags as listed, other tags, what carries no tag, dimensions, the total."""
    name, value = series.label
    place = ranks.get(name, len(ranks))
    if series.dimension == TOTAL:
        return 3, 0, ""
    if not series.dimension.startswith("tag:"):
        return 2, place, name
    return int(value in (UNTAGGED, OTHER)), place, name


def overlap(one: Stake, other: Stake) -> float:
    """How much of the change both show, in money of *other*; 0 if they are not known to have anything in common.

    No more than the net change of *one*: what a fall of its own hides in it, it does not tell.
    """
    if one.is_sibling(other) or not one.meets(other):
        return 0.0
    if one.dimension == other.dimension:
        return other.moved
    if one.grain_seconds != other.grain_seconds:
        # An hour's change and a day's cannot be held against each other, but their composition can.
        shared = _named(one, other, one.moved, other.moved) if one.moved and other.moved else 0.0
        return shared * other.moved
    return min(_shared(one, other), one.net)


def _shared(one: Stake, other: Stake) -> float:
    if one.is_total or other.is_total:
        part, whole = (other, one) if one.is_total else (one, other)
        return min(part.net, whole.moved) if is_money(one.family[2]) else 0.0
    within = sum(_within(one, other)) or sum(_within(other, one))
    if within:
        return min(within, other.moved)
    named = _named(one, other, 1.0, 1.0) * _unnamed(other)
    if named < _ALIKE * other.moved and _is_alike(one, other):
        return min(one.net, other.net)
    return named


def _unnamed(stake: Stake) -> float:
    """What the named drivers stand for, as a factor: the rest is taken to be as they are, as far as it is no larger."""
    named = sum(stake.drivers.values())
    return min(stake.moved / named, 2.0) if named else 0.0


def _within(part: Stake, whole: Stake) -> Iterator[float]:
    return (change for labels, change in part.drivers.items() if whole.holds(labels))


def _named(one: Stake, other: Stake, one_unit: float, other_unit: float) -> float:
    total = 0.0
    fewer, more = sorted((one.drivers, other.drivers), key=len)
    for labels in fewer:
        if labels in more:
            low, high = sorted((one.drivers[labels] / one_unit, other.drivers[labels] / other_unit))
            agrees = _MISSING_AGREES if one.is_missing else _AGREES
            if labels in one.resources or low >= agrees * high:
                total += low
    return total


def _is_alike(one: Stake, other: Stake) -> bool:
    low, high = sorted((one.net, other.net))
    return low >= _ALIKE * high and not one.resources.isdisjoint(other.resources)


def follows(part: Stake, whole: Stake) -> bool:
    """Whether what *part* has in common with *whole* moved by no more than the whole did, in proportion."""
    change, usual = part.net, part.expected
    if not whole.is_total:
        shared = [labels for labels in part.drivers if whole.holds(labels)]
        shared = shared or [labels for labels in part.drivers if labels in whole.drivers]
        change = sum(part.drivers[labels] for labels in shared)
        usual = sum(part.before.get(labels, 0.0) for labels in shared)
    return change * whole.expected <= _FOLLOWS * (whole.net - _alone(whole, part)) * usual


def _alone(whole: Stake, part: Stake) -> float:
    """What moved in single resources, new ones or by half of all: no part takes part in that but the one it is in."""
    return sum(
        change
        for labels, change in whole.drivers.items()
        if labels in whole.resources
        and labels not in part.drivers
        and (whole.before.get(labels, 0.0) == 0 or 2 * change > whole.moved)
    )


def begin_together(one: Stake, other: Stake) -> bool:
    """Within a bucket: a wide one may have been beyond its bounds a little later."""
    return abs(one.begin - other.begin) <= max(one.grain_seconds, other.grain_seconds)
