"""Works the outbox off: claims what is due, sends it, writes down what came of it.

At least once: a message is marked after the receiver has accepted it, and when the process dies in between, the lease
ends and the next one sends it again under the same id. Each receiver has a lane of its own with a pace of its own, so
that a hanging one delays no other; the outbox gives a lane at most one message per alert at a time, in their order.
"""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from random import SystemRandom
from time import monotonic
from typing import TypeVar, assert_never

import structlog

from service.clock import Clock
from service.delivery.backoff import Backoff
from service.delivery.metrics import DeliveryMetrics
from service.delivery.pace import Pace
from service.delivery.receivers.receiver import (
    CarriesLetters,
    Delivered,
    FailureReason,
    Outcome,
    Receiver,
    Rejected,
    Retry,
)
from service.errors import UnavailableError
from service.store.store import Delivery, LetterDelivery, Outbox

T = TypeVar("T")
Parcel = Delivery | LetterDelivery
"""What a receiver is sent; from claim to mark both are treated alike."""

LEASE_MARGIN = timedelta(seconds=10)
"""A lease lasts for the receiver's timeout and this: for the checks before and the marking after an attempt. Longer
where what an attempt did may take longer to be seen: whoever takes the message over must see it."""
_OVERTIME = timedelta(seconds=5)
_COUNT_SECONDS = 5.0
_STORE_RETRY_SECONDS = 1.0
_LEAST_WAIT_SECONDS = 0.001

_log = structlog.get_logger(__name__)


