"""Deeds in SQL: what people, and moments that have come, do to alerts, each in one transaction."""

from abc import abstractmethod
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.alerts import AlertEvent, EventType
from service.core.deeds import Deed
from service.core.transitions import TIME, acknowledgement_over
from service.store.database import Database
from service.store.documents import searchable
from service.store.people import ByPeople
from service.store.recording import Recording
from service.store.store import AlertNotFoundError
from service.store.tables import alerts


class SqlDeeds(ByPeople):
    """Of the AlertStore protocol what people do, and what becomes due by the clock."""

    _database: Database

    @abstractmethod
    def _recording(self, connection: AsyncConnection) -> Recording:
        """Of one transaction."""

    async def expire_acknowledgements(self, now: datetime) -> list[AlertEvent]:
        due = select(alerts.c.id).where(alerts.c.acknowledged_until <= now)
        # Asked without the lock first: nearly always there are none.
        async with self._database.reading() as connection:
            if (await connection.execute(due.limit(1))).first() is None:
                return []
        async with self._database.writing() as connection:
            recording = self._recording(connection)
            await recording.begin(())
            ids = (await connection.execute(due.order_by(alerts.c.acknowledged_until, alerts.c.id))).scalars().all()
            await recording.load(ids)
            for alert_id in ids:
                current = recording.current(alert_id)
                record = None if current is None else acknowledgement_over(current, at=now)
                if record is not None:
                    recording.change(EventType.ACK_EXPIRED, record, at=now, actor=TIME)
            await recording.flush()
            return recording.events

    async def _do(self, alert_id: str, deed: Deed) -> AlertEvent | None:
        async with self._database.writing() as connection:
            recording = self._recording(connection)
            await recording.begin([searchable(alert_id)])
            head = recording.current(alert_id)
            if head is None:
                raise AlertNotFoundError(alert_id)
            changes = deed.changes(head, await recording.load_members(alert_id) if deed.cascade else ())
            for record, comment in changes:
                recording.change(deed.kind, record, at=deed.at, actor=deed.actor, comment=comment)
            await recording.flush()
            return recording.events[-1] if changes else None
