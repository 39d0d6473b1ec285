"""Which series a charge feeds, and in which bucket.

A charge feeds one series per listed tag (its value, or `__untagged__`), one per dimension that it carries, and the
tenant's total: one hop, so that all facts of a series meet in one partition. `__untagged__` is for tags that somebody
uses: a tag that no line of a delivery carries has no series, which would only be the total once more.

Metrics. Usage feeds the metric itself (`effective_cost` or `billed_cost`). What is lumpy goes beside it, into series of
the same tags and dimensions whose metric carries a suffix, so that nothing is lost and no lump is judged as run rate:

    effective_cost              Usage whose period is no wider than a bucket
    effective_cost.coarse       Usage whose period is wider: a month's support fee, a day's storage on hourly series
    effective_cost.purchase     .tax   .credit   .adjustment

The metric and its suffixed ones add up to all rows of the bill.

Buckets. A charge counts in the bucket that holds its ChargePeriodStart; that is also where a Correction goes, however
late it came. A wide period is never spread over its buckets: the bill does not say how the money fell, and a month
that is spread while it fills up would restate every day of the month, every day.
"""

from collections.abc import Container, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Literal

from msgspec import Struct

from connectors.cells import Memo
from connectors.charge import TEXT_COLUMNS, Charge, ChargeCategory
from connectors.errors import SplitRulesError
from connectors.facts import MAX_DRIVERS, MAX_LABELS
from connectors.series import TOTAL, UNTAGGED, Grain, SeriesKey
from connectors.tags import ALIASES, TagSelector, fold_key, shorten

MAX_TAG_KEY_LENGTH = 64

SUFFIXES: Mapping[ChargeCategory, str] = {
    ChargeCategory.USAGE: "",
    ChargeCategory.PURCHASE: ".purchase",
    ChargeCategory.TAX: ".tax",
    ChargeCategory.CREDIT: ".credit",
    ChargeCategory.ADJUSTMENT: ".adjustment",
}
COARSE_SUFFIX = ".coarse"


class SplitRules(Struct, frozen=True, kw_only=True):
    """What `service.settings.Split` holds, in this package's words; the composition root converts.

    tags: keys as the series name them; lines are matched by folded key (tags.py). aliases: other key -> listed key.
    dimensions, drivers: FOCUS columns in snake case. untagged: lines without a listed tag feed `__untagged__`, if
        another line of the same delivery carries the tag.
    metric: billed_cost serves where effective costs cannot be trusted (AWS's rows of the public FOCUS 1.0 sample
        are rounded to whole dollars).
    top_drivers: so many drivers are attached to a fact at most.
    """

    tags: tuple[str, ...] = ("team", "project", "environment", "cost_center", "customer_id")
    dimensions: tuple[str, ...] = ("service_name", "sub_account_id")
    drivers: tuple[str, ...] = ("service_name", "resource_id", "sub_account_id", "region_id", "sku_meter")
    total: bool = True
    untagged: bool = True
    grain: Grain = Grain.DAY
    metric: Literal["billed_cost", "effective_cost"] = "effective_cost"
    top_drivers: int = 5
    aliases: Mapping[str, str] = ALIASES


class Placement(Struct, frozen=True, kw_only=True, gc=False):
    """Where a charge counts. start, end: of its bucket, in whole seconds since 1970-01-01 UTC.

    complete_until: the end of the charge as far as it closes buckets; 0 when it says nothing about that.
    """

    metric: str
    start: int
    end: int
    complete_until: int


Labels = tuple[str, str, tuple[str | None, ...], tuple[str | None, ...]]
"""What decides about a charge's series: metric, currency, the values of the listed tags and of the dimensions."""


