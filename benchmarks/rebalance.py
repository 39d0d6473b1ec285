"""Exactly one ticket, from the fact to the ticket: a thousand incidents, and partitions change hands in their middle.

    python -m benchmarks.rebalance [--incidents 1000]

A real Kafka, two workers and two deliverers as a user runs them, and a Jira whose search lags, which refuses, drops
and loses answers (tests/remotes). Every series jumps, grows and, one in four, is restated to what it usually costs.
Meanwhile workers are killed or leave, and both deliverers are killed; each comes back a second later. Measured is the
time from when all are started again and the last fact is sent until every ticket says what it must; the group may wait
30 s of it for the member that was killed last. One JSON object on standard output.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from aiokafka import AIOKafkaProducer

from benchmarks.broker import running_kafka
from benchmarks.child import ChildError, stopped
from benchmarks.deployment import Deployment, Role
from benchmarks.throughput import new_group
from benchmarks.tickets import BAD_SHARE, LAG_SECONDS, LIMIT_SECONDS, LOST_SHARE, RATE, SETTLE_SECONDS, compare
from benchmarks.topics import begin_after_padding, fill, put_back
from benchmarks.workload import HISTORY_DAYS, ORIGIN, instant, level_of, series_name, states
from connectors.facts import Basis, Fact, encode, key_of
from realservices.process import ServicesError, say
from service.clock import SystemClock
from service.core.alerts import AlertState
from service.logs import configure
from service.store.sql import SqlStore
from service.store.store import AlertQuery
from tests.builders import everyone
from tests.remotes.jira import JiraRemote
from tests.remotes.kinds import BY_TYPE
from tests.remotes.weather import Weather

PARTITIONS = 4
FACTS_PER_SECOND = 60
_REVISION = 100
"""Above those of the history."""
_JUMP, _GROWN = 8.0, 16.0
_PATIENCE_SECONDS = 300.0


@dataclass(slots=True)
class Fleet:
    """Two workers and two deliverers on one store; each has a port, and so a configuration, of its own."""

    deployments: Sequence[Deployment]
    _running: dict[tuple[str, int], tuple[Role, contextlib.AsyncExitStack]] = field(default_factory=dict)

    async def start(self, name: str, number: int) -> None:
        deployment, stack = self.deployments[number], contextlib.AsyncExitStack()
        begun = deployment.worker() if name == "worker" else deployment.deliver()
        self._running[name, number] = await stack.enter_async_context(begun), stack

    async def kill(self, name: str, number: int) -> None:
        _, stack = self._running.pop((name, number))
        await stack.aclose()

    async def leave(self, name: str, number: int) -> None:
        """As it does when its machine is restarted."""
        role, stack = self._running.pop((name, number))
        async with stack:
            await stopped(name, role.process, role.log)

    async def ready(self) -> None:
        await asyncio.gather(*(role.ready() for role, _ in self._running.values()))

    async def end(self) -> None:
        for key in list(self._running):
            await self.kill(*key)


async def measure(servers: str, incidents: int, folder: Path) -> dict[str, object]:
    """Raises ChildError when a process fails."""
    kind, weather = BY_TYPE["jira"], Weather(BAD_SHARE, lost_share=LOST_SHARE)
    database = f"sqlite+aiosqlite:///{folder / 'alerts.db'}"
    async with JiraRemote(LAG_SECONDS) as remote:
        remote.decide = weather
        receiver = {
            **kind.settings,
            "type": "jira",
            "name": "desk",
            "url": remote.url,
            "allow_http": True,
            "allow_private": True,
            "rate": RATE,
            "burst": RATE,
            "concurrency": 16,
            "settle_seconds": SETTLE_SECONDS,
        }
        extra, group = {"store": {"url": database}, "receivers": [receiver]}, new_group()
        fleet = Fleet(
            [
                Deployment(servers=servers, prefix="rebalance", group=group, folder=folder / name, extra=extra)
                for name in ("one", "two")
            ]
        )
        kafka = fleet.deployments[0].settings.kafka
        await fill(kafka, ())
        await put_back(kafka, states(incidents))
        await begin_after_padding(kafka, group)
        store = SqlStore(database, routes=everyone("desk"), clock=SystemClock())
        try:
            for name in ("worker", "deliver"):
                for number in range(2):
                    await fleet.start(name, number)
                    await fleet.ready()
            await asyncio.gather(_happen(servers, f"{kafka.topic_prefix}.facts", incidents), _disturb(fleet, incidents))
            began = monotonic()
            say("all are started again, and the last fact is sent")
            wanted = {series_name(number): number % 4 == 0 for number in range(incidents)}
            while True:
                short, found = await _short_of(store, wanted), await compare(store, remote, kind)
                seconds, is_done = monotonic() - began, found.is_equal and not short
                if is_done or seconds > _PATIENCE_SECONDS:
                    break
                await asyncio.sleep(0.5)
        finally:
            await fleet.end()
            await store.close()
        return {
            "name": "rebalance",
            "incidents": incidents,
            "series_not_as_they_must_be": short,
            "duplicates": found.duplicates,
            "lost": found.lost,
            "differing": found.differing,
            "seconds_from_recovery_to_equal": round(seconds, 1) if is_done else None,
            "limit_seconds": LIMIT_SECONDS,
            "tickets": len(remote.tickets),
            "requests": len(remote.requests),
            "faults": weather.faults,
        }


async def _happen(servers: str, topic: str, incidents: int) -> None:
    """Three rounds: all jump, all grow, one in four was a mistake of the bill."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=0)
    await producer.start()
    try:
        rounds: list[tuple[range, Callable[[int], float]]] = [
            (range(incidents), lambda number: level_of(number) * _JUMP),
            (range(incidents), lambda number: level_of(number) * _GROWN),
            (range(0, incidents, 4), level_of),
        ]
        for revision, (numbers, value) in enumerate(rounds, _REVISION):
            for number in numbers:
                fact = Fact(
                    series=series_name(number),
                    charge_period_start=instant(HISTORY_DAYS - 1, 0.5),
                    value=round(value(number), 4),
                    origin=ORIGIN,
                    revision=revision,
                    basis=Basis.ESTIMATED,
                )
                await producer.send(topic, encode(fact), key=key_of(fact))
                await asyncio.sleep(1 / FACTS_PER_SECOND)
        await producer.flush()
    finally:
        await producer.stop()


