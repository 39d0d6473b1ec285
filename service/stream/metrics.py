"""What the worker counts. No tag value, account or alert id is ever a label; every label set starts at zero."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from detectors.verdict import Status
from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.rejects import RejectReason
from service.core.stats import EngineStats
from service.stream.batch import Batch, TopicPartition
from service.stream.owner import Progress

_BATCH_BUCKETS = (1, 10, 50, 100, 250, 500, 1000, 2000, 5000)
_SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_OF_ENGINE = {
    "facts_repeated": ("repeated", "Facts that said nothing new."),
    "facts_restated": ("restated", "Facts that changed a bucket which was closed."),
    "facts_too_late": ("too_late", "Facts about buckets older than the ring; they move month-to-date sums only."),
    "facts_capped": ("capped", "Facts of new values beyond the cap on them."),
    "facts_replayed": ("skipped", "Facts that a series had seen before: read again after a crash or a rebalance."),
    "event_ids_forgotten": ("forgotten_ids", "Event ids dropped to stay within memory."),
    "buckets_retagged": ("retagged", "Buckets that raised nothing because their cost only has another tag."),
    "feedback_heard": ("feedback", "What people said of alerts, as far as it was news."),
    "series_judged_anew": ("judged_anew", "Series judged again after a start, since their policy is another."),
    "series_cold_starts": ("cold_starts", "Series begun anew because their snapshot did not fit."),
}
"""Counters that are an engine's as they stand: metric -> attribute of EngineStats and help."""


class Counted(Protocol):
    @property
    def stats(self) -> EngineStats: ...
    def __len__(self) -> int:
        """Series tracked."""


