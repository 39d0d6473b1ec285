"""Charges of one delivery -> facts: added up per series and bucket, with the largest drivers.

Pure and repeatable: the same charges in any order give the same facts in the same order. Sums are exact decimals; only
a finished sum becomes a float. Memory grows with the distinct (bucket, tag values, dimensions, driver) of a delivery,
not with its rows.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import Struct

from connectors.cells import EXACT, MAX_AMOUNT
from connectors.charge import Charge
from connectors.facts import Basis, Driver, Fact, format_instant
from connectors.split import Labels, Splitter
from connectors.tags import shorten

_ZERO = Decimal(0)


class Overflow(Struct, frozen=True, kw_only=True):
    """A sum beyond MAX_ABS_VALUE, which no fact can carry."""

    series: str
    charge_period_start: str
    value: Decimal


class _Part:
    """What one group of equal charges adds up to. unit: None once two units met, which cannot be added."""

    __slots__ = ("cost", "quantity", "unit")

    def __init__(self) -> None:
        self.cost = _ZERO
        self.quantity: Decimal | None = None
        self.unit: str | None = None

    def add(self, cost: Decimal, quantity: Decimal | None, unit: str | None) -> None:
        self.cost = EXACT.add(self.cost, cost)
        if quantity is None:
            return
        if self.quantity is None:
            self.quantity, self.unit = quantity, unit
        elif self.unit == unit:
            self.quantity = EXACT.add(self.quantity, quantity)
        else:
            self.unit = None


_DriverValues = tuple[str | None, ...]


class Aggregate:
    """Takes charges one by one; hands out the facts at the end.

    Rows are first added up by what distinguishes them, then each group once into the series it feeds: a group of a
    thousand rows that feeds eight series costs a thousand additions and eight, not eight thousand.
    """

    def __init__(self, splitter: Splitter) -> None:
        self._splitter = splitter
        self._is_billed = splitter.rules.metric == "billed_cost"
        self._groups: dict[int, dict[tuple[Labels, _DriverValues, str | None], _Part]] = defaultdict(dict)
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
        group = self._groups[place.start]
        key = (splitter.labels(charge, place.metric), splitter.drivers(charge), unit)
        part = group.get(key)
        if part is None:
            part = group[key] = _Part()
        part.add(charge.billed_cost if self._is_billed else charge.effective_cost, quantity, unit)

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
        for start in sorted(self._groups):
            at = _instant(start)
            totals, drivers = self._bucket(start)
            for series in sorted(totals):
                total = totals[series]
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
                    drivers=self._top(drivers[series]),
                )

    def _bucket(self, start: int) -> tuple[dict[str, Decimal], dict[str, dict[_DriverValues, _Part]]]:
        totals: dict[str, Decimal] = {}
        drivers: dict[str, dict[_DriverValues, _Part]] = defaultdict(dict)
        names_drivers = self._splitter.rules.top_drivers > 0
        for (labels, values, unit), part in self._groups[start].items():
            for series in self._splitter.series(labels):
                totals[series] = EXACT.add(totals.get(series, _ZERO), part.cost)
                if names_drivers:
                    sums = drivers[series]
                    driver = sums.get(values)
                    if driver is None:
                        driver = sums[values] = _Part()
                    driver.add(part.cost, part.quantity, unit)
        return totals, drivers

    def _top(self, sums: dict[_DriverValues, _Part]) -> tuple[Driver, ...]:
        """The largest by |cost|, equal ones by name. What has no name or costs nothing stays out."""
        named = ((values, part) for values, part in sums.items() if part.cost and any(values))
        largest = heapq.nsmallest(
            self._splitter.rules.top_drivers,
            named,
            key=lambda item: (-abs(item[1].cost), [value or "" for value in item[0]]),
        )
        return tuple(self._driver(values, part) for values, part in largest)

    def _driver(self, values: _DriverValues, part: _Part) -> Driver:
        columns = self._splitter.rules.drivers
        # A quantity says something only with its unit, and only if all of it had the same.
        quantity = part.quantity if part.unit is not None else None
        return Driver(
            labels={column: shorten(value) for column, value in zip(columns, values, strict=True) if value is not None},
            cost=_float(part.cost),
            quantity=None if quantity is None else _float(quantity),
            unit=None if quantity is None else part.unit,
        )


def _instant(seconds: int) -> str:
    return format_instant(datetime.fromtimestamp(seconds, UTC))


def _float(value: Decimal) -> float:
    """Never -0.0, which would encode as another text than 0.0."""
    return float(value) + 0.0
