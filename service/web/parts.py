"""What the handlers are given; made once by `create_api`."""

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from litestar.di import NamedDependency
from litestar.params import SkipValidation
from prometheus_client import CollectorRegistry

from connectors.facts import Fact, Feedback, FeedbackVerdict
from connectors.publisher import PublishError
from service.announcing import Announce
from service.clock import Clock
from service.core.alerts import AlertEvent
from service.core.board import OURS
from service.core.feedback import feedback_of
from service.inbound.metrics import InboundMetrics
from service.inbound.sender import Sender
from service.metrics import HttpMetrics
from service.settings import Settings
from service.store.silences import SilenceStore
from service.store.store import AlertStore, Inbox, Outbox
from service.web.auth import Access
from service.web.errors import ProblemError, bad_request, unavailable
from service.web.idempotency import Idempotency
from service.web.live import Hub, Streams
from service.web.readiness import ReadyCheck

Publish = Callable[[Sequence[Fact | Feedback]], Awaitable[None]]
"""Returns once the broker has acknowledged all of them; raises otherwise."""

PUBLISH_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    settings: Settings
    store: AlertStore
    outbox: Outbox
    inbox: Inbox
    silences: SilenceStore
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
    senders: Mapping[str, Sender]
    inbound_metrics: InboundMetrics

    async def acknowledge(
        self, alert_id: str, *, actor: str, comment: str, until: datetime | None = None, cascade: bool = True
    ) -> None:
        """Raises AlertNotFoundError, and ProblemError for an actor that nobody can be."""
        now, person = self.clock.now(), person_named(actor)
        await self._announce(
            await self.store.acknowledge(alert_id, actor=person, comment=comment, at=now, until=until, cascade=cascade)
        )

    async def resolve(self, alert_id: str, *, actor: str, comment: str, cascade: bool = True) -> None:
        """Raises as `acknowledge`."""
        now, person = self.clock.now(), person_named(actor)
        await self._announce(await self.store.resolve(alert_id, actor=person, comment=comment, at=now, cascade=cascade))

    async def reopen(self, alert_id: str, *, actor: str, comment: str) -> None:
        """Raises as `acknowledge`."""
        now, person = self.clock.now(), person_named(actor)
        await self._announce(await self.store.reopen(alert_id, actor=person, comment=comment, at=now))

    async def assign(self, alert_id: str, *, to: str | None, actor: str, comment: str) -> None:
        """Raises as `acknowledge`."""
        now, person = self.clock.now(), person_named(actor)
        await self._announce(await self.store.assign(alert_id, to=to, actor=person, comment=comment, at=now))

    async def comment(self, alert_id: str, *, actor: str, comment: str) -> None:
        """Raises as `acknowledge`."""
        now, person = self.clock.now(), person_named(actor)
        await self._announce(await self.store.comment(alert_id, actor=person, comment=comment, at=now))

    async def give_feedback(
        self, alert_id: str, *, verdict: FeedbackVerdict, actor: str, comment: str, cascade: bool = True
    ) -> None:
        """Tell the engine first, then write it down: what was not acknowledged is not in the trail.

        Raises as `acknowledge`, and ProblemError for a broker that is away.
        """
        now, person = self.clock.now(), person_named(actor)
        head = await self.store.get(alert_id)
        members = await self.store.inhibited([alert_id]) if cascade else []
        about = [head, *(member for member in members if not member.state.is_over)]
        revision = int(now.timestamp() * 1000)
        await self.send([feedback_of(record.alert, verdict, revision=revision) for record in about])
        await self._announce(
            await self.store.note_feedback(
                alert_id, verdict=verdict, actor=person, comment=comment, at=now, cascade=cascade
            )
        )

    async def _announce(self, event: AlertEvent | None) -> None:
        await self.announce([event] if event else [])

    async def send(self, messages: Sequence[Fact | Feedback]) -> None:
        """Publish, and wait for the acknowledgement. Raises ProblemError."""
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self.publish(messages)
        except TimeoutError:
            raise unavailable(f"the broker did not acknowledge within {PUBLISH_SECONDS:.0f} s") from None
        except PublishError as error:
            if not error.retryable:
                raise ProblemError(HTTPStatus.BAD_REQUEST, "refused-by-broker", str(error)) from error
            raise unavailable(str(error)) from error


def person_named(actor: str) -> str:
    """In the audit trail, `detection` is what no person did, `time` what a moment brought about, and `dispatch` what
    was decided of whom to tell. Nobody may look like one of them: characters that nobody sees do not make a difference.
    """
    name = actor.strip()
    seen = "".join(char for char in name if unicodedata.category(char) != "Cf")
    if seen.strip().casefold() in OURS:
        raise bad_request("body actor", f"expected the name of a person or program, got {name!r}, which stands for us")
    return name


Given = NamedDependency[SkipValidation[Parts]]
"""How a handler asks for the parts: `parts: Given`."""
