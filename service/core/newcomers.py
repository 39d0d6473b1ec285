"""A cap on new series: a tag that takes thousands of values an hour must not eat the memory of all the others.

Counted are the new values of one dimension of one tenant within an hour of event time, per partition: each engine
has its share. What exceeds it is folded into one series of that dimension and partition, `__other__.<partition>`.
"""

from collections.abc import Iterable

import msgspec

from connectors.facts import Fact, Fold
from connectors.series import OTHER, SeriesKey
from service.core.rejects import RejectError, RejectReason

_HOUR = 3600
MAX_DIMENSIONS = 50_000
"""Tags and other dimensions, of all tenants, that have new values within an hour of event time in one partition."""


class Newcomers:
    """share: how many new values of one dimension this partition admits per hour; None admits all."""

    __slots__ = ("counts", "hour", "share")

    def __init__(self, share: int | None) -> None:
        self.share = share
        self.hour = 0
        self.counts: dict[tuple[str, str], int] = {}

    def admit(self, series: SeriesKey, now: int) -> bool:
        """Count a new value; False when it is beyond the share. now: event time in seconds since 1970.

        Raises RejectError when there are too many dimensions: even what is beyond the cap takes a series in each.
        """
        if self.share is None:
            return True
        hour = now // _HOUR
        if hour > self.hour:
            self.hour = hour
            self.counts.clear()
        dimension = (series.tenant, series.dimension)
        count = self.counts.get(dimension, 0)
        if not count and len(self.counts) >= MAX_DIMENSIONS:
            raise RejectError(
                RejectReason.TOO_MANY_DIMENSIONS,
                "series",
                f"expected new values of at most {MAX_DIMENSIONS} tenants and dimensions an hour, got one of"
                f" {series.dimension[:80]!r} besides",
            )
        if count >= self.share:
            return False
        self.counts[dimension] = count + 1
        return True

    def export(self) -> list[tuple[str, str, int]]:
        """tenant, dimension, count within `hour`."""
        return [(*dimension, count) for dimension, count in self.counts.items()]

    def take_over(self, hour: int, counts: Iterable[tuple[str, str, int]]) -> None:
        """What `export` gave."""
        self.hour = hour
        self.counts = {(tenant, dimension): count for tenant, dimension, count in counts}


def other_of(series: SeriesKey, partition: int) -> SeriesKey:
    """The series that takes what exceeds the cap. Each partition has its own: their facts never meet."""
    return SeriesKey(
        tenant=series.tenant,
        metric=series.metric,
        unit=series.unit,
        grain=series.grain,
        dimension=series.dimension,
        value=f"{OTHER}.{partition}",
    )


def as_event_of(other: SeriesKey, fact: Fact) -> Fact:
    """What a fact of one value says in the series of all: there it counts as an event.

    Of a bucket that its origin states again the first statement stands: to replace it would need to be remembered per
    value, which is what the cap saves. Added again, every restatement would look like spend.
    """
    return msgspec.structs.replace(
        fact,
        series=str(other),
        fold=Fold.GAUGE if fact.fold is Fold.GAUGE else Fold.ADD,
        event_id=f"{fact.series}\n{fact.event_id or fact.origin}\n{fact.charge_period_start}",
    )
