"""A cap on new series: a tag that takes thousands of values an hour must not eat the memory of all the others.

Counted are the new values of one dimension of one tenant within an hour of event time, per partition: each engine
has its share. What exceeds it is folded into one series of that dimension and partition, `__other__.<partition>`.
"""

from connectors.series import OTHER, SeriesKey

_HOUR = 3600
_MAX_COUNTED = 10_000


class Newcomers:
    """share: how many new values of one dimension this partition admits per hour; None admits all."""

    __slots__ = ("counts", "hour", "share")

    def __init__(self, share: int | None) -> None:
        self.share = share
        self.hour = 0
        self.counts: dict[tuple[str, str], int] = {}

    def admit(self, series: SeriesKey, now: int) -> bool:
        """Count a new value; False when it is beyond the share. now: event time in seconds since 1970."""
        if self.share is None:
            return True
        hour = now // _HOUR
        if hour > self.hour or len(self.counts) > _MAX_COUNTED:
            self.hour = max(hour, self.hour)
            self.counts.clear()
        dimension = (series.tenant, series.dimension)
        count = self.counts.get(dimension, 0)
        if count >= self.share:
            return False
        self.counts[dimension] = count + 1
        return True


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
