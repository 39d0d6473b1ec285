"""Isolation: 10,000 messages to five receivers, with and without one of them hanging, in turn.

    python -m benchmarks.lanes [--messages 10000] [--rounds 3]

Measured is how fast the other four are done. Receivers are webhooks on a loopback server of this process; the outbox is
SQLite. One JSON object on standard output.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import monotonic, process_time

from prometheus_client import CollectorRegistry

from realservices.process import say
from service.clock import SystemClock
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.delivery.receivers.webhook import Webhook
from service.receiver_settings import WebhookReceiver
from service.store.sql import SqlStore
from tests.builders import everyone, make_alert
from tests.remotes.kinds import WEBHOOK_SECRET, WebhookRemote
from tests.remotes.remote import Fault, opened

RECEIVERS = 5
GOAL = 0.9
"""At least so much of their rate without the one that hangs."""


def make_webhook(name: str, url: str) -> Webhook:
    return Webhook(
        WebhookReceiver(
            name=name,
            url=url,
            secret=WEBHOOK_SECRET,
            allow_http=True,
            allow_private=True,
            rate=10_000,
            burst=10_000,
        )
    )


async def round_of(messages: int, folder: Path, *, hanging: bool) -> tuple[float, float]:
    """Seconds until the four are done, and of CPU."""
    names = [f"desk{number}" for number in range(RECEIVERS)]
    store = SqlStore(f"sqlite+aiosqlite:///{folder}/store.db", routes=everyone(*names), clock=SystemClock())
    await store.migrate()
    alerts = messages // RECEIVERS
    for start in range(0, alerts, 500):
        await store.record([make_alert(f"a{n}") for n in range(start, min(start + 500, alerts))])
    remotes = [WebhookRemote() for _ in names]
    remotes[0].always = Fault.HANG if hanging else None
    async with opened(*remotes):
        receivers = [make_webhook(name, remote.url) for name, remote in zip(names, remotes, strict=True)]
        metrics = DeliveryMetrics(CollectorRegistry(), names)
        grace = timedelta(seconds=0.1)
        deliverer = Deliverer(store, receivers, SystemClock(), metrics, grace=grace)
        stop = asyncio.Event()
        began, cpu = monotonic(), process_time()
        running = asyncio.create_task(deliverer.run(stop))
        while min(len(remote.requests) for remote in remotes[1:]) < alerts:  # noqa: ASYNC110  # remotes set no event
            await asyncio.sleep(0.05)
        seconds, cpu = monotonic() - began, process_time() - cpu
        stop.set()
        await running
    await store.close()
    return seconds, cpu


async def measure(messages: int, rounds: int) -> dict[str, object]:
    found: dict[bool, list[float]] = {False: [], True: []}
    cpu: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        for hanging in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                seconds, used = await round_of(messages, Path(folder), hanging=hanging)
            say(f"round {number + 1}, {'one hangs' if hanging else 'all answer'}: {seconds:.1f} s")
            found[hanging].append(seconds)
            cpu[hanging].append(used)
    each = messages // RECEIVERS
    rate = {hanging: each * (RECEIVERS - 1) / median(found[hanging]) for hanging in found}
    ratio = rate[True] / rate[False]
    return {
        "name": "lanes",
        "messages": messages,
        "receivers": RECEIVERS,
        "rounds": rounds,
        "four_per_second_all_answer": round(rate[False]),
        "four_per_second_one_hangs": round(rate[True]),
        "ratio": round(ratio, 2),
        "goal": GOAL,
        "reached": ratio >= GOAL,
        "cpu_seconds_all_answer": round(median(cpu[False]), 2),
        "cpu_seconds_one_hangs": round(median(cpu[True]), 2),
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lanes", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args(arguments)
    print(json.dumps(asyncio.run(measure(chosen.messages, chosen.rounds))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
