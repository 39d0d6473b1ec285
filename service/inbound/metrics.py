"""What the API counts of what receivers send back."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter

from service.core.inbound import Outcome


class InboundMetrics:
    """receivers: names of those that may send; nothing else is ever a label."""

    def __init__(self, registry: CollectorRegistry, receivers: Iterable[str]) -> None:
        self._heard = Counter(
            "spendwatch_inbound_total",
            "What receivers sent back, by what became of it.",
            ["receiver", "outcome"],
            registry=registry,
        )
        for receiver in receivers:
            for outcome in Outcome:
                self._heard.labels(receiver, outcome)

    def heard(self, receiver: str, outcome: Outcome) -> None:
        self._heard.labels(receiver, outcome).inc()
