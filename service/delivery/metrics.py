"""What `deliver` counts. Every receiver's series exist from the start, so that a rate over them is never missing."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.core.alerts import AlertEvent, EventType
from service.delivery.receivers.receiver import FailureReason

_SEND_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0)
# From its event to its acceptance: a moment when all is well, days when the receiver was away.
_DELAY_BUCKETS = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43_200.0, 259_200.0)


class DeliveryMetrics:
    """receivers: names of all that are configured."""

    def __init__(self, registry: CollectorRegistry, receivers: Iterable[str]) -> None:
        self._attempts = Counter(
            "spendwatch_notifications_total", "Attempts to deliver a message.", ["receiver"], registry=registry
        )
        self._failures = Counter(
            "spendwatch_notifications_failed_total",
            "Attempts that failed, by reason.",
            ["receiver", "reason"],
            registry=registry,
        )
        self._pending = Gauge(
            "spendwatch_notifications_pending", "Messages not yet delivered.", ["receiver"], registry=registry
        )
        self._dead = Gauge(
            "spendwatch_notifications_dead", "Messages that were given up.", ["receiver"], registry=registry
        )
        self._circuit = Gauge(
            "spendwatch_receiver_circuit_open",
            "1 while a receiver that keeps failing is only tried now and then.",
            ["receiver"],
            registry=registry,
        )
        self._seconds = Histogram(
            "spendwatch_notification_seconds",
            "Duration of one attempt.",
            ["receiver"],
            buckets=_SEND_BUCKETS,
            registry=registry,
        )
        self._delay = Histogram(
            "spendwatch_notification_delay_seconds",
            "From the event to the receiver's acceptance.",
            ["receiver"],
            buckets=_DELAY_BUCKETS,
            registry=registry,
        )
        for name in receivers:
            for metric in (self._attempts, self._pending, self._dead, self._circuit, self._seconds, self._delay):
                metric.labels(name)
            for reason in FailureReason:
                self._failures.labels(name, reason)

    def attempted(self, receiver: str, *, seconds: float) -> None:
        self._attempts.labels(receiver).inc()
        self._seconds.labels(receiver).observe(seconds)

    def failed(self, receiver: str, reason: FailureReason) -> None:
        self._failures.labels(receiver, reason).inc()

    def circuit(self, receiver: str, *, is_open: bool) -> None:
        self._circuit.labels(receiver).set(is_open)

    def delivered(self, receiver: str, *, delay_seconds: float) -> None:
        self._delay.labels(receiver).observe(max(delay_seconds, 0.0))

    def waiting(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """counts: as `Outbox.counts` gives them; a receiver that is no longer configured shows up as well."""
        for receiver, by_state in counts.items():
            self._pending.labels(receiver).set(by_state.get("pending", 0))
            self._dead.labels(receiver).set(by_state.get("dead", 0))


_DECISIONS = {
    EventType.OPENED: "told",
    EventType.REOPENED: "told",
    EventType.INHIBITED: "inhibited",
    EventType.SILENCED: "silenced",
    EventType.EXPECTED: "planned",
}


class DispatchMetrics:
    """What is decided of alerts that have opened."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decided = Counter(
            "spendwatch_alerts_dispatched_total",
            "Decisions who is told of an alert: told, inhibited by another, silenced, planned, held back by a budget.",
            ["decision"],
            registry=registry,
        )
        self._lag = Gauge(
            "spendwatch_dispatch_lag_seconds",
            "For how long the oldest decision has been due; 0 when none is.",
            registry=registry,
        )
        for decision in (*_DECISIONS.values(), "held_back"):
            self._decided.labels(decision)

    def decided(self, events: Iterable[AlertEvent]) -> None:
        for event in events:
            decision = _DECISIONS.get(event.type)
            if decision == "told" and event.record.held_back:
                decision = "held_back"
            if decision is not None:
                self._decided.labels(decision).inc()

    def lags(self, seconds: float) -> None:
        self._lag.set(seconds)
