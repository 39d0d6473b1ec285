"""The composition root: the only place that picks implementations and wires them up, one function a role.

What a role depends on may be away when it starts: the role comes up, says so in its readiness, and tries again.
Heavy imports stand in the functions, so that each role loads what it needs.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from service.clock import SystemClock
from service.core.routing import Router
from service.errors import ConfigError, UnavailableError
from service.logs import configure
from service.metrics import new_registry
from service.pauses import growing, pause
from service.settings import Settings
from service.signals import Deadline, stop_on_signals
from service.store.cache import Cache
from service.store.live import LiveBus, LiveHub
from service.store.sql import SqlStore
from service.web.probe import serve_probe

_log = structlog.get_logger(__name__)

_PING_SECONDS = 5.0
_CLOSED_AT_ONCE = 500
"""Series closed in one turn of the worker's loop: a day's end closes all of them."""
_PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Role:
    """What every role has: a name, metrics, and an event that asks it to end."""

    name: str
    registry: CollectorRegistry
    stop: asyncio.Event


@contextlib.contextmanager
def _role(name: str, settings: Settings) -> Iterator[_Role]:
    configure(name)
    with stop_on_signals(Deadline(settings.worker.shutdown_seconds)) as stop:
        yield _Role(name=name, registry=new_registry(name), stop=stop)


class _Watched:
    """The store, and why it is away: looked at in the background, because a probe must not wait for a database."""

    def __init__(self, settings: Settings) -> None:
        receivers = tuple(receiver.name for receiver in settings.receivers)
        self.router = Router(settings.route, receivers, settings.time_intervals)
        self.sql = SqlStore(
            settings.store.url,
            routes=self.router,
            factors=self.router.factors,
            clock=SystemClock(),
            receivers=receivers,
            budgets=settings.budgets,
            wait=timedelta(seconds=settings.dispatch.pending_seconds),
        )
        self.problem: str | None = "not connected yet"

    async def prepare(self, stop: asyncio.Event) -> bool:
        """Bring the tables up to date, for as long as it takes. False when asked to end before."""
        waits = growing(*_PAUSES_SECONDS)
        while not stop.is_set():
            try:
                await self.sql.migrate()
            except UnavailableError as error:
                seconds = next(waits)
                self.problem = str(error)
                _log.warning("waiting for the database", reason=self.problem, again_in_seconds=seconds)
                await pause(stop, seconds)
            else:
                self.problem = None
                return True
        return False

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(_PING_SECONDS)
            try:
                await self.sql.ping()
            except UnavailableError as error:
                self.problem = str(error)
            else:
                self.problem = None


@contextlib.asynccontextmanager
async def _open_store(settings: Settings) -> AsyncIterator[_Watched]:
    store = _Watched(settings)
    try:
        yield store
    finally:
        await store.sql.close()


@contextlib.asynccontextmanager
async def _open_cache(settings: Settings, registry: CollectorRegistry) -> AsyncIterator[Cache]:
    cache = Cache.connect(settings.redis.url, registry)
    try:
        yield cache
    finally:
        await cache.close()


@contextlib.asynccontextmanager
async def _background(*works: asyncio.Task[Any]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)


def _bootstrap_servers(settings: Settings) -> str:
    if settings.kafka.bootstrap_servers is None:
        raise ConfigError(
            "this role needs a Kafka: set kafka.bootstrap_servers (SPENDWATCH_KAFKA__BOOTSTRAP_SERVERS),"
            " or run `spendwatch up`, which brings its own"
        )
    return settings.kafka.bootstrap_servers


async def run_worker(settings: Settings) -> int:
    """Detect and record, until asked to end."""
    from detectors import registry as detectors
    from service.core.engine import Engine
    from service.core.policies import PolicyBook
    from service.core.spend import followed
    from service.stream.worker import StreamWorker

    book = PolicyBook(settings.policies)
    spend = followed(settings.digests)
    share = max(1, settings.max_new_values // settings.kafka.partitions)
    with _role("worker", settings) as role:
        async with _open_store(settings) as store, _open_cache(settings, role.registry) as cache:
            worker = StreamWorker(
                settings,
                engines=lambda partition: Engine(
                    policies=book,
                    partition=partition,
                    max_new_series=share,
                    close_limit=_CLOSED_AT_ONCE,
                    spend=spend,
                    born=int(time.time() * 1000),
                ),
                detectors=detectors.names(),
                store=store.sql,
                announce=LiveBus(cache).announce,
                registry=role.registry,
                spend=store.sql if settings.digests else None,
            )

            def ready() -> Mapping[str, str | None]:
                checks = dict(worker.ready())
                return {"database": checks.pop("store", None) or store.problem, **checks}

            async with serve_probe(
                host=settings.metrics_host,
                port=settings.worker.metrics_port,
                registry=role.registry,
                ready=ready,
            ):
                if not await store.prepare(role.stop):
                    return 0
                async with _background(asyncio.create_task(store.watch())):
                    return await worker.run(role.stop)


async def run_api(settings: Settings) -> int:
    """Serve the API, the live stream, the dashboard and the ingest endpoint, until asked to end."""
    from connectors.publisher import Publisher
    from service.store.cache import Remembered
    from service.store.cached import CachedStore
    from service.web.api import create_api
    from service.web.idempotency import Answer
    from service.web.server import serve

    publisher = Publisher(_bootstrap_servers(settings), topic_prefix=settings.kafka.topic_prefix)
    with _role("api", settings) as role:
        async with _open_store(settings) as store, _open_cache(settings, role.registry) as cache:
            hub = LiveHub(store.sql, cache)

            def ready() -> Mapping[str, str | None]:
                # Redis is not among them: without it everything works, only slower.
                return {"database": store.problem or hub.problem, "kafka": publisher.problem}

            cached = CachedStore(store.sql, cache, hub.seen)
            app = create_api(
                settings=settings,
                store=cached,
                outbox=store.sql,
                inbox=cached,
                silences=store.sql,
                hub=hub,
                publish=publisher.publish,
                announce=LiveBus(cache).announce,
                registry=role.registry,
                clock=SystemClock(),
                ready=ready,
                idempotency=Remembered(cache, Answer) if cache.enabled else None,
            )

            async def open_late() -> None:
                """What may have to be waited for; meanwhile health and metrics are served."""
                if await store.prepare(role.stop):
                    await hub.start()
                    await store.watch()

            late = asyncio.create_task(open_late()), asyncio.create_task(publisher.start())
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(publisher.stop)
                stack.push_async_callback(hub.close)
                await stack.enter_async_context(_background(*late))
                await serve(app, host=settings.api.host, port=settings.api.port, stop=role.stop)
    return 0


async def run_deliver(settings: Settings) -> int:
    """Decide who is told of what has opened, and send what is due in the outbox, until asked to end."""
    from service.delivery.dispatcher import Dispatcher
    from service.delivery.expiry import ExpiryWatch
    from service.delivery.metrics import DispatchMetrics
    from service.delivery.receivers.factory import make_receivers
    from service.delivery.rules import make_rules
    from service.delivery.run import make_deliverer
    from service.delivery.timekeeping import Timekeeper
    from service.digests.post import DigestMetrics, Post

    with _role("deliver", settings) as role:
        async with _open_store(settings) as store, _open_cache(settings, role.registry) as cache:
            receivers = make_receivers(settings)
            keeper = Timekeeper(store.sql, SystemClock())
            deliverer = make_deliverer(settings, outbox=store.sql, receivers=receivers, registry=role.registry)
            metrics = DigestMetrics(role.registry, [digest.name for digest in settings.digests])
            post = Post(settings.digests, store.sql, SystemClock(), metrics, tenant=settings.tenant)
            soon = settings.silences
            expiry = ExpiryWatch(store.sql, SystemClock(), within=soon.expires_soon, receivers=soon.tell)
            dispatcher = Dispatcher(
                store.sql.dispatching(
                    make_rules(settings, store.router), heard_for=timedelta(days=settings.dispatch.ended_within_days)
                ),
                LiveBus(cache).announce,
                DispatchMetrics(role.registry),
                SystemClock(),
                poll_seconds=settings.dispatch.poll_seconds,
            )

            def ready() -> Mapping[str, str | None]:
                return {"database": deliverer.ready()["store"] or dispatcher.problem or store.problem}

            async with serve_probe(
                host=settings.metrics_host,
                port=settings.deliver.metrics_port,
                registry=role.registry,
                ready=ready,
            ):
                if await store.prepare(role.stop):
                    works = [store.watch(), keeper.run(role.stop), dispatcher.run(role.stop)]
                    # Old letters of either are forgotten by the one that sends digests.
                    works += [post.run(role.stop)] if settings.digests or settings.silences.tell else []
                    works += [expiry.run(role.stop)] if settings.silences.tell else []
                    async with _background(*map(asyncio.create_task, works)):
                        await deliverer.run(role.stop)
    return 0


async def run_connect(settings: Settings, names: Sequence[str], *, once: bool) -> int:
    """Run the named connectors, or all. once: read what is there, print a summary, and end."""
    from connectors.checkpoint import Checkpoint
    from connectors.metrics import ConnectorMetrics
    from connectors.publisher import Publisher
    from connectors.runner import Runner
    from service.console import make_console
    from service.sources import chosen, make, missing_files, print_summary, schedule
    from service.stream.topics import ensure_topics

    wanted = chosen(settings, names)
    publisher = Publisher(_bootstrap_servers(settings), topic_prefix=settings.kafka.topic_prefix)

    def ready() -> Mapping[str, str | None]:
        return {"kafka": publisher.problem}

    with _role("connect", settings) as role:
        metrics = ConnectorMetrics(role.registry)

        async def work(checkpoint: Checkpoint) -> int:
            await ensure_topics(settings.kafka)
            await publisher.start()
            runner = Runner(publisher, checkpoint, metrics)
            missing = await asyncio.to_thread(missing_files, wanted, settings)
            if not once:
                for name, path in missing.items():
                    _log.warning("no file matches yet", connector=name, path=str(path))
                await runner.run([schedule(one, settings) for one in wanted])
                _log.info("all sources have been read to their end")
                await role.stop.wait()  # health and metrics stay up: a role that vanishes looks like one that died
                return 0
            summaries = [await runner.run_once(make(one, settings)) for one in wanted if one.name not in missing]
            print_summary(summaries, missing, make_console())
            return max([summary.exit_code for summary in summaries] + [ConfigError.exit_code] * bool(missing))

        async with contextlib.AsyncExitStack() as stack:
            # What was published to one broker says nothing about another.
            target = f"{settings.kafka.bootstrap_servers}/{settings.kafka.topic_prefix}"
            path = settings.connect.checkpoint_path
            checkpoint = stack.enter_context(contextlib.closing(Checkpoint(path, target=target)))
            if not once:
                await stack.enter_async_context(
                    serve_probe(
                        host=settings.metrics_host,
                        port=settings.connect.metrics_port,
                        registry=role.registry,
                        ready=ready,
                    )
                )
            stack.push_async_callback(publisher.stop)
            return await _until_stopped(work(checkpoint), role.stop)


async def _until_stopped(work: Coroutine[object, object, int], stop: asyncio.Event) -> int:
    """The result of *work*; 0 when asked to end before it is done."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    async with _background(stopping):
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return 0
