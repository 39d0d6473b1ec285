"""The whole service on a real Kafka, Redis and PostgreSQL, one process a role, and what must come out of it.

What came out is held against an undisturbed run, made here in one process: the engine over the same facts, and a store
of its own over the engine's alerts. Facts go in while roles die, and go on going in until the last has died.
"""

import asyncio
import contextlib
import random
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import yaml
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from msgspec.structs import replace
from sqlalchemy.engine import make_url

from connectors.facts import Fact, Watermark, encode, key_of
from service.clock import SystemClock
from service.config import load
from service.core.alerts import Alert, AlertRecord, AlertState, AlertStatus, EventType
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.core.routing import Router
from service.store.sql import SqlStore
from service.store.store import AlertQuery, Delivery
from tests.integration.gate import Gate, open_gate
from tests.integration.own_kafka import free_ports
from tests.integration.stream_support import Deployment
from tests.service.core.month import DAYS, FINAL, disturbed, make_month
from tests.service.core.support import Record, concluded, make_fact, said
from tests.service.delivery.desk import Desk, open_desk
from tests.service.delivery.fakes import SECRET
from tests.service.store.conftest import new_database
from tests.waiting import answer_of, until

PATIENCE_SECONDS = 120.0
PARTITIONS = 2
_ROOT = Path(__file__).parents[2]
_CHUNKS_A_MONTH = 6
_SEED = 5
_STEPS_MORE = 3