class StreamMetrics:
    """detectors: names that policies may use."""

    def __init__(self, registry: CollectorRegistry, *, detectors: Iterable[str]) -> None:
        self.registry = registry
        self._seen: dict[TopicPartition, dict[object, int]] = {}
        self._consumed = self._counter("facts_consumed", "Records read from the facts topic.")
        self._rejected = self._counter("facts_rejected", "Facts put aside as dead letters.", ["reason"])
        for reason in RejectReason:
            self._rejected.labels(reason=reason.value)
        self._judged = self._counter("buckets_judged", "Buckets judged.", ["detector", "status"])
        for detector in detectors:
            for status in Status:
                self._judged.labels(detector=detector, status=status.value)
        self._alerts = self._counter("alerts_emitted", "Versions of alerts sent.", ["kind", "status"])
        for kind in AlertKind:
            for alert_status in AlertStatus:
                self._alerts.labels(kind=kind.value, status=alert_status.value)
        self._plain = {name: self._counter(name, help_) for name, (_, help_) in _OF_ENGINE.items()}
        self._recorded = self._counter("alerts_recorded", "Versions of alerts written to the store, or known there.")
        self._events = self._counter("alert_events", "Changes of alerts in the store, by detection.")
        self._unreadable_alerts = self._counter(
            "alerts_unreadable", "Messages on the alerts topic put aside as dead letters."
        )
        self._spend = self._counter(
            "spend_recorded", "Statements of what was spent, written to the store or known there."
        )
        self._store_failures = self._counter("store_failures", "Failed attempts to store alerts or spend.")
        self._announce_failures = self._counter("announce_failures", "Events that could not be announced live.")
        self._series = self._gauge("series_tracked", "Series with live state in this worker.")
        self._withheld = self._gauge(
            "series_withheld", "Series that fell silent together with many of their source: late, not missing."
        )
        self._late = self._gauge(
            "source_late_seconds",
            "Event time from the source furthest behind to the newest one; 14 days at most.",
        )
        self._last_fact = self._gauge(
            "worker_last_fact_timestamp_seconds", "Kafka timestamp of the newest fact judged, Unix time."
        )
        self._lag = self._gauge("consumer_lag", "Records behind the end of the log.", ["topic", "partition"])
        self._partitions = self._gauge("partitions_assigned", "Partitions this worker reads, of all topics.")
        self._rebalances = self._counter("rebalances", "Assignments of partitions.")
        self._refetches = self._gauge("log_holes", "Offset gaps met since the last assignment.")
        self._loaded = self._counter("snapshots_loaded", "Snapshots read after assignments.")
        self._load_seconds = self._histogram("snapshot_load_seconds", "Time to load the state.", _SECONDS_BUCKETS)
        self._checkpoint_seconds = self._histogram(
            "checkpoint_seconds", "Time from freezing the state to its acknowledgement.", _SECONDS_BUCKETS
        )
        self._checkpoint_bytes = self._counter("checkpoint_bytes", "Bytes of snapshots written.")
        self._checkpoint_series = self._counter("checkpoint_series", "Snapshots written.")
        self._last_checkpoint = self._gauge("last_checkpoint_timestamp_seconds", "Unix time of the last checkpoint.")
        self._batch = self._histogram("batch_facts", "Facts handed over at once.", _BATCH_BUCKETS)

    def batch(self, batch: Batch) -> None:
        self._consumed.inc(len(batch.records))
        self._batch.observe(len(batch.records))
        self._last_fact.set(batch.records.timestamp / 1000.0)

    def emitted(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            self._alerts.labels(kind=alert.kind.value, status=alert.status.value).inc()

    def rejected(self, reason: str) -> None:
        self._rejected.labels(reason=reason).inc()

    def engines(self, engines: Mapping[TopicPartition, Counted]) -> None:
        """Take over what engines have counted since the last call; an engine that is new begins at zero."""
        for tp, engine in engines.items():
            stats = engine.stats
            seen = self._seen.setdefault(tp, {})
            for name, (attribute, _) in _OF_ENGINE.items():
                total = int(getattr(stats, attribute))
                self._plain[name].inc(total - seen.get(name, 0))
                seen[name] = total
            for (detector, status), total in stats.judged.items():
                self._judged.labels(detector=detector, status=status.value).inc(total - seen.get((detector, status), 0))
                seen[detector, status] = total
        self._series.set(sum(len(engine) for engine in engines.values()))
        self._withheld.set(sum(engine.stats.withheld for engine in engines.values()))
        self._late.set(max((engine.stats.late_seconds for engine in engines.values()), default=0))

    def engines_dropped(self) -> None:
        self._seen.clear()
        self._series.set(0)
        self._withheld.set(0)
        self._late.set(0)

    def progress(self, partitions: Sequence[Progress], *, holes: int) -> None:
        self._lag.clear()
        for progress in partitions:
            self._lag.labels(topic=progress.tp.topic, partition=str(progress.tp.partition)).set(progress.lag)
        self._partitions.set(len(partitions))
        self._refetches.set(holes)

    def assigned(self) -> None:
        self._rebalances.inc()

    def loaded(self, snapshots: int, seconds: float) -> None:
        self._loaded.inc(snapshots)
        self._load_seconds.observe(seconds)

    def checkpoint(self, *, seconds: float, size: int, series: int) -> None:
        self._checkpoint_seconds.observe(seconds)
        self._checkpoint_bytes.inc(size)
        self._checkpoint_series.inc(series)
        self._last_checkpoint.set_to_current_time()

    def stored(self, alerts: int, events: int) -> None:
        self._recorded.inc(alerts)
        self._events.inc(events)

    def spend_stored(self, statements: int) -> None:
        self._spend.inc(statements)

    def store_failed(self) -> None:
        self._store_failures.inc()

    def announce_failed(self) -> None:
        self._announce_failures.inc()

    def unreadable_alerts(self, count: int) -> None:
        self._unreadable_alerts.inc(count)

    def _counter(self, name: str, help_: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"spendwatch_{name}_total", help_, labels, registry=self.registry)

    def _gauge(self, name: str, help_: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"spendwatch_{name}", help_, labels, registry=self.registry)

    def _histogram(self, name: str, help_: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"spendwatch_{name}", help_, buckets=buckets, registry=self.registry)
