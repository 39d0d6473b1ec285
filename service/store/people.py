"""What people do to alerts, as every store offers it: each method names a deed, and the store does it."""

from abc import ABC, abstractmethod
from datetime import datetime

from connectors.facts import FeedbackVerdict
from service.core import deeds
from service.core.alerts import AlertEvent
from service.core.deeds import Deed


class ByPeople(ABC):
    """The part of the AlertStore protocol in which people act; what the methods promise is said there."""

    async def acknowledge(
        self,
        alert_id: str,
        *,
        actor: str,
        comment: str,
        at: datetime,
        until: datetime | None = None,
        cascade: bool = True,
    ) -> AlertEvent | None:
        deed = deeds.acknowledge(actor=actor, comment=comment, at=at, until=until, cascade=cascade)
        return await self._do(alert_id, deed)

    async def resolve(
        self, alert_id: str, *, actor: str, comment: str, at: datetime, cascade: bool = True
    ) -> AlertEvent | None:
        return await self._do(alert_id, deeds.resolve(actor=actor, comment=comment, at=at, cascade=cascade))

    async def reopen(self, alert_id: str, *, actor: str, comment: str, at: datetime) -> AlertEvent | None:
        return await self._do(alert_id, deeds.reopen(actor=actor, comment=comment, at=at))

    async def assign(
        self, alert_id: str, *, to: str | None, actor: str, comment: str, at: datetime
    ) -> AlertEvent | None:
        return await self._do(alert_id, deeds.assign(to=to, actor=actor, comment=comment, at=at))

    async def comment(self, alert_id: str, *, actor: str, comment: str, at: datetime) -> AlertEvent | None:
        return await self._do(alert_id, deeds.comment_on(actor=actor, comment=comment, at=at))

    async def note_feedback(
        self,
        alert_id: str,
        *,
        verdict: FeedbackVerdict,
        actor: str,
        comment: str,
        at: datetime,
        cascade: bool = True,
    ) -> AlertEvent | None:
        deed = deeds.give_feedback(verdict=verdict, actor=actor, comment=comment, at=at, cascade=cascade)
        return await self._do(alert_id, deed)

    @abstractmethod
    async def _do(self, alert_id: str, deed: Deed) -> AlertEvent | None:
        """Make the changes of *deed*, in one transaction; the event of the alert itself, None when nothing changed.

        Raises AlertNotFoundError.
        """
