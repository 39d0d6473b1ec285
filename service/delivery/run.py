"""The `deliver` role, put together."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from service.clock import Clock, SystemClock
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.delivery.receivers.receiver import Receiver
from service.settings import Settings
from service.store.store import Outbox


def make_deliverer(
    settings: Settings,
    *,
    outbox: Outbox,
    receivers: Sequence[Receiver],
    registry: CollectorRegistry,
    clock: Clock | None = None,
) -> Deliverer:
    """receivers: from `make_receivers`, or fakes."""
    metrics = DeliveryMetrics(registry, [receiver.name for receiver in receivers])
    return Deliverer(outbox, receivers, clock or SystemClock(), metrics, poll_seconds=settings.deliver.poll_seconds)
