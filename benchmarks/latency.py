"""How long an alert takes under half load: from the fact that is handed to Kafka until a reader of the store sees the
alert, and until its webhook is accepted.

Worker and deliverer are real processes with default settings, but for `dispatch.pending_seconds`, which is how long a
message is held on purpose. Series of their own jump to many times their usual
cost, several a second; all else is load. Both ends are looked at from this process, with one clock.
"""

import asyncio
import base64
import contextlib
import secrets
import sqlite3
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from benchmarks.child import ChildError, running
from benchmarks.deployment import Deployment
from benchmarks.load import Load
from benchmarks.throughput import new_group
from benchmarks.topics import begin_after_padding, fill, put_back
from benchmarks.workload import HISTORY_DAYS, instant, level_of, series_name, states
from connectors.facts import Basis, Fact, encode, key_of
from realservices.process import say
from service.delivery.signing import SigningSecret
from service.demo.desk import Desk, Received, open_desk

PROBE_ORIGIN = "probe:1"
"""A source of its own: the days of the load pass much faster than those of the probes."""
_FIRST_PROBE = 900_000
_PROBES_PER_SECOND = 10
_JUMP = 8.0
_LOOK_SECONDS = 0.005
_BUILD_SECONDS = 300.0
_SETTLE_SECONDS = 2.0
_LAST_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds, sorted. missing: probes whose alert or webhook never came. behind: facts not applied at the end."""

    rate: int
    stored: Sequence[float]
    accepted: Sequence[float]
    missing: int
    behind: int


@dataclass(slots=True)
class _Seen:
    """When what of which series happened first, monotonic seconds."""

    sent: dict[str, float] = field(default_factory=dict)
    stored: dict[str, float] = field(default_factory=dict)
    accepted: dict[str, float] = field(default_factory=dict)
    series_of: dict[str, str] = field(default_factory=dict)
    webhooks: dict[str, float] = field(default_factory=dict)
    """By alert id: a webhook may be here before the look into the store says whose it is."""

    def on_receive(self, received: Received) -> None:
        self.webhooks.setdefault(received.alert_id, time.monotonic())

    def finish(self) -> None:
        for alert_id, at in self.webhooks.items():
            if (series := self.series_of.get(alert_id)) in self.sent:
                self.accepted.setdefault(str(series), at)

    def delays(self, seen: dict[str, float]) -> list[float]:
        return sorted(at - self.sent[series] for series, at in seen.items() if series in self.sent)


async def measure(servers: str, *, rate: int, seconds: float, partitions: int, series: int = 500) -> Latency:
    """Raises ChildError when a process fails."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    seen = _Seen()
    with tempfile.TemporaryDirectory(prefix="spendwatch-bench-") as folder:
        async with open_desk(Desk(SigningSecret.parse(secret), on_receive=seen.on_receive)) as url:
            deployment = Deployment(
                servers=servers,
                prefix="latency",
                group=new_group(),
                folder=Path(folder),
                partitions=partitions,
                extra=_receiver(url, secret),
            )
            probes = round(seconds * _PROBES_PER_SECOND)
            await _prepare(deployment, series=series, probes=probes)
            load = Load(
                servers=servers,
                topic=f"{deployment.prefix}.facts",
                partitions=partitions,
                series=series,
                rate=rate,
                seconds=seconds + 2 * _SETTLE_SECONDS,
            )
            async with deployment.worker() as worker, deployment.deliver() as deliver, _loaded(load, folder) as source:
                await asyncio.gather(worker.ready(), deliver.ready())
                assert source.stdin is not None
                async with _looking(deployment.database, seen):
                    source.stdin.write(b"go\n")
                    await asyncio.sleep(_SETTLE_SECONDS)
                    await _probe(servers, load.topic, probes, seen)
                    await _said(source, "sent", deployment.log)
                    behind = round(rate * load.seconds) + probes
                    behind -= int((await worker.metrics())["spendwatch_facts_consumed_total"])
                    end = time.monotonic() + _LAST_SECONDS
                    while time.monotonic() < end:
                        seen.finish()
                        if len(seen.accepted) == probes:
                            break
                        await asyncio.sleep(0.1)
    return Latency(
        rate=rate,
        stored=seen.delays(seen.stored),
        accepted=seen.delays(seen.accepted),
        missing=2 * probes - len(seen.delays(seen.stored)) - len(seen.accepted),
        behind=max(0, behind),
    )


def _receiver(url: str, secret: str) -> dict[str, Any]:
    receiver = {
        "type": "webhook",
        "name": "desk",
        "url": url,
        "secret": secret,
        "allow_private": True,
        "allow_http": True,
    }
    return {"receivers": [receiver], "dispatch": {"pending_seconds": 0}}


async def _prepare(deployment: Deployment, *, series: int, probes: int) -> None:
    kafka = deployment.settings.kafka
    await fill(kafka, ())
    known = [*states(series), *states(probes, first=_FIRST_PROBE, origin=PROBE_ORIGIN)]
    await put_back(kafka, known)
    await begin_after_padding(kafka, kafka.group)


@contextlib.asynccontextmanager
async def _loaded(load: Load, folder: str) -> AsyncIterator[Process]:
    """The load, built and waiting for a line."""
    log = Path(folder) / "load.log"
    say(f"building {round(load.rate * load.seconds)} facts")
    async with running("benchmarks.load", msgspec.json.encode(load).decode(), log=log, keep_output=True) as process:
        await _said(process, "ready", log)
        yield process


async def _said(process: Process, word: str, log: Path) -> None:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), _BUILD_SECONDS)
    if line.decode().strip() != word:
        raise ChildError("load", f"said {line!r} instead of {word!r}", log)


async def _probe(servers: str, topic: str, probes: int, seen: _Seen) -> None:
    """Send one fact after the other that is far too high for its series."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=0)
    await producer.start()
    try:
        for number in range(_FIRST_PROBE, _FIRST_PROBE + probes):
            fact = Fact(
                series=series_name(number),
                charge_period_start=instant(HISTORY_DAYS - 1, 0.5),
                value=level_of(number) * _JUMP,
                origin=PROBE_ORIGIN,
                revision=1,
                basis=Basis.ESTIMATED,
            )
            seen.sent[fact.series] = time.monotonic()
            await producer.send(topic, encode(fact), key=key_of(fact))
            await asyncio.sleep(1 / _PROBES_PER_SECOND)
        await producer.flush()
    finally:
        await producer.stop()


@contextlib.asynccontextmanager
async def _looking(database: Path, seen: _Seen) -> AsyncIterator[None]:
    """Look into the store for new alerts, as any other reader would."""

    async def look() -> None:
        last = 0
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            while True:
                found = connection.execute("SELECT seq, series, id FROM alerts WHERE seq > ?", (last,)).fetchall()
                now = time.monotonic()
                for seq, series, alert_id in found:
                    last = max(last, seq)
                    seen.stored.setdefault(series, now)
                    seen.series_of[alert_id] = series
                await asyncio.sleep(_LOOK_SECONDS)

    task = asyncio.create_task(look())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """Nearest rank; NaN of nothing."""
    if not sorted_values:
        return float("nan")
    return sorted_values[max(0, ceil(share * len(sorted_values)) - 1)]
