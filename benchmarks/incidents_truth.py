"""Which planted incidents an alert shows: from the money that each put into the series, bucket by bucket."""

from datetime import UTC, datetime, timedelta

from connectors.series import SeriesKey
from connectors.synthetic import SyntheticOptions
from connectors.synthetic_incidents import CREEP_SLOT, NEW_TAG_SLOT, SLOTS, Planted, plant
from connectors.synthetic_spend import Calendar, Spend, build_workloads
from service.core.alerts import Alert, AlertKind

_SHOWS = 0.25
"""An alert shows an incident that put this share of the alert's own change into a bucket of it."""


class Truth:
    """The generator's own plan, worked out again from its options."""

    def __init__(self, options: SyntheticOptions) -> None:
        first_day = options.first_live_day - timedelta(days=options.history_days)
        self._calendar = Calendar(first_day, options.history_days + options.days, options.grain)
        self._seconds = options.grain.seconds
        self._spend = Spend(
            build_workloads(options.tags, options.seed),
            self._calendar,
            seed=options.seed,
            holiday=options.history_days + max(1, options.days // 3),
        )
        slots = [*SLOTS, *([CREEP_SLOT] if options.creep else []), *([NEW_TAG_SLOT] if options.new_tag else [])]
        live_from = options.history_days * self._calendar.per_day
        self.planted = plant(self._spend, live_from=live_from, slots=slots, seed=options.seed)

    def shown(self, *versions: Alert) -> frozenset[int]:
        """The incidents (their places in `planted`) that a version of an alert shows."""
        return frozenset(
            number for alert in versions for number, share in self._shares(alert).items() if share >= _SHOWS
        )

    def main(self, alert: Alert) -> int | None:
        """The incident with most money in it; None if it shows none."""
        shares = {number: share for number, share in self._shares(alert).items() if share >= _SHOWS}
        return max(shares, key=lambda number: shares[number]) if shares else None

    def _shares(self, alert: Alert) -> dict[int, float]:
        series = SeriesKey.parse(alert.series)
        sign = -1.0 if alert.kind in (AlertKind.DROP, AlertKind.MISSING) else 1.0
        begin = int((alert.starts_at - self._midnight).total_seconds()) // self._seconds
        most = max(abs(alert.actual - alert.expected), 1e-9)
        return {
            number: max(
                sign * self._moved(planted, (series.dimension, series.value), bucket) / most
                for bucket in range(begin, begin + max(1, alert.buckets))
            )
            for number, planted in enumerate(self.planted)
        }

    @property
    def _midnight(self) -> datetime:
        return datetime.combine(self._calendar.first_day, datetime.min.time(), UTC)

    def _moved(self, planted: Planted, dimension: tuple[str, str], bucket: int) -> float:
        """Money that the incident added to (took from) a series in a bucket."""
        if not planted.first <= bucket < min(planted.last, self._calendar.buckets):
            return 0.0
        per_day = self._calendar.per_day
        moved = sum(
            self._spend.cost(workload, bucket) * (planted.factor(workload, bucket, per_day) - 1)
            for workload in self._spend.workloads
            if dimension in workload.dimensions
        )
        if planted.extra is not None and dimension in planted.extra.dimensions:
            moved += planted.extra.base / per_day
        return moved