@dataclass(slots=True)
class Role:
    """One process of the service. log: what it says."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def leave(self) -> None:
        """By SIGTERM; a role that needs more than its ten seconds ends itself with another code."""
        self.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self.process.wait, PATIENCE_SECONDS)
        assert code == 0, f"{self.name} left with {code}\n{self.said()}"

    def said(self) -> str:
        return self.log.read_text()[-6000:]


@dataclass(slots=True)
class World:
    """servers: of the Kafka. database, redis: doors that can be shut. sent: all facts that the service has accepted."""

    servers: str
    folder: Path
    desk: Desk
    database: Gate
    redis: Gate
    config: Path
    store: SqlStore
    stream: Deployment
    urls: dict[str, str]
    http: httpx.AsyncClient
    sent: list[Fact] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)

    # -- processes ----------------------------------------------------------------------------------------------

    def start(self, name: str, *moment: str) -> Role:
        """moment: see dying.py."""
        log = self.folder / f"{len(self.roles)}-{name}{''.join(f'-{part}' for part in moment)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.dying", name, str(self.config), *moment],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.roles.append(Role(name, process, log))
        return self.roles[-1]

    async def dies(self, role: Role, what: str) -> None:
        try:
            await until(lambda: role.ended, f"{role.name} dies: {what}", seconds=PATIENCE_SECONDS, pause_seconds=0.05)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{role.said()}") from None
        assert role.process.returncode == -signal.SIGKILL, f"{role.name}, {what}\n{role.said()}"

    async def ready(self, role: Role) -> None:
        """It works already: a worker has loaded its partitions, the others answer. Or it has ended."""

        async def answers() -> bool:
            if role.ended:
                return True
            if role.name == "worker":  # there may be several, so none has a port of its own
                return b"state loaded" in role.log.read_bytes()
            with contextlib.suppress(httpx.TransportError):
                return (await self.http.get(f"{self.urls[role.name]}/livez")).status_code == 200
            return False

        try:
            await until(answers, f"{role.name} is ready", seconds=PATIENCE_SECONDS, pause_seconds=0.1)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{role.said()}") from None

    async def start_again_what_ended(self) -> None:
        """As a supervisor does."""
        while True:
            latest = {role.name: role for role in self.roles}
            for role in latest.values():
                if role.ended:
                    self.start(role.name)
            await asyncio.sleep(0.5)

    async def progress(self) -> None:
        """Wait until a chunk more has been accepted, and an alert more has reached the desk."""
        sent, got = len(self.sent), len(self.desk.got)
        try:
            await until(
                lambda: len(self.sent) > sent and len(self.desk.got) > got,
                "facts are accepted, and webhooks come",
                seconds=PATIENCE_SECONDS,
                pause_seconds=0.05,
            )
        except TimeoutError as error:
            latest = {role.name: role for role in self.roles}
            raise AssertionError(f"{error}\n" + "\n".join(role.said() for role in latest.values())) from None

    # -- facts --------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def fed(self, *, pause_seconds: float = 0.2) -> AsyncIterator[None]:
        """Facts go in, in any order, a fifth of them twice, over HTTP and straight to the topic, until it is left."""
        enough = asyncio.Event()
        feeding = asyncio.create_task(self._feed(enough, pause_seconds), name="feed")
        try:
            yield
            enough.set()
            await feeding
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _feed(self, enough: asyncio.Event, pause_seconds: float) -> None:
        chance = random.Random(_SEED)
        number = 0
        while not enough.is_set():
            facts = disturbed(renamed(make_month(seed=_SEED + number), number), chance)
            size = len(facts) // _CHUNKS_A_MONTH + 1
            for start in range(0, len(facts), size):
                chunk = facts[start : start + size]
                if start % (2 * size):
                    await self._post(chunk)
                else:
                    await self._send(chunk)
                self.sent += chunk
                await asyncio.sleep(pause_seconds)
            number += 1

    async def _send(self, facts: list[Fact]) -> None:
        """Again and again, too: what was written in part before the broker went away is written twice."""

        async def sent() -> bool:
            with contextlib.suppress(KafkaError):
                await self.stream.send([(key_of(fact), encode(fact)) for fact in facts])
                return True
            return False

        await until(sent, "facts are sent", seconds=PATIENCE_SECONDS, pause_seconds=0.2)

    async def _post(self, facts: list[Fact]) -> None:
        """As a client that wants to be sure: again and again under one key, until the answer says that it is there."""
        url = f"{self.urls['api']}/api/v1/facts"
        headers = {"Idempotency-Key": secrets.token_hex(8), "Content-Type": "application/json"}

        async def accepted() -> bool:
            with contextlib.suppress(httpx.TransportError):
                answer = await self.http.post(url, content=msgspec.json.encode(facts), headers=headers)
                assert answer.status_code in (202, 503), answer.text
                return answer.status_code == 202
            return False

        await until(accepted, "facts are accepted", seconds=PATIENCE_SECONDS, pause_seconds=0.2)

    async def finish(self) -> None:
        """All sources say that they are complete; wait until all is worked off."""
        for number in range(PARTITIONS):
            await self.stream.send([(key_of(word), encode(word)) for word in FINAL], partition=number)
        await self.stream.all_is_committed(PATIENCE_SECONDS)
        await self._nothing_is_pending()
        await answer_of(
            self.store.counts,
            lambda counts: not counts.get("desk", {}).get("pending", 0),
            "everything is delivered",
            seconds=PATIENCE_SECONDS,
            pause_seconds=0.2,
        )

    async def _nothing_is_pending(self) -> None:
        await answer_of(
            lambda: self.store.find(AlertQuery(states=(AlertState.PENDING,), limit=1)),
            lambda page: page.total == 0,
            "it is decided who is told",
            seconds=PATIENCE_SECONDS,
            pause_seconds=0.2,
        )
        await answer_of(
            lambda: self.store.find(AlertQuery(states=(AlertState.FIRING,), limit=500)),
            lambda page: all(record.alert.status is AlertStatus.FIRING for record in page.items),
            "what is over has ended",
            seconds=PATIENCE_SECONDS,
            pause_seconds=0.2,
        )

    async def spike(self, count: int) -> list[str]:
        """After `finish`: so many series rise, and nothing has closed yet. Returns the alerts that are firing."""
        known = sorted({fact.series for fact in self.sent if "/USD/" in fact.series})[:count]
        rising = [make_fact(DAYS + 8, 1e6, series=series, origin="cur:a") for series in known]
        await self.stream.send([(key_of(fact), encode(fact)) for fact in rising])
        query = AlertQuery(states=(AlertState.FIRING,), limit=count)
        page = await answer_of(
            lambda: self.store.find(query),
            lambda page: page.total >= count,
            "alerts are firing",
            seconds=PATIENCE_SECONDS,
            pause_seconds=0.2,
        )
        return [record.alert.id for record in page.items if record.inhibited_by is None]

    # -- what came out ------------------------------------------------------------------------------------------

    async def check(self) -> int:
        """Against an undisturbed run; returns how many alerts were told."""
        alerts = await self._check_stream()
        await self._check_order()
        expected = await self._undisturbed(alerts)
        found = await records_of(self.store)
        assert set(found) == set(expected)
        other = {
            key: (kept(found[key]), kept(expected[key])) for key in found if kept(found[key]) != kept(expected[key])
        }
        assert not other, other
        await self._check_deliveries(found)
        return len(found)

    async def _check_stream(self) -> list[Alert]:
        """State and alerts of the topics are those of the log read once. Returns these alerts, in order."""
        engines = self._engines()
        log = sorted(await self.stream.read(self.stream.topics.facts), key=lambda one: one.offset)
        for record in log:
            engines[record.partition].apply([record])
        expected = [alert for engine in engines for alert in engine.take_alerts()]
        loaded = await self.stream.loaded(lambda partition: self._engines()[partition])
        for number, engine in enumerate(engines):
            assert loaded[number].digest() == engine.digest()
        told = [msgspec.json.decode(one.value, type=Alert) for one in await self.stream.read(self.stream.topics.alerts)]
        by_version = {(alert.id, alert.version): alert for alert in expected}
        missing = set(by_version) - {(alert.id, alert.version) for alert in told}
        assert not missing
        # What is asked of peers right after a crash may be said in one step more on the way; the end is the same.
        more = [alert for alert in told if alert != by_version.get((alert.id, alert.version))]
        assert len(more) <= _STEPS_MORE, more
        assert said(told) == said(expected)
        assert await self.stream.read(self.stream.topics.dead_letters) == []
        return expected

    async def _check_order(self) -> None:
        """And they are those of the facts in the order in which they were made, each once."""
        numbers = list(range(PARTITIONS))
        partition_of = DefaultPartitioner()
        engines = self._engines()
        facts: dict[bytes, Fact] = {encode(fact): fact for fact in self.sent}
        groups: list[list[Fact | Watermark]] = [[] for _ in numbers]
        for fact in sorted(facts.values(), key=lambda fact: (fact.charge_period_start, fact.revision)):
            groups[partition_of(key_of(fact), numbers, numbers)].append(fact)
        for engine, group in zip(engines, groups, strict=True):
            engine.apply([record_of(offset, message) for offset, message in enumerate([*group, *FINAL])])
        loaded = await self.stream.loaded(lambda partition: self._engines()[partition])
        assert [loaded[number].digest() for number in numbers] == [engine.digest() for engine in engines]
        stored = [record.alert for record in (await records_of(self.store)).values()]
        expected = concluded(alert for engine in engines for alert in engine.take_alerts())
        found = concluded(stored)
        assert sorted(found) == sorted(expected), sorted(map(str, set(map(str, found)) ^ set(map(str, expected))))[:4]
        for told, alert in found.items():
            assert judged(alert) == judged(expected[told])

    async def _undisturbed(self, alerts: Iterable[Alert]) -> dict[str, AlertRecord]:
        settings = load(self.config, {})
        path = self.folder / f"undisturbed-{secrets.token_hex(4)}.db"
        store = SqlStore(
            f"sqlite+aiosqlite:///{path}",
            routes=Router(settings.route, ("desk",), settings.time_intervals),
            clock=SystemClock(),
            receivers=("desk",),
        )
        await store.migrate()
        try:
            await store.record(list(alerts))
            return await records_of(store)
        finally:
            await store.close()

    async def _check_deliveries(self, found: Mapping[str, AlertRecord]) -> None:
        """All messages were delivered, what came twice came under the same id and said the same, and what the desk was
        last told of each alert is so. Which alerts it hears of at all hangs on how long they were open."""
        rows: dict[str, Delivery] = {}
        for key, record in found.items():
            told = await self.store.deliveries_of(key)
            rows |= {one.id: one for one in told}
            if not told:
                assert record.state.is_over or record.inhibited_by is not None
                continue
            kinds = [one.event.type for one in told]
            assert kinds[0] is EventType.OPENED
            assert kinds.count(EventType.OPENED) == 1
            assert told[-1].event.record.state.is_over == record.state.is_over
        assert {one.state for one in rows.values()} <= {"delivered"}
        bodies: dict[str, set[bytes]] = {}
        for key, body in self.desk.got:
            bodies.setdefault(key, set()).add(body)
        assert set(bodies) == set(rows)
        assert all(len(different) == 1 for different in bodies.values())

    def _engines(self) -> list[Engine]:
        settings = load(self.config, {})
        return [Engine(policies=PolicyBook(settings.policies), partition=number) for number in range(PARTITIONS)]


def renamed(facts: Iterable[Fact], number: int) -> list[Fact]:
    """The same month for other series."""
    return [replace(fact, series=f"{fact.series}-{number}") for fact in facts]


def record_of(offset: int, message: Fact | Watermark) -> Record:
    return Record(offset=offset, key=key_of(message), value=encode(message))


def judged(alert: Alert) -> Alert:
    """Without what explains it: drivers are kept of the latest buckets only, and order says which these are."""
    return replace(alert, drivers=(), reason="", action="", history=())


def kept(record: AlertRecord) -> tuple[object, ...]:
    """Without the times and numbers of the store's own, and without the number of steps in which it was said."""
    alert = replace(record.alert, version=0, judged_at=record.alert.starts_at)
    return alert, record.state, record.acknowledged_by, record.resolved_by


