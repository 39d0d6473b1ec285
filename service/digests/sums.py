"""What each value of a label spent: the rows of the store, added up by day, per currency. Pure.

Amounts of two currencies are never added. Where a value has hours and days of the same metric, the days count: two
records of the same money would be added up otherwise.
"""

import calendar
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from math import fsum

from msgspec import Struct

from service.digests.schedule import Period

_DAY = timedelta(days=1)
_DAYS_BEHIND_A_FORECAST = 28
"""Four of each weekday."""
_HARDLY_COUNTS = 0.01
"""So much of a week's money may be missing in a sum that is called complete."""


class SpendBasis(StrEnum):
    """Of several buckets: what all of them are, or both."""

    BILLED = "billed"
    ESTIMATED = "estimated"
    MIXED = "mixed"


class DaySum(Struct, frozen=True, kw_only=True):
    """A row of the store: what one value spent on one UTC day, in buckets of one width.

    until: end of the last bucket of that day that was complete.
    """

    value: str
    unit: str
    grain_seconds: int
    day: datetime
    amount: float
    basis: SpendBasis
    until: datetime


class DaySpend(Struct, frozen=True, kw_only=True):
    """amount: None where nothing is known of the day."""

    day: datetime
    amount: float | None
    basis: SpendBasis | None


class Spend(Struct, frozen=True, kw_only=True):
    """What one value, or all of them together, spent in a period, in one currency.

    value: "" for all together. amount: as far as it is known. before: the same weekdays a week earlier; None where
    nothing is known of them. change: amount - before; None while the period is not complete, since it would be a fall.
    known_until: end of the last bucket that was complete. complete: whether that reaches the end of the period.
    month: since the first of the month that the period ends in. forecast: of that month, each day that is left at the
    mean of its weekday over four weeks; None without these, or while the period is not complete.
    """

    value: str
    unit: str
    amount: float
    before: float | None
    change: float | None
    basis: SpendBasis
    known_until: datetime
    complete: bool
    days: tuple[DaySpend, ...]
    month: float
    forecast: float | None

    @property
    def share(self) -> float | None:
        """The change as a part of what was spent before."""
        return None if self.change is None or not self.before else self.change / abs(self.before)


def first_day(period: Period) -> datetime:
    """The oldest day whose rows are needed."""
    return min(period.before.start, month_of(period), period.end - _DAYS_BEHIND_A_FORECAST * _DAY)


def month_of(period: Period) -> datetime:
    """The first of the month that the period ends in."""
    return (period.end - _DAY).replace(day=1)


def spends_of(rows: Iterable[DaySum], period: Period) -> list[Spend]:
    """One per value and currency with anything in the period or what it is compared with; the largest first."""
    series: dict[tuple[str, str], dict[int, list[DaySum]]] = {}
    for row in rows:
        if row.day < period.end:
            series.setdefault((row.value, row.unit), {}).setdefault(row.grain_seconds, []).append(row)
    found = [_spend(value, unit, by_grain[max(by_grain)], period) for (value, unit), by_grain in series.items()]
    return sorted((one for one in found if one is not None), key=_by_size)


def together(spends: Sequence[Spend], period: Period) -> tuple[Spend, ...]:
    """All values of each currency. Complete when all are but for what hardly counts: some just stopped spending."""
    return tuple(_together([one for one in spends if one.unit == unit], period) for unit in _units(spends))


def largest_changes(spends: Iterable[Spend], count: int) -> tuple[Spend, ...]:
    """Of what is complete."""
    moved = [one for one in spends if one.change]
    return tuple(sorted(moved, key=lambda one: (-abs(one.change or 0.0), one.unit, one.value))[:count])


def _spend(value: str, unit: str, rows: Sequence[DaySum], period: Period) -> Spend | None:
    by_day = {row.day: row for row in rows}
    now = [by_day[day] for day in period.days if day in by_day]
    then = [by_day[day] for day in period.before.days if day in by_day]
    if not now and not then:
        return None
    known_until = min(max(row.until for row in rows), period.end)
    amount = fsum(row.amount for row in now)
    before = fsum(row.amount for row in then) if then else None
    complete = known_until >= period.end
    month = fsum(row.amount for row in rows if row.day >= month_of(period))
    return Spend(
        value=value,
        unit=unit,
        amount=amount,
        before=before,
        change=amount - before if complete and before is not None else None,
        basis=_basis(now or then),
        known_until=known_until,
        complete=complete,
        days=tuple(_day(day, by_day.get(day)) for day in period.days),
        month=month,
        forecast=_forecast(by_day, month, period) if complete else None,
    )


def _day(day: datetime, row: DaySum | None) -> DaySpend:
    return (
        DaySpend(day=day, amount=None, basis=None)
        if row is None
        else DaySpend(day=day, amount=row.amount, basis=row.basis)
    )


def _basis(rows: Iterable[DaySum]) -> SpendBasis:
    return _joined(row.basis for row in rows)


def _joined(bases: Iterable[SpendBasis]) -> SpendBasis:
    found = set(bases)
    return found.pop() if len(found) == 1 else SpendBasis.MIXED


def _forecast(by_day: dict[datetime, DaySum], month: float, period: Period) -> float | None:
    past = [period.end - n * _DAY for n in range(1, _DAYS_BEHIND_A_FORECAST + 1)]
    if min(by_day) > past[-1]:
        return None
    first = month_of(period)
    days_left = calendar.monthrange(first.year, first.month)[1] - (period.end - first).days
    ahead = []
    for n in range(days_left):
        weekday = (period.end + n * _DAY).weekday()
        ahead += [by_day[day].amount / 4 for day in past if day.weekday() == weekday and day in by_day]
    return month + fsum(ahead)


def _units(spends: Iterable[Spend]) -> list[str]:
    return sorted({one.unit for one in spends})


def _together(spends: Sequence[Spend], period: Period) -> Spend:
    known_until = max(one.known_until for one in spends)
    late = fsum(abs(one.before or one.amount) for one in spends if not one.complete)
    of_all = fsum(abs(one.before or one.amount) for one in spends)
    complete = known_until >= period.end and late <= _HARDLY_COUNTS * of_all
    amount = fsum(one.amount for one in spends)
    known_before = [one.before for one in spends if one.before is not None]
    before = fsum(known_before) if known_before else None
    forecasts = [one.month if one.forecast is None else one.forecast for one in spends]
    has_forecast = any(one.forecast is not None for one in spends)
    return Spend(
        value="",
        unit=spends[0].unit,
        amount=amount,
        before=before,
        change=amount - before if complete and before is not None else None,
        basis=_joined(one.basis for one in spends),
        known_until=known_until,
        complete=complete,
        days=tuple(_day_together([one.days[n] for one in spends]) for n in range(len(period.days))),
        month=fsum(one.month for one in spends),
        forecast=fsum(forecasts) if complete and has_forecast else None,
    )


def _day_together(days: Sequence[DaySpend]) -> DaySpend:
    known = [day for day in days if day.amount is not None]
    return DaySpend(
        day=days[0].day,
        amount=fsum(day.amount or 0.0 for day in known) if known else None,
        basis=_joined(day.basis for day in known if day.basis is not None) if known else None,
    )


def _by_size(spend: Spend) -> tuple[str, float, str]:
    return (spend.unit, -spend.amount, spend.value)
