"""The live stream of alert events, behind any number of API processes.

Writers announce that there is something new; each API process has one hub that then reads the store, which alone says
what happened and in what order. Announcements may be lost, so the hub also looks by itself every second: without Redis
the stream is up to a second late, and nothing else changes.
"""

import asyncio
import contextlib
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Self

import structlog

from service.core.alerts import AlertEvent
from service.store.cache import Cache
from service.store.store import AlertStore

POLL_SECONDS = 1.0
REMEMBERED = 2000
"""Latest events that the hub keeps for its subscribers; one that is further behind is too slow."""
_BATCH = 500

_log = structlog.get_logger(__name__)


class SubscriptionEndedError(Exception):
    """The hub let go of a subscriber, which may come back with the number of the last event it got.

    reason: `slow` when it fell too far behind, `shutdown`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class LiveBus:
    """The writers' end: tells all hubs that there are new events. Never raises and never waits for long."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def announce(self, events: Sequence[AlertEvent]) -> None:
        """Call after the transaction: a hub reads the store as soon as it hears of it."""
        if events:
            await self._cache.publish(events[-1].seq)


class LiveHub:
    """The readers' end: one per process, `async with LiveHub(...)` or `start` and `close`.

    cache: where wake-ups come from; None polls only. remembered: see REMEMBERED.
    """

    def __init__(
        self,
        store: AlertStore,
        cache: Cache | None = None,
        *,
        poll_seconds: float = POLL_SECONDS,
        remembered: int = REMEMBERED,
    ) -> None:
        self._store = store
        self._cache = cache
        self._poll_seconds = poll_seconds
        self._remembered = remembered
        self._ring: list[AlertEvent] = []
        self._floor: int | None = None
        self._seen: int | None = None
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._closed = False
        self._problem: str | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def seen(self) -> int | None:
        """Number of the last event that was read; None before the store first answered."""
        return self._seen

    @property
    def problem(self) -> str | None:
        """Why the last look into the store failed; None when it did not."""
        return self._problem

    async def start(self) -> None:
        """Returns at once: a database that is away is waited for in the background."""
        self._tasks = [asyncio.create_task(self._read(), name="live hub")]
        if self._cache is not None and self._cache.enabled:
            self._tasks.append(asyncio.create_task(self._listen(self._cache), name="live wake-ups"))

    async def close(self) -> None:
        """All subscriptions end with SubscriptionEndedError("shutdown")."""
        self._closed = True
        self._announce_change()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @contextlib.asynccontextmanager
    async def subscribe(self, after: int | None = None) -> AsyncIterator["Subscription"]:
        """Every event with a number above *after*, in order, each once; None: those that become visible from now on.

        An *after* that lies in the future (the store was replaced) counts as None. Raises StoreUnavailableError.
        """
        position = self._seen if after is None else after
        if position is None or (self._seen is not None and position > self._seen):
            last = await self._store.last_seq()
            position = last if position is None else min(position, last)
        yield Subscription(self, position)

    async def _next(self, subscription: "Subscription") -> AlertEvent:
        while True:
            changed = self._changed
            if self._closed:
                raise SubscriptionEndedError("shutdown", "the live stream is shutting down")
            if self._floor is not None and subscription.position >= self._floor:
                subscription.is_live = True
                index = bisect_right(self._ring, subscription.position, key=_seq)
                if index < len(self._ring):
                    return self._ring[index]
                await changed.wait()
            elif subscription.is_live:
                message = f"the subscriber is more than {self._remembered} events behind, after {subscription.position}"
                raise SubscriptionEndedError("slow", message)
            else:
                page = await self._store.events_after(subscription.position, _BATCH)
                if page:
                    subscription.replay.extend(page)
                    return subscription.replay.popleft()
                await changed.wait()

    async def _read(self) -> None:
        """Follow the store for ever."""
        while True:
            self._wake.clear()
            try:
                if self._seen is None:
                    self._seen = self._floor = await self._store.last_seq()
                    self._announce_change()
                while events := await self._store.events_after(self._seen, _BATCH):
                    self._keep(events)
                self._problem = None
            except Exception as error:
                # Whatever it is, subscribers are better served by another try in a second than by a dead hub.
                if self._problem is None:
                    _log.warning("the live stream cannot read the store", problem=str(error))
                self._problem = str(error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._wake.wait()

    async def _listen(self, cache: Cache) -> None:
        async for _ in cache.wake_ups():
            self._wake.set()

    def _keep(self, events: Sequence[AlertEvent]) -> None:
        self._ring.extend(events)
        self._seen = events[-1].seq
        # Cut rarely, since each cut moves the whole list.
        if len(self._ring) > 2 * self._remembered:
            surplus = len(self._ring) - self._remembered
            self._floor = self._ring[surplus - 1].seq
            del self._ring[:surplus]
        self._announce_change()

    def _announce_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Subscription:
    """An iterator over events; only the task that got it may use it."""

    def __init__(self, hub: LiveHub, position: int) -> None:
        self._hub = hub
        self.position = position
        self.is_live = False
        self.replay: deque[AlertEvent] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AlertEvent:
        """Raises SubscriptionEndedError, and StoreUnavailableError while catching up."""
        event = self.replay.popleft() if self.replay else await self._hub._next(self)
        self.position = event.seq
        return event


def _seq(event: AlertEvent) -> int:
    return event.seq
