"""Facts per second of one worker on a real Kafka: from the log through engine, snapshots, alerts and commits.

    SPENDWATCH_TEST_KAFKA=host:port python -m benchmarks.stream [--facts N] [--series N] [--hours N] [--partitions N]

Prints one JSON object a line. The topic is filled first; then a worker process begins. Its time counts from its first
fact to its last one, all checkpoints in between included; its CPU time until the last offset is committed. The store is
left out (alerts are read, decoded and dropped): it has a benchmark of its own.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiokafka import AIOKafkaProducer
from prometheus_client import CollectorRegistry

from connectors.facts import Fact, Fold, encode, format_instant, key_of
from detectors import registry as detectors
from service.core.alerts import Alert, AlertEvent
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.logs import configure
from service.settings import Settings
from service.stream.checkpoint import Step
from service.stream.topics import ensure_topics
from service.stream.worker import StreamWorker


def facts(count: int, series: int, hours: int) -> Iterator[Fact]:
    """Metered usage: events that add up to hourly costs, all series side by side; one in 5,000 is large.

    With few facts per series and hour the closing of buckets is measured, not the facts.
    """
    chance = random.Random(7)
    begin = datetime(2024, 9, 1, tzinfo=UTC)
    for number in range(count):
        hour = begin + timedelta(hours=number * hours // count)
        tag = chance.randrange(series)
        value = 1.0 + tag % 7 + chance.random()
        yield Fact(
            series=f"default/effective_cost/USD/1h/tag:team=team-{tag:06}",
            charge_period_start=format_instant(hour),
            value=round(value * (200 if chance.random() < 0.0002 else 1), 4),
            origin="meter:1",
            fold=Fold.ADD,
            event_id=f"{number:x}",
        )


def settings_of(servers: str, name: str, partitions: int) -> Settings:
    return Settings.model_validate(
        {
            "kafka": {
                "bootstrap_servers": servers,
                "topic_prefix": name,
                "group": name,
                "partitions": partitions,
            },
            "worker": {"session_timeout_seconds": 10},
        }
    )


async def fill(settings: Settings, count: int, series: int, hours: int) -> None:
    topics = await ensure_topics(settings.kafka)
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, linger_ms=20, max_batch_size=512 * 1024
    )
    await producer.start()
    for fact in facts(count, series, hours):
        await producer.send(topics.facts, encode(fact), key=key_of(fact))
    await producer.flush()
    await producer.stop()


class NoStore:
    def __init__(self) -> None:
        self.alerts = 0

    async def record(self, alerts: Sequence[Alert]) -> list[AlertEvent]:
        self.alerts += len(alerts)
        return []


async def nobody(_events: Sequence[AlertEvent]) -> None:
    return None


async def work(settings: Settings, count: int, name: str, series: int) -> int:
    configure("worker", "WARNING")
    book = PolicyBook(settings.policies)
    registry = CollectorRegistry()
    stop = asyncio.Event()
    store = NoStore()
    begun: tuple[float, float] | None = None
    seconds = 0.0
    cpu: float | None = None

    def cpu_seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    def consumed() -> float:
        return registry.get_sample_value("spendwatch_facts_consumed_total") or 0.0

    def on_step(step: Step) -> None:
        nonlocal cpu
        if step is Step.COMMITTED and cpu is None and consumed() >= count:
            cpu = cpu_seconds()
            stop.set()

    worker = StreamWorker(
        settings,
        engines=lambda partition: Engine(policies=book, partition=partition, close_limit=500),
        detectors=detectors.names(),
        store=store,
        announce=nobody,
        registry=registry,
        on_step=on_step,
    )
    running = asyncio.create_task(worker.run(stop))
    while seconds == 0.0 and not running.done():
        if begun is None and consumed() > 0:
            begun = time.monotonic(), cpu_seconds()
        if begun is not None and consumed() >= count:
            seconds = time.monotonic() - begun[0]
        await asyncio.sleep(0.005)
    code = await running
    assert begun is not None
    assert cpu is not None
    cpu -= begun[1]
    result = {
        "name": name,
        "facts_per_second": round(count / seconds),
        "cpu_seconds_per_million": round(cpu / count * 1e6, 2),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "facts": count,
        "series": series,
        "partitions": settings.kafka.partitions,
        "alerts": store.alerts,
        "checkpoints": registry.get_sample_value("spendwatch_checkpoint_seconds_count"),
        "checkpoint_seconds": round(registry.get_sample_value("spendwatch_checkpoint_seconds_sum") or 0.0, 3),
    }
    print(json.dumps(result), flush=True)
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=1_000_000)
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--work", metavar="NAME", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    servers = os.environ.get("SPENDWATCH_TEST_KAFKA")
    if servers is None:
        parser.error("set SPENDWATCH_TEST_KAFKA to host:port of a Kafka")
    label = "spendwatch" if chosen.series == 500 else f"spendwatch_{chosen.series // 1000}k_series"
    if chosen.work:
        settings = settings_of(servers, chosen.work, chosen.partitions)
        return asyncio.run(work(settings, chosen.facts, label, chosen.series))
    for _ in range(chosen.rounds):
        name = f"bench-{uuid.uuid4().hex[:8]}"
        asyncio.run(fill(settings_of(servers, name, chosen.partitions), chosen.facts, chosen.series, chosen.hours))
        arguments = [sys.executable, "-m", "benchmarks.stream", *sys.argv[1:], "--work", name]
        subprocess.run(arguments, check=True, cwd=Path(__file__).parent.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