async def _disturb(fleet: Fleet, incidents: int) -> None:
    """Spread over the time that the facts take."""
    whole = 2.25 * incidents / FACTS_PER_SECOND
    for name, number, is_killed in (
        ("worker", 0, True),
        ("deliver", 0, True),
        ("worker", 1, False),
        ("deliver", 1, True),
        ("worker", 1, True),
    ):
        await asyncio.sleep(whole / 6)
        if not is_killed:
            # While the group waits for a dead member, nobody can leave it: the worker would end itself after 10 s.
            await fleet.ready()
        say(f"{name} {number + 1} {'is killed' if is_killed else 'leaves'}")
        await (fleet.kill if is_killed else fleet.leave)(name, number)
        await asyncio.sleep(1.0)
        await fleet.start(name, number)


async def _short_of(store: SqlStore, wanted: dict[str, bool]) -> int:
    """How many series have not exactly one alert, over where they were restated (True) and open where not."""
    found: dict[str, list[AlertState]] = {}
    cursor = None
    while True:
        page = await store.find(AlertQuery(limit=500, cursor=cursor))
        for record in page.items:
            found.setdefault(record.alert.series, []).append(record.state)
        cursor = page.next_cursor
        if cursor is None:
            break
    wrong = sum([state.is_over for state in found.pop(series, [])] != [over] for series, over in wanted.items())
    return wrong + len(found)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rebalance", description=__doc__)
    parser.add_argument("--incidents", type=int, default=1000)
    chosen = parser.parse_args(arguments)
    configure("benchmarks", "CRITICAL")
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    try:
        with running_kafka() as servers, tempfile.TemporaryDirectory(prefix="spendwatch-bench-") as folder:
            print(json.dumps(asyncio.run(measure(servers, chosen.incidents, Path(folder)))), flush=True)
    except (ChildError, ServicesError) as error:
        say(f"benchmarks: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
