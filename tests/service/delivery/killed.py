"""A deliverer that stands still at one point until it is killed: run by test_killed.py in a process of its own."""

import asyncio
import sys
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry

from service.clock import SystemClock
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.delivery.receivers.receiver import Outcome
from service.delivery.receivers.webhook import Webhook
from service.receiver_settings import WebhookReceiver
from service.store.sql import SqlStore
from service.store.store import Delivery
from tests.builders import everyone
from tests.remotes.kinds import BY_TYPE

LEASE_MARGIN = timedelta(seconds=0.2)


def make_webhook(url: str, secret: str) -> Webhook:
    fields = {"name": "desk", "url": url, "secret": secret, "allow_http": True, "allow_private": True}
    return Webhook(WebhookReceiver.model_validate({**fields, "timeout_seconds": 1.0}))


async def stand_still(where: str) -> None:
    sys.stdout.write(f"{where}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


class BeforeMark(SqlStore):
    async def delivered(self, delivery_id: str, *, at: datetime, remote_id: str | None = None) -> None:
        await stand_still("sent")


class BeforeSend(Webhook):
    async def send(self, delivery: Delivery, *, now: datetime) -> Outcome:
        await stand_still("claimed")
        raise AssertionError("nobody wakes it")


async def work(kind: str, database: str, url: str) -> None:
    """An ordinary deliverer, to be killed from outside."""
    receiver = BY_TYPE[kind].on_loopback(url, timeout_seconds=60, concurrency=16)
    clock, metrics = SystemClock(), DeliveryMetrics(CollectorRegistry(), ["desk"])
    store = SqlStore(database, routes=everyone("desk"), clock=clock)
    await Deliverer(store, [receiver], clock, metrics, poll_seconds=0.01).run(asyncio.Event())


async def main(point: str, database: str, url: str, secret: str) -> None:
    if point in BY_TYPE:
        await work(point, database, url)
        return
    clock = SystemClock()
    kind = BeforeMark if point == "sent" else SqlStore
    store = kind(database, routes=everyone("desk"), clock=clock)
    webhook = make_webhook(url, secret)
    if point == "claimed":
        webhook.__class__ = BeforeSend
    metrics = DeliveryMetrics(CollectorRegistry(), ["desk"])
    deliverer = Deliverer(store, [webhook], clock, metrics, poll_seconds=0.01, lease_margin=LEASE_MARGIN)
    await deliverer.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
