"""The alert store with Redis in front of what the API and the dashboard ask again and again.

Answers are kept under the number of the last event, so nothing is ever invalidated: after any change everybody asks
for another key. That number comes from the live hub, which reads every event of the store anyway; an answer is at most
as old as the live stream of this process, and a process sees its own writes at once.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import msgspec

from connectors.facts import FeedbackVerdict
from service.core.alerts import Alert, AlertEvent, AlertRecord
from service.core.budget import BudgetState
from service.core.inbound import Heard, Inbound
from service.store.cache import Cache, Kind
from service.store.store import AlertQuery, AlertStore, Inbox, Page, Summary

T = TypeVar("T")
TTL = timedelta(seconds=60)


class IdentifiedStore(AlertStore, Inbox, Protocol):
    async def identity(self) -> int:
        """Drawn when the store was made: numbers of events mean nothing in another one."""


class CachedStore:
    """The AlertStore and Inbox protocols in front of another one; without Redis it only passes on.

    seen: number of the last event this process knows of (`LiveHub.seen`); where it gives None, or is left out, the
    store is asked, which costs one small query.
    """

    def __init__(self, store: IdentifiedStore, cache: Cache, seen: Callable[[], int | None] = lambda: None) -> None:
        self._store = store
        self._cache = cache
        self._seen = seen
        self._written = 0
        self._identity: int | None = None

    async def record(self, alerts: Sequence[Alert]) -> list[AlertEvent]:
        events = await self._store.record(alerts)
        self._wrote(*events)
        return events

    async def get(self, alert_id: str) -> AlertRecord:
        return await self._cached(Kind.ALERT, _digest(alert_id), AlertRecord, lambda: self._store.get(alert_id))

    async def find(self, query: AlertQuery) -> Page:
        # Later pages and moving times are asked for once.
        if query.cursor is not None or query.since is not None:
            return await self._store.find(query)
        return await self._cached(Kind.PAGE, _digest(query), Page, lambda: self._store.find(query))

    async def summary(self, tenant: str | None = None) -> Summary:
        return await self._cached(Kind.SUMMARY, _digest(tenant), Summary, lambda: self._store.summary(tenant))

    async def budgets(self) -> list[BudgetState]:
        return await self._store.budgets()

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
        return self._wrote(
            await self._store.acknowledge(alert_id, actor=actor, comment=comment, at=at, until=until, cascade=cascade)
        )

    async def resolve(
        self, alert_id: str, *, actor: str, comment: str, at: datetime, cascade: bool = True
    ) -> AlertEvent | None:
        return self._wrote(await self._store.resolve(alert_id, actor=actor, comment=comment, at=at, cascade=cascade))

    async def reopen(self, alert_id: str, *, actor: str, comment: str, at: datetime) -> AlertEvent | None:
        return self._wrote(await self._store.reopen(alert_id, actor=actor, comment=comment, at=at))

    async def assign(
        self, alert_id: str, *, to: str | None, actor: str, comment: str, at: datetime
    ) -> AlertEvent | None:
        return self._wrote(await self._store.assign(alert_id, to=to, actor=actor, comment=comment, at=at))

    async def comment(self, alert_id: str, *, actor: str, comment: str, at: datetime) -> AlertEvent | None:
        return self._wrote(await self._store.comment(alert_id, actor=actor, comment=comment, at=at))

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
        return self._wrote(
            await self._store.note_feedback(
                alert_id, verdict=verdict, actor=actor, comment=comment, at=at, cascade=cascade
            )
        )

    async def expire_acknowledgements(self, now: datetime) -> list[AlertEvent]:
        events = await self._store.expire_acknowledgements(now)
        self._wrote(*events)
        return events

    async def inhibited(self, heads: Sequence[str]) -> list[AlertRecord]:
        return await self._store.inhibited(heads)

    async def people(self) -> list[str]:
        return await self._store.people()

    async def hear(self, receiver: str, said: Inbound, *, actor: str, at: datetime) -> Heard:
        heard = await self._store.hear(receiver, said, actor=actor, at=at)
        self._wrote(*heard.events)
        return heard

    async def events_of(self, alert_id: str) -> list[AlertEvent]:
        return await self._store.events_of(alert_id)

    async def events_after(self, seq: int, limit: int) -> list[AlertEvent]:
        return await self._store.events_after(seq, limit)

    async def last_seq(self) -> int:
        return await self._store.last_seq()

    def _wrote(self, *events: AlertEvent | None) -> AlertEvent | None:
        self._written = max(self._written, *(event.seq for event in events if event is not None), 0)
        return events[0] if events else None

    async def _cached(self, kind: Kind, what: str, type_: type[T], ask: Callable[[], Awaitable[T]]) -> T:
        if not self._cache.enabled:
            return await ask()
        # The number is taken before the store is asked: what is kept under it is never older than it says.
        seen = self._seen()
        seq = max(self._written, seen) if seen is not None else await self._store.last_seq()
        if self._identity is None:
            self._identity = await self._store.identity()
        key = f"{self._identity:x}:{seq}:{what}"
        value = await self._cache.get(kind, key, type_)
        if value is None:
            value = await ask()
            await self._cache.put(kind, key, value, TTL)
        return value


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(value)).hexdigest()[:32]
