"""A worker as a process of its own, with a summing engine and a store that appends to a file; tests kill it.

    python -m tests.integration.stream_process '{"settings": {...}, "store": "path", "kill_at": ["frozen", 2]}'

kill_at: name of a checkpoint's step and how many times it comes before the process ends itself, as by kill -9.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from service.core.alerts import Alert, AlertEvent
from service.core.engine import Engine as RealEngine
from service.core.policies import PolicyBook
from service.logs import configure
from service.settings import Settings
from service.signals import stop_on_signals
from service.stream.batch import Record
from service.stream.checkpoint import Step
from service.stream.partitions import Engine
from service.stream.worker import StreamWorker
from tests.service.stream.fakes import SummingEngine


class Order(msgspec.Struct):
    settings: dict[str, Any]
    store: str
    kill_at: tuple[Step, int] | None = None
    apply_seconds: float = 0.0
    real_engine: bool = False


class FileStore:
    """One line per alert, in one write: what was written survives the process."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def record(self, alerts: Sequence[Alert]) -> list[AlertEvent]:
        os.write(self._file, b"".join(msgspec.json.encode(alert) + b"\n" for alert in alerts))
        return []


def read_store(path: Path) -> list[Alert]:
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Alert) for line in lines]


def real_engine(settings: Settings, partition: int) -> RealEngine:
    """As the composition root makes it, with so few closed at once that the rest is always put off."""
    return RealEngine(policies=PolicyBook(settings.policies), partition=partition, close_limit=3)


class TellingEngine(SummingEngine):
    """Says when it has applied something, so that a test need not guess."""

    def apply(self, records: Iterable[Record]) -> None:
        super().apply(records)
        print("applied", flush=True)  # noqa: T201 - the test waits for it


async def nobody_listens(_events: Sequence[AlertEvent]) -> None:
    return None


async def main(order: Order) -> int:
    left = order.kill_at[1] if order.kill_at else 0

    def on_step(step: Step) -> None:
        nonlocal left
        if order.kill_at and step is order.kill_at[0]:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    settings = Settings.model_validate(order.settings)

    def make_engine(partition: int) -> Engine:
        return real_engine(settings, partition) if order.real_engine else TellingEngine(order.apply_seconds)

    worker = StreamWorker(
        settings,
        engines=make_engine,
        detectors=("rolling",),
        store=FileStore(order.store),
        announce=nobody_listens,
        registry=CollectorRegistry(),
        on_ready=lambda: print("ready", flush=True),  # noqa: T201 - the test waits for it
        on_step=on_step,
    )
    with stop_on_signals() as stop:
        return await worker.run(stop)


if __name__ == "__main__":
    configure("worker")
    sys.exit(asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Order))))
