"""Receivers, resolvers and outboxes that do what a test says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta

from service.core.alerts import AlertEvent, EventType
from service.delivery.outbox import Deliverer
from service.delivery.receivers.receiver import Delivered, Outcome
from service.store.store import Delivery
from tests.builders import make_event
from tests.clock import NOON

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def make_delivery(event: AlertEvent | None = None, *, receiver: str = "desk", attempts: int = 1) -> Delivery:
    return Delivery(
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        receiver=receiver,
        event=event or make_event(),
        attempts=attempts,
        created_at=NOON,
        next_attempt_at=NOON,
        state="pending",
    )


class RecordingReceiver:
    """Answers with *outcomes* in turn, then with the last of them; keeps what it was sent.

    gate: attempts wait for it before they answer.
    """

    def __init__(
        self,
        name: str = "desk",
        *outcomes: Outcome | Exception,
        concurrency: int = 4,
        timeout: timedelta = timedelta(seconds=15),
        deadline: timedelta = timedelta(hours=1),
        rate: float = 10_000.0,
        burst: int = 10_000,
        newest_only: bool = False,
        settle: timedelta = timedelta(),
    ) -> None:
        self.name = name
        self.concurrency = concurrency
        self.timeout = timeout
        self.deadline = deadline
        self.rate = rate
        self.burst = burst
        self.newest_only = newest_only
        self.settle = settle
        self.gate = asyncio.Event()
        self.gate.set()
        self.sent: list[Delivery] = []
        self.at: list[datetime] = []
        self.in_flight: set[str] = set()
        self.overlaps: list[str] = []
        self.closed = False
        self._outcomes: Iterator[Outcome | Exception] = iter(outcomes)
        self._last: Outcome | Exception = Delivered()

    async def send(self, delivery: Delivery, *, now: datetime) -> Outcome:
        alert_id = delivery.event.record.alert.id
        if alert_id in self.in_flight:
            self.overlaps.append(alert_id)
        self.in_flight.add(alert_id)
        try:
            self.sent.append(delivery)
            self.at.append(now)
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.in_flight.discard(alert_id)
        self._last = next(self._outcomes, self._last)
        if isinstance(self._last, Exception):
            raise self._last
        return self._last

    def answer(self, *outcomes: Outcome | Exception) -> None:
        """From now on."""
        self._outcomes = iter(outcomes)

    async def close(self) -> None:
        self.closed = True

    @property
    def types(self) -> list[EventType]:
        return [delivery.event.type for delivery in self.sent]


class FakeResolver:
    """name -> addresses, in turn for repeated questions; an unknown name does not exist."""

    def __init__(self, **names: Sequence[str] | Sequence[Sequence[str]]) -> None:
        self.names = {name.replace("_", "."): list(addresses) for name, addresses in names.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        addresses = self.names.get(host)
        if addresses is None:
            raise OSError(-2, "Name or service not known")
        first = addresses[0] if addresses else None
        if first is None or isinstance(first, str):
            return [str(address) for address in addresses]
        return list(addresses.pop(0) if len(addresses) > 1 else first)


@contextlib.asynccontextmanager
async def running(deliverer: Deliverer) -> AsyncIterator[asyncio.Event]:
    """Runs it in the background; yields what stops it. A fault in it fails the test."""
    stop = asyncio.Event()
    task = asyncio.create_task(deliverer.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await task