async def records_of(store: SqlStore) -> dict[str, AlertRecord]:
    found: dict[str, AlertRecord] = {}
    cursor: str | None = None
    while True:
        page = await store.find(AlertQuery(limit=500, cursor=cursor))
        for record in page.items:
            found[record.alert.id] = await store.get(record.alert.id)
        cursor = page.next_cursor
        if cursor is None:
            return found


@contextlib.asynccontextmanager
async def whole(servers: str, redis_url: str, folder: Path) -> AsyncIterator[World]:
    """Nothing runs yet; whatever was started is ended."""
    ports = dict(zip(("api", "deliver"), free_ports(2), strict=True))
    stream = Deployment(servers, folder, embedded=False, partitions=PARTITIONS)
    await stream.create()
    redis = httpx.URL(redis_url)
    async with contextlib.AsyncExitStack() as stack:
        desk = await stack.enter_async_context(open_desk())
        database_url = make_url(await stack.enter_async_context(new_database()))
        assert database_url.host is not None
        database = await stack.enter_async_context(open_gate(database_url.host, database_url.port or 5432))
        cache = await stack.enter_async_context(open_gate(redis.host, redis.port or 6379))
        behind = database_url.set(host="127.0.0.1", port=database.port).render_as_string(hide_password=False)
        config = folder / "spendwatch.yaml"
        receiver = {"type": "webhook", "name": "desk", "url": desk.url, "secret": SECRET, "timeout_seconds": 5.0}
        config.write_text(
            yaml.safe_dump(
                {
                    **stream.raw_settings,
                    "worker": {**stream.raw_settings["worker"], "metrics_port": 0},
                    "policies": [{"ring_buckets": 50}],
                    "receivers": [receiver | {"allow_private": True, "allow_http": True}],
                    "store": {"url": behind},
                    "redis": {"url": f"redis://127.0.0.1:{cache.port}/0"},
                    "api": {"port": ports["api"]},
                    "deliver": {"metrics_port": ports["deliver"], "poll_seconds": 0.1},
                    # The facts are of days long past.
                    "dispatch": {"pending_seconds": 0.5, "poll_seconds": 0.1, "ended_within_days": 3650},
                }
            )
        )
        store = SqlStore(
            str(database_url.render_as_string(hide_password=False)), routes=lambda _: (), clock=SystemClock()
        )
        stack.push_async_callback(store.close)
        await store.migrate()
        world = World(
            servers=servers,
            folder=folder,
            desk=desk,
            database=database,
            redis=cache,
            config=config,
            store=store,
            stream=stream,
            urls={role: f"http://127.0.0.1:{port}" for role, port in ports.items()},
            http=await stack.enter_async_context(httpx.AsyncClient(timeout=30)),
        )
        try:
            yield world
        finally:
            for role in world.roles:
                if not role.ended:
                    role.kill()
