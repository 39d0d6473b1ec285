"""Which alerts may have money in common: found by the drivers they name, without holding all against all.

A resource that a few alerts name leads to all of them. What many name, such as a service without its resources, says
little by itself: of each dimension only those with the nearest amounts are looked at.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence

from service.core.stakes import Labels, Stake

_MANY = 32
_NEAREST = 2
"""On either side."""

_Sorted = dict[str, list[tuple[float, str, Stake]]]


class Kinship:
    """Of the alerts of one family."""

    def __init__(self, stakes: Sequence[Stake]) -> None:
        self._totals = [stake for stake in stakes if stake.is_total]
        self._all = stakes
        self._by_driver: dict[Labels, list[Stake]] = defaultdict(list)
        self._by_series: dict[tuple[str, str], list[Stake]] = defaultdict(list)
        self._within: dict[tuple[str, str], dict[str, Stake]] = defaultdict(dict)
        self._by_amount: dict[Labels, _Sorted] = {}
        for stake in stakes:
            self._by_series[stake.dimension, stake.value].append(stake)
        for stake in stakes:
            for labels in stake.drivers:
                self._by_driver[labels].append(stake)
                for label in labels:
                    if label in self._by_series:
                        self._within[label][stake.id] = stake
        for labels, named in self._by_driver.items():
            if len(named) > _MANY:
                self._by_amount[labels] = _sorted(labels, named)

    def of(self, stake: Stake) -> Sequence[Stake]:
        """Each once, never *stake* itself."""
        if stake.is_total:
            return [other for other in self._all if other is not stake]
        found = {other.id: other for other in self._found(stake)}
        found.pop(stake.id, None)
        return list(found.values())

    def _found(self, stake: Stake) -> Iterator[Stake]:
        yield from self._totals
        yield from self._by_series[stake.dimension, stake.value]
        yield from self._within.get((stake.dimension, stake.value), {}).values()
        for labels in stake.drivers:
            for label in labels:
                yield from self._by_series.get(label, ())
            ordered = self._by_amount.get(labels)
            if ordered is None:
                yield from self._by_driver[labels]
            else:
                yield from _nearest(ordered, labels, stake)


def _sorted(labels: Labels, named: Sequence[Stake]) -> _Sorted:
    ordered: _Sorted = defaultdict(list)
    for stake in named:
        ordered[stake.dimension].append((stake.drivers[labels], stake.id, stake))
    for entries in ordered.values():
        entries.sort(key=lambda entry: entry[:2])
    return ordered


def _nearest(ordered: _Sorted, labels: Labels, stake: Stake) -> Iterator[Stake]:
    for dimension, entries in ordered.items():
        if dimension != stake.dimension:
            place = bisect_left(entries, (stake.drivers[labels], stake.id), key=lambda entry: entry[:2])
            for _, _, other in entries[max(0, place - _NEAREST) : place + _NEAREST]:
                yield other
