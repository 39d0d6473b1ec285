"""Charges of one delivery -> facts: added up per series and bucket, with the largest drivers.

Pure and repeatable: the same charges in any order give the same facts in the same order. Sums are exact decimals; only
a finished sum becomes a float. Memory grows with the distinct (bucket, tag values, dimensions, driver) of a delivery,
not with its rows.
"""

import heapq
from collections import defaultdict
from collections.abc import Container, Iterator
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import Struct

from connectors.cells import EXACT, MAX_AMOUNT
from connectors.charge import Charge
from connectors.facts import Basis, Driver, Fact, format_instant
from connectors.retagging import Move, Retagging, Tags, Thing
from connectors.series import UNTAGGED
from connectors.split import Labels, Splitter
from connectors.tags import shorten

_ZERO = Decimal(0)


class Overflow(Struct, frozen=True, kw_only=True):
    """A sum beyond MAX_ABS_VALUE, which no fact can carry."""

    series: str
    charge_period_start: str
    value: Decimal


class _Part(Struct, gc=False):
    """What one group of rows adds up to. unit: None once two units met, which cannot be added. moved, moved_with: what
    re-tagging brought, and from where.

    gc=False: there may be a million of them, and they hold nothing that could lead back to them.
    """

    cost: Decimal
    quantity: Decimal | None
    unit: str | None
    moved: float = 0.0
    moved_with: str | None = None

    def plus(self, other: "_Part") -> "_Part":
        cost = EXACT.add(self.cost, other.cost)
        if self.quantity is None or other.quantity is None:
            known = other if self.quantity is None else self
            return _Part(cost, known.quantity, known.unit)
        return _Part(cost, EXACT.add(self.quantity, other.quantity), self.unit if self.unit == other.unit else None)


_DriverValues = tuple[str | None, ...]
_GroupKey = tuple[Labels, _DriverValues, str | None]


