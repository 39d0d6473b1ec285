"""What the handlers are given; made once by `create_api`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from litestar.di import NamedDependency
from litestar.params import SkipValidation
from prometheus_client import CollectorRegistry

from connectors.facts import Fact
from service.clock import Clock
from service.core.alerts import AlertEvent
from service.core.transitions import DETECTION
from service.metrics import HttpMetrics
from service.settings import Settings
from service.store.store import AlertStore, Outbox
from service.web.auth import Access
from service.web.errors import bad_request
from service.web.idempotency import Idempotency
from service.web.live import Hub, Streams
from service.web.readiness import ReadyCheck

Publish = Callable[[Sequence[Fact]], Awaitable[None]]
"""Returns once the broker has acknowledged all facts; raises otherwise."""

Announce = Callable[[Sequence[AlertEvent]], Awaitable[None]]
"""Tells all live hubs that there are new events; never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    settings: Settings
    store: AlertStore
    outbox: Outbox
    hub: Hub
    publish: Publish
    announce: Announce
    registry: CollectorRegistry
    metrics: HttpMetrics
    clock: Clock
    ready: ReadyCheck
    access: Access
    streams: Streams
    idempotency: Idempotency

    async def acknowledge(self, alert_id: str, *, actor: str, comment: str) -> None:
        """Raises AlertNotFoundError, and ProblemError for an actor that nobody can be."""
        event = await self.store.acknowledge(alert_id, actor=_person(actor), comment=comment, at=self.clock.now())
        await self.announce([event] if event else [])

    async def resolve(self, alert_id: str, *, actor: str, comment: str) -> None:
        """Raises AlertNotFoundError, and ProblemError for an actor that nobody can be."""
        event = await self.store.resolve(alert_id, actor=_person(actor), comment=comment, at=self.clock.now())
        await self.announce([event] if event else [])


def _person(actor: str) -> str:
    """In the audit trail, `detection` is what no person did."""
    name = actor.strip()
    if name.casefold() == DETECTION:
        raise bad_request("body actor", f"expected the name of a person or program, got {name!r}, which stands for us")
    return name


Given = NamedDependency[SkipValidation[Parts]]
"""How a handler asks for the parts: `parts: Given`."""