class Deliverer:
    """`run` until *stop*; any number of processes may work on the same outbox.

    worker: name of this process in leases; unique by default. grace: how long `run` waits for attempts under way when
    it is stopped. time: a clock that never goes back, for the pace of receivers and durations.
    """

    def __init__(
        self,
        outbox: Outbox,
        receivers: Sequence[Receiver],
        clock: Clock,
        metrics: DeliveryMetrics,
        *,
        poll_seconds: float = 0.5,
        backoff: Backoff | None = None,
        random: SystemRandom | None = None,
        worker: str | None = None,
        lease_margin: timedelta = LEASE_MARGIN,
        grace: timedelta = timedelta(seconds=8),
        time: Callable[[], float] = monotonic,
    ) -> None:
        self._outbox = outbox
        self._receivers = tuple(receivers)
        self._clock = clock
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._backoff = backoff or Backoff()
        self._random = random or SystemRandom()
        self._worker = worker or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._lease_margin = lease_margin
        self._grace = grace
        self._time = time
        self._problem: str | None = None

    def ready(self) -> dict[str, str | None]:
        """For readiness: what we depend on -> why it is of no use, None when it works.

        A receiver that is away is not among them: its messages wait, and the others' must go on.
        """
        return {"store": self._problem}

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until *stop* is set, then let attempts under way finish, and close the receivers."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._count(stop), name="count")
                for receiver in self._receivers:
                    tasks.create_task(self._lane(receiver, stop), name=f"lane {receiver.name}")
        finally:
            for receiver in self._receivers:
                with contextlib.suppress(Exception):
                    await receiver.close()

    async def _lane(self, receiver: Receiver, stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait())
        attempts: set[asyncio.Task[None]] = set()
        time = self._time
        pace = Pace(rate=receiver.rate, burst=receiver.burst, now=time())
        try:
            while not stop.is_set():
                free = min(receiver.concurrency - len(attempts), pace.allowed(time()))
                if free:
                    claimed = await self._claim(receiver, free)
                    pace.began(len(claimed), time())
                    for delivery in claimed:
                        attempts.add(asyncio.create_task(self._attempt(receiver, delivery, pace)))
                full = len(attempts) >= receiver.concurrency
                # With a token missing, the wait is for it; with a message missing, for the next look.
                wait = pace.wait(time()) if free == 0 else self._poll_seconds
                timeout = None if full else min(max(wait, _LEAST_WAIT_SECONDS), self._poll_seconds)
                done, _ = await asyncio.wait({stopped, *attempts}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                attempts -= done
            if attempts:
                await asyncio.wait(attempts, timeout=self._grace.total_seconds())
        finally:
            for task in (stopped, *attempts):
                task.cancel()
            await asyncio.gather(stopped, *attempts, return_exceptions=True)

    def _lease(self, receiver: Receiver) -> timedelta:
        unseen = receiver.settle + _OVERTIME if receiver.settle else timedelta()
        return receiver.timeout + max(self._lease_margin, unseen)

    async def _claim(self, receiver: Receiver, limit: int) -> list[Parcel]:
        """Alerts first: a letter can wait."""
        lease = self._lease(receiver).total_seconds()
        claimed = await self._ask(
            lambda: self._outbox.claim(
                worker=self._worker,
                now=self._clock.now(),
                lease_seconds=lease,
                limit=limit,
                receiver=receiver.name,
                newest_only=receiver.newest_only,
            )
        )
        parcels: list[Parcel] = [*(claimed or ())]
        if isinstance(receiver, CarriesLetters) and len(parcels) < limit:
            letters = await self._ask(
                lambda: self._outbox.claim_letters(
                    worker=self._worker,
                    now=self._clock.now(),
                    lease_seconds=lease,
                    limit=limit - len(parcels),
                    receiver=receiver.name,
                )
            )
            parcels += letters or ()
        return parcels

    async def _attempt(self, receiver: Receiver, delivery: Parcel, pace: Pace) -> None:
        """One attempt and its mark. Never raises but when cancelled."""
        started = self._clock.now()
        lease_until = started + self._lease(receiver)
        timer = self._time
        began = timer()
        try:
            outcome = await self._send(receiver, delivery, started)
        except asyncio.CancelledError:
            # Whether it arrived is not known; the next process need not wait for the lease to find out.
            pace.ended(None, timer())
            await asyncio.shield(self._give_back(delivery, started + receiver.settle))
            raise
        is_back = pace.ended(outcome, timer())
        self._metrics.attempted(receiver.name, seconds=timer() - began)
        self._metrics.circuit(receiver.name, is_open=pace.is_open)
        if not isinstance(outcome, Delivered):
            self._metrics.failed(receiver.name, outcome.reason)
        while not await self._mark(receiver, delivery, outcome, pace):
            if self._clock.now() >= lease_until:
                return  # somebody else may have it by now; at worst it is sent once more, under the same id
            await asyncio.sleep(_STORE_RETRY_SECONDS)
        if is_back:
            # What failed while it was away has waits that grew with the attempts. What an attempt of unknown end did
            # must be seen before the next one, so that it is not done twice.
            _log.info("the receiver is back", receiver=receiver.name)
            due = self._clock.now() + receiver.settle
            await self._did(self._outbox.hasten(receiver.name, at=due))

    async def _send(self, receiver: Receiver, delivery: Parcel, now: datetime) -> Outcome:
        try:
            # The receiver keeps its own time; this is for one that does not.
            async with asyncio.timeout((receiver.timeout + _OVERTIME).total_seconds()):
                if isinstance(delivery, Delivery):
                    return await receiver.send(delivery, now=now)
                assert isinstance(receiver, CarriesLetters), "no other claims letters"
                return await receiver.send_letter(delivery, now=now)
        except TimeoutError:
            detail = f"no outcome within {receiver.timeout + _OVERTIME}"
            return Retry(reason=FailureReason.TIMEOUT, detail=detail)
        except Exception as error:
            # Its text may hold anything, also secrets; the traceback goes to the log of whoever debugs it.
            _log.exception("receiver failed", receiver=receiver.name, delivery=delivery.id)
            return Retry(reason=FailureReason.INTERNAL, detail=f"fault in the receiver: {type(error).__name__}")

    async def _mark(self, receiver: Receiver, delivery: Parcel, outcome: Outcome, pace: Pace) -> bool:
        """Whether the store took it."""
        now = self._clock.now()
        match outcome:
            case Delivered():
                age = now - delivery.created_at
                done = await self._did(self._outbox.delivered(delivery.id, at=now, remote_id=outcome.remote_id))
                if done:
                    self._metrics.delivered(receiver.name, delay_seconds=age.total_seconds())
                return done
            case Retry():
                longest = timedelta(seconds=pace.patience(self._time()))
                delay = self._backoff.delay(delivery.attempts, self._random, longest=longest)
                delay = max(delay, outcome.after or timedelta())
                next_at = now + delay
                if next_at >= delivery.created_at + receiver.deadline:
                    error = (
                        f"given up after {delivery.attempts} attempts in {now - delivery.created_at}: {outcome.detail}"
                    )
                    return await self._give_up(receiver, delivery, error, outcome)
                return await self._did(
                    self._outbox.retry(
                        delivery.id,
                        error=outcome.detail,
                        next_attempt_at=next_at,
                        worker=self._worker,
                        remote_id=outcome.remote_id,
                    )
                )
            case Rejected():
                return await self._give_up(receiver, delivery, outcome.detail, outcome)
            case never:
                assert_never(never)

    async def _give_up(self, receiver: Receiver, delivery: Parcel, error: str, outcome: Retry | Rejected) -> bool:
        _log.warning(
            "message given up",
            receiver=receiver.name,
            delivery=delivery.id,
            reason=outcome.reason.value,
            error=error[:200],
        )
        return await self._did(
            self._outbox.dead(
                delivery.id, error=error, at=self._clock.now(), worker=self._worker, remote_id=outcome.remote_id
            )
        )

    async def _give_back(self, delivery: Parcel, due: datetime) -> None:
        error = "stopped while sending; it may have arrived"
        await self._did(self._outbox.retry(delivery.id, error=error, next_attempt_at=due, worker=self._worker))

    async def _count(self, stop: asyncio.Event) -> None:
        """Keep the gauges: a scrape must not ask the database."""
        known = {receiver.name for receiver in self._receivers}
        orphans: Mapping[str, int] = {}
        while not stop.is_set():
            counts = await self._ask(self._outbox.counts)
            if counts is not None:
                self._metrics.waiting(counts)
                left = {name: by.get("pending", 0) for name, by in counts.items() if name not in known}
                left = {name: number for name, number in left.items() if number}
                if left and left != orphans:
                    _log.warning("messages for receivers that are not configured are kept", pending=left)
                orphans = left
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_COUNT_SECONDS):
                    await stop.wait()

    async def _did(self, write: Awaitable[None]) -> bool:
        async def ask() -> bool:
            await write
            return True

        return bool(await self._ask(ask))

    async def _ask(self, use: Callable[[], Awaitable[T]]) -> T | None:
        """What the store answers; None when it is away, which readiness then says."""
        try:
            answer = await use()
        except UnavailableError as error:
            if self._problem is None:
                _log.warning("the store is away; messages wait", problem=str(error))
            self._problem = str(error)
            return None
        if self._problem is not None:
            _log.info("the store is back")
        self._problem = None
        return answer