class Aggregate:
    """Takes charges one by one; hands out the facts at the end.

    Rows are first added up by what distinguishes them, then each group once into the series it feeds: a group of a
    thousand rows that feeds eight series costs a thousand additions and eight, not eight thousand.
    """

    def __init__(self, splitter: Splitter) -> None:
        self._splitter = splitter
        self._is_billed = splitter.rules.metric == "billed_cost"
        self._groups: dict[int, dict[_GroupKey, _Part]] = defaultdict(dict)
        self._complete_until = 0

    def add(self, charge: Charge) -> None:
        """Amounts are those of cells.amount: anything else may not fit the exact context and raise decimal.Inexact."""
        splitter = self._splitter
        place = splitter.place(charge)
        if place.complete_until > self._complete_until:
            self._complete_until = place.complete_until
        quantity, unit = charge.consumed_quantity, charge.consumed_unit
        if quantity is None:
            quantity, unit = charge.pricing_quantity, charge.pricing_unit
        cost = charge.billed_cost if self._is_billed else charge.effective_cost
        groups = self._groups[place.start]
        key = (splitter.labels(charge, place.metric), splitter.drivers(charge), unit)
        part = groups.get(key)
        if part is None:
            groups[key] = _Part(cost, quantity, unit)
            return
        part.cost = EXACT.add(part.cost, cost)
        if quantity is not None:
            part.quantity = quantity if part.quantity is None else EXACT.add(part.quantity, quantity)

    @property
    def complete_until(self) -> str | None:
        """Start of the bucket in which the latest Usage charge ends: the buckets before it have been seen to their end.

        The bucket that is still filling up is not promised, nor is anything by purchases and taxes, whose periods
        reach into the future. None when there was no such charge.
        """
        if not self._complete_until:
            return None
        return _instant(self._complete_until - self._complete_until % self._splitter.rules.grain.seconds)

    def facts(self, *, origin: str, revision: int, basis: Basis = Basis.BILLED) -> Iterator[Fact | Overflow]:
        """One fact per series and bucket, ordered by bucket and series. Bucket by bucket, to bound memory."""
        carried = self._carried_tags()
        retagging = Retagging()
        for start in sorted(self._groups):
            at = _instant(start)
            by_series = self._bucket(start, carried)
            for move_key, moves in self._moves(start, retagging).items():
                self._mark(by_series, move_key, moves, carried)
            for series in sorted(by_series):
                parts = by_series[series]
                total = _ZERO
                for part in parts.values():
                    total = EXACT.add(total, part.cost)
                if abs(total) > MAX_AMOUNT:
                    yield Overflow(series=series, charge_period_start=at, value=total)
                    continue
                yield Fact(
                    series=series,
                    charge_period_start=at,
                    value=_float(total),
                    origin=origin,
                    revision=revision,
                    basis=basis,
                    drivers=self._top(parts),
                    retagged=round(sum(part.moved for part in parts.values()), 9) + 0.0,
                )

    def _carried_tags(self) -> frozenset[int]:
        """Positions of the listed tags that any charge carries, of whatever bucket and metric."""
        seen = {tags for groups in self._groups.values() for (_, _, tags, _), _, _ in groups}
        return frozenset(position for tags in seen for position, value in enumerate(tags) if value is not None)

    def _bucket(self, start: int, carried: Container[int]) -> dict[str, dict[_DriverValues, _Part]]:
        """The parts of each series by driver. Groups that meet no other are shared between series, not copied."""
        by_series: dict[str, dict[_DriverValues, _Part]] = defaultdict(dict)
        fed_by: dict[Labels, list[dict[_DriverValues, _Part]]] = {}
        for (labels, values, _), part in self._groups[start].items():
            fed = fed_by.get(labels)
            if fed is None:
                fed = fed_by[labels] = [by_series[series] for series in self._splitter.series(labels, carried=carried)]
            for parts in fed:
                met = parts.get(values)
                parts[values] = part if met is None else met.plus(part)
        return by_series

    def _moves(self, start: int, retagging: Retagging) -> dict[tuple[str, str], list[Move]]:
        """By metric and currency. Only usage moves: a tax or a fee says nothing of where its resource went."""
        column = self._splitter.resource_column
        if column is None or not self._splitter.rules.tags:
            return {}
        things: dict[Thing, dict[Tags, float]] = defaultdict(dict)
        for ((metric, currency, tags, _), values, _), part in self._groups[start].items():
            if values[column] is not None and metric == self._splitter.rules.metric:
                costs = things[(metric, currency, *values)]
                costs[tags] = costs.get(tags, 0.0) + float(part.cost)
        found: dict[tuple[str, str], list[Move]] = defaultdict(list)
        for move in retagging.moves(things):
            found[move.thing[0] or "", move.thing[1] or ""].append(move)
        return found

    def _mark(
        self,
        by_series: dict[str, dict[_DriverValues, _Part]],
        key: tuple[str, str],
        moves: list[Move],
        carried: Container[int],
    ) -> None:
        """Write the moves to both sides. What has left a series wholly is named there with a cost of zero."""
        for move in moves:
            thing: _DriverValues = move.thing[2:]
            for value, other, moved in ((move.to, move.origin, move.cost), (move.origin, move.to, -move.cost)):
                series = self._splitter.tag_series(*key, move.position, value, carried=carried)
                if series is None:
                    continue
                parts = by_series[series]
                part = parts.get(thing)
                known = _Part(_ZERO, None, None) if part is None else part
                name = shorten(other) if other is not None else UNTAGGED
                parts[thing] = _Part(known.cost, known.quantity, known.unit, known.moved + moved, name)

    def _top(self, parts: dict[_DriverValues, _Part]) -> tuple[Driver, ...]:
        """The largest by |cost|, equal ones by name. What has no name or costs nothing stays out."""
        most = self._splitter.rules.top_drivers
        named = [(_size(part), values, part) for values, part in parts.items() if _size(part) and any(values)]
        if len(named) > most > 0:
            # Floats choose quickly and, as rounding keeps order, leave out nothing that belongs; decimals then decide.
            least = heapq.nlargest(most, [size for size, _, _ in named])[-1]
            named = [item for item in named if item[0] >= least]
        # copy_abs and copy_negate: abs() and - round to the 28 digits of the default context.
        named.sort(
            key=lambda item: (
                -abs(item[2].moved),
                item[2].cost.copy_abs().copy_negate(),
                [value or "" for value in item[1]],
            )
        )
        return tuple(self._driver(values, part) for _, values, part in named[:most])

    def _driver(self, values: _DriverValues, part: _Part) -> Driver:
        columns = self._splitter.rules.drivers
        # A quantity says something only with its unit, and only if all of it had the same.
        quantity = part.quantity if part.unit is not None else None
        return Driver(
            labels={column: shorten(value) for column, value in zip(columns, values, strict=True) if value is not None},
            cost=_float(part.cost),
            quantity=None if quantity is None else _float(quantity),
            unit=None if quantity is None or part.unit is None else shorten(part.unit),
            retagged=round(part.moved, 9) if part.moved else None,
            retagged_with=part.moved_with,
        )


def _size(part: _Part) -> float:
    """By cost; what moved comes first, as it explains a change."""
    return max(abs(float(part.cost)), abs(part.moved))


def _instant(seconds: int) -> str:
    return format_instant(datetime.fromtimestamp(seconds, UTC))


def _float(value: Decimal) -> float:
    """Never -0.0, which would encode as another text than 0.0."""
    return float(value) + 0.0
