"""Exactly one ticket: a thousand incidents, a help desk on a bad day, deliverers that are killed, an outage.

    python -m benchmarks.tickets [--incidents 1000] [--kind jira]

The desk is tests/remotes: a real HTTP server whose search lags, and which refuses, drops and loses answers. Deliverers
are processes of their own with the default time-outs and leases; only their rate is raised, to what the desk can take.
Measured is the time from the end of the outage until every ticket's state is ours. One JSON object on standard output.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic

from prometheus_client import CollectorRegistry

from realservices.process import say
from service.clock import SystemClock
from service.core.alerts import AlertState
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.store.sql import SqlStore
from service.store.store import AlertQuery
from tests.builders import everyone, make_alert, resolved, withdrawn
from tests.remotes.desk import Desk
from tests.remotes.kinds import BY_TYPE, Kind
from tests.remotes.remote import Remote
from tests.remotes.weather import Weather

RATE = 500
LAG_SECONDS = 2.0
SETTLE_SECONDS = 5.0
BAD_SHARE = 0.1
LOST_SHARE = 0.05
"""Of what is opened or changed; beside the rest, of which a fifth is lost too."""
DELIVERERS = 2
KILLS = 6
OUTAGE_SECONDS = 20.0
LIMIT_SECONDS = 60.0
"""What we promise."""
_PATIENCE_SECONDS = 300.0
_CHUNK = 50


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of the desk's tickets with our alerts."""

    duplicates: int
    lost: int
    differing: int

    @property
    def is_equal(self) -> bool:
        return not (self.duplicates or self.lost or self.differing)


class Deliverers:
    """Processes that deliver, and are killed."""

    def __init__(self, kind: str, database: str, url: str) -> None:
        self._arguments = (sys.executable, "-m", "benchmarks.tickets", "--child", kind, database, url)
        self._running: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        self._running.append(await asyncio.create_subprocess_exec(*self._arguments, stdout=asyncio.subprocess.DEVNULL))

    async def kill(self) -> None:
        process = self._running.pop(0)
        process.kill()
        await process.wait()

    async def kill_all(self) -> None:
        while self._running:
            await self.kill()


async def deliver(kind: str, database: str, url: str) -> None:
    """What each of the processes does until it is killed."""
    settle = {"settle_seconds": SETTLE_SECONDS} if "settle_seconds" in BY_TYPE[kind].settings else {}
    receiver = BY_TYPE[kind].on_loopback(url, rate=RATE, burst=RATE, concurrency=16, **settle)
    clock, metrics = SystemClock(), DeliveryMetrics(CollectorRegistry(), ["desk"])
    store = SqlStore(database, routes=everyone("desk"), clock=clock)
    await Deliverer(store, [receiver], clock, metrics).run(asyncio.Event())


async def measure(kind: Kind, incidents: int, folder: Path) -> dict[str, object]:
    database = f"sqlite+aiosqlite:///{folder / 'store.db'}"
    store = SqlStore(database, routes=everyone("desk"), clock=SystemClock())
    await store.migrate()
    weather = Weather(BAD_SHARE, lost_share=LOST_SHARE)
    async with kind.remote() as remote:
        remote.decide = weather
        if isinstance(remote, Desk):
            remote.lag_seconds = LAG_SECONDS
        deliverers = Deliverers(kind.name, database, remote.url)
        try:
            for _ in range(DELIVERERS):
                await deliverers.start()
            await asyncio.gather(_happen(store, incidents), _kill(deliverers))
            waiting = (await store.counts())["desk"]["pending"]
            say(f"outage of {OUTAGE_SECONDS:g} s; two deliverers are killed in it")
            weather.is_out = True
            await store.record([resolved(f"a{n}", 4) for n in range(0, incidents, 4)])
            for _ in range(DELIVERERS):
                await asyncio.sleep(OUTAGE_SECONDS / DELIVERERS)
                await deliverers.kill()
                await deliverers.start()
            weather.is_out = False
            seconds = await _until_equal(store, remote, kind)
            found = await compare(store, remote, kind)
        finally:
            await deliverers.kill_all()
            await store.close()
        return {
            "name": "tickets",
            "kind": kind.name,
            "incidents": incidents,
            "duplicates": found.duplicates,
            "lost": found.lost,
            "differing": found.differing,
            "seconds_from_recovery_to_equal": None if seconds is None else round(seconds, 1),
            "limit_seconds": LIMIT_SECONDS,
            "kills": KILLS + DELIVERERS,
            "requests": len(remote.requests),
            "faults": weather.faults,
            "waiting_at_outage": waiting,
            "outage_seconds": OUTAGE_SECONDS,
            "search_lag_seconds": LAG_SECONDS,
        }


async def _happen(store: SqlStore, incidents: int) -> None:
    """All are opened and grow; of five one is acknowledged, one withdrawn; a quarter ends while the desk is away."""
    for start in range(0, incidents, _CHUNK):
        some = range(start, min(start + _CHUNK, incidents))
        await store.record([make_alert(f"a{n}") for n in some])
        await store.record([make_alert(f"a{n}", 2, impact=1e5) for n in some])
        for n in some[::5]:
            await store.acknowledge(f"a{n}", actor="ada", comment="", at=SystemClock().now())
        await store.record([withdrawn(f"a{n}", 3) for n in some[3::5]])
        await asyncio.sleep(0.5)


async def _kill(deliverers: Deliverers) -> None:
    random = Random(7)
    for number in range(KILLS):
        await asyncio.sleep(random.uniform(1.0, 3.0))
        say(f"kill -9, {number + 1} of {KILLS}")
        await deliverers.kill()
        await deliverers.start()


async def _until_equal(store: SqlStore, remote: Remote, kind: Kind) -> float | None:
    began = monotonic()
    while monotonic() < began + _PATIENCE_SECONDS:
        found = await compare(store, remote, kind)
        if found.is_equal:
            return monotonic() - began
        await asyncio.sleep(1.0)
    return None


async def compare(store: SqlStore, remote: Remote, kind: Kind) -> Comparison:
    theirs = remote.states()
    duplicates = lost = differing = 0
    cursor = None
    while True:
        page = await store.find(AlertQuery(limit=500, cursor=cursor))
        for record in page.items:
            states = theirs.get(kind.key(record.alert.id), [])
            duplicates += max(len(states) - 1, 0)
            # What was over before it could be told opens no ticket.
            lost += not states and not record.state.is_over
            differing += bool(states) and states[-1] != _ours(record.state, kind)
        cursor = page.next_cursor
        if cursor is None:
            return Comparison(duplicates, lost, differing)


def _ours(state: AlertState, kind: Kind) -> str:
    if state.is_over:
        return "resolved"
    return "acknowledged" if state is AlertState.ACKNOWLEDGED and kind.acknowledges else "open"


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--child"]:
        asyncio.run(deliver(*arguments[1:]))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tickets", description=__doc__)
    parser.add_argument("--incidents", type=int, default=1000)
    parser.add_argument("--kind", default="jira", choices=sorted(kind for kind in BY_TYPE if BY_TYPE[kind].tickets))
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(BY_TYPE[chosen.kind], chosen.incidents, Path(folder)))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
