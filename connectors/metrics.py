"""What the connectors tell Prometheus. Never a tag value, account or resource as a label."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from connectors.connector import BadReason

OUTCOMES = ("published", "unchanged", "refused")
"""What becomes of a delivery. Refused: not what it claims to be, nothing of it was used."""
FAILURES = ("source", "publish", "fault")
"""Why a poll failed. Source: cannot be read now; publish: refused by the broker; fault: an error of ours."""


class ConnectorMetrics:
    """All series of a connector exist with 0 from the moment it is registered, so that rates see its first event."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"spendwatch_{name}", text, ("connector", *labels), registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"spendwatch_{name}", text, ("connector",), registry=registry)

        self.facts_published = counter("facts_published_total", "Facts acknowledged by the broker.")
        self.facts_retracted = counter("facts_retracted_total", "Facts of 0 for buckets a delivery left out.")
        self.rows_read = counter("rows_read_total", "Records read from the source, bad ones included.")
        self.bad_records = counter("bad_records_total", "Records no fact could be made of.", "reason")
        self.deliveries = counter("connector_deliveries_total", "Deliveries seen by a poll.", "outcome")
        self.poll_failures = counter("connector_poll_failures_total", "Polls that ended with an error.", "reason")
        self.publish_failures = counter("publish_failures_total", "Publishing attempts the broker did not acknowledge.")
        self.last_poll_success = gauge(
            "connector_last_poll_success_timestamp_seconds", "When the last poll without an error ended, 0 for never."
        )
        self.poll_interval = gauge(
            "connector_poll_interval_seconds", "Time between two polls; 0 for a source that is read once, or done."
        )
        self.last_fact = gauge("last_fact_timestamp_seconds", "Event time of the newest fact published, 0 for none.")

    def register(self, connector: str) -> None:
        """Let the label sets of a connector start at zero."""
        for metric in (self.facts_published, self.facts_retracted, self.rows_read, self.publish_failures):
            metric.labels(connector)
        for gauge in (self.last_poll_success, self.poll_interval, self.last_fact):
            gauge.labels(connector)
        for reason in BadReason:
            self.bad_records.labels(connector, reason.value)
        for outcome in OUTCOMES:
            self.deliveries.labels(connector, outcome)
        for failure in FAILURES:
            self.poll_failures.labels(connector, failure)