class Splitter:
    """Applies one set of rules for one tenant. Pure; remembers what it has seen for speed only."""

    def __init__(self, rules: SplitRules, tenant: str = "default") -> None:
        """Raises SplitRulesError."""
        _check(rules, tenant)
        self.rules = rules
        self.tenant = tenant
        self._seconds = rules.grain.seconds
        self._tags = TagSelector(rules.tags, rules.aliases)
        self._dimensions = _Getter(rules.dimensions)
        self._drivers = _Getter(rules.drivers)
        self._places: Memo[tuple[datetime, datetime, ChargeCategory], Placement] = Memo(self._place)
        self._names = (*(f"tag:{key}" for key in rules.tags), *rules.dimensions)
        self._series: Memo[tuple[str, str, str, str], str] = Memo(self._series_text)

    def place(self, charge: Charge) -> Placement:
        return self._places[charge.charge_period_start, charge.charge_period_end, charge.charge_category]

    def labels(self, charge: Charge, metric: str) -> Labels:
        return metric, charge.billing_currency, self._tags.select(charge.tags), self._dimensions(charge)

    def drivers(self, charge: Charge) -> tuple[str | None, ...]:
        """The values of the driver columns."""
        return self._drivers(charge)

    @property
    def resource_column(self) -> int | None:
        """Which of the driver columns says the resource; None where none does."""
        return self.rules.drivers.index("resource_id") if "resource_id" in self.rules.drivers else None

    def tag_series(
        self, metric: str, currency: str, position: int, value: str | None, *, carried: Container[int]
    ) -> str | None:
        """The series of one value of a listed tag; None where lines without the tag feed none."""
        if value is None and not (self.rules.untagged and position in carried):
            return None
        return self._series[metric, currency, self._names[position], UNTAGGED if value is None else value]

    def series(self, labels: Labels, *, carried: Container[int]) -> list[str]:
        """Canonical texts of the series that *labels* feed, each once.

        carried: the positions of the listed tags that any line of the delivery carries.
        """
        metric, currency, tags, dimensions = labels
        values = (*tags, *dimensions)
        found = [
            self._series[metric, currency, dimension, value]
            for dimension, value in zip(self._names, values, strict=True)
            if value is not None
        ]
        if self.rules.untagged:
            found += [
                self._series[metric, currency, dimension, UNTAGGED]
                for position, (dimension, value) in enumerate(zip(self._names, tags, strict=False))
                if value is None and position in carried
            ]
        if self.rules.total:
            found.append(self._series[metric, currency, TOTAL, ""])
        return found

    def _place(self, period: tuple[datetime, datetime, ChargeCategory]) -> Placement:
        at, until, category = period
        begin, end = int(at.timestamp()), int(until.timestamp())
        start = begin - begin % self._seconds
        suffix = SUFFIXES[category]
        is_fine = end - begin <= self._seconds
        if category is ChargeCategory.USAGE and not is_fine:
            suffix = COARSE_SUFFIX
        return Placement(
            metric=self.rules.metric + suffix,
            start=start,
            end=start + self._seconds,
            complete_until=end if is_fine and category is ChargeCategory.USAGE else 0,
        )

    def _series_text(self, parts: tuple[str, str, str, str]) -> str:
        metric, currency, dimension, value = parts
        return str(
            SeriesKey(
                tenant=self.tenant,
                metric=metric,
                unit=currency,
                grain=self.rules.grain,
                dimension=dimension,
                value=shorten(value),
            )
        )


class _Getter:
    """attrgetter with a tuple as its result for any number of columns, none and one included."""

    __slots__ = ("_get", "_single")

    def __init__(self, columns: tuple[str, ...]) -> None:
        self._get = attrgetter(*columns) if columns else None
        self._single = len(columns) == 1

    def __call__(self, charge: Charge) -> tuple[str | None, ...]:
        if self._get is None:
            return ()
        found = self._get(charge)
        return (found,) if self._single else found


def _check(rules: SplitRules, tenant: str) -> None:
    _check_columns("dimensions", rules.dimensions)
    _check_columns("drivers", rules.drivers)
    if len(rules.drivers) > MAX_LABELS:
        raise SplitRulesError(f"split.drivers: expected at most {MAX_LABELS} columns, got {len(rules.drivers)}")
    if not 0 <= rules.top_drivers <= MAX_DRIVERS:
        raise SplitRulesError(f"split.top_drivers: expected 0 to {MAX_DRIVERS}, got {rules.top_drivers}")
    folded = [fold_key(key) for key in rules.tags]
    for key, fold in zip(rules.tags, folded, strict=True):
        if not fold or len(key) > MAX_TAG_KEY_LENGTH or "=" in key or not key.isprintable():
            raise SplitRulesError(
                f"split.tags: expected a key of 1 to {MAX_TAG_KEY_LENGTH} characters without '=', got {key!r}"
            )
        if folded.count(fold) > 1:
            raise SplitRulesError(f"split.tags: {key!r} is listed twice (case and punctuation do not count)")
    try:
        SeriesKey.parse(
            str(SeriesKey(tenant=tenant, metric=rules.metric, unit="USD", grain=rules.grain, dimension=TOTAL))
        )
    except ValueError as error:
        raise SplitRulesError(f"tenant {tenant!r}: {error}") from None


def _check_columns(what: str, columns: tuple[str, ...]) -> None:
    for column in columns:
        if column not in TEXT_COLUMNS:
            raise SplitRulesError(f"split.{what}: expected one of {', '.join(sorted(TEXT_COLUMNS))}, got {column!r}")
    if len(set(columns)) != len(columns):
        raise SplitRulesError(f"split.{what}: each column once, got {', '.join(columns)}")
