"""What Redis is used for, and the only file that knows a key or a channel of it.

Nothing here is the only copy of anything. A Redis that is away, slow, flushed or full of somebody else's bytes means
"not cached", counted in the metrics and never raised; after a failure it is left alone for a moment, so that a hanging
one does not slow every request down.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, Self, TypeVar

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service.errors import ConfigError

T = TypeVar("T")

TIMEOUT_SECONDS = 0.5
"""Longest that one command may take: what is cached can be had from the database in less."""
REST_SECONDS = 1.0
"""How long Redis is left alone after a failure."""
LISTEN_SECONDS = 5.0
"""How often a listener that hears nothing checks that it is still connected."""

_log = structlog.get_logger(__name__)
_FAILURES = (RedisError, OSError, TimeoutError, msgspec.MsgspecError)


class Kind(StrEnum):
    """What is kept in Redis; part of the key, and the label of the metrics."""

    ALERT = "alert"
    PAGE = "page"
    SUMMARY = "summary"
    ANSWER = "answer"
    LIMIT = "limit"
    WAKE_UP = "wake_up"


class Cache:
    """redis: None switches everything off. prefix: keeps installations that share a Redis apart."""

    def __init__(self, redis: Redis | None, registry: CollectorRegistry, *, prefix: str = "spendwatch") -> None:
        self._redis = redis
        # The version changes when what is stored becomes unreadable for older or newer processes beside us.
        self._prefix = f"{prefix}:v1"
        self._rest_until = 0.0
        self._problem: str | None = None
        self._lookups = _counter("spendwatch_cache_lookups_total", "Look-ups in Redis.", registry)
        self._hits = _counter("spendwatch_cache_hits_total", "Look-ups that found something.", registry)
        self._failures = _counter("spendwatch_cache_failures_total", "Redis commands that failed.", registry)

    @classmethod
    def connect(cls, url: SecretStr | None, registry: CollectorRegistry, *, prefix: str = "spendwatch") -> Self:
        """url: `redis://`, `rediss://` or `unix://`. Opens no connection yet. Raises ConfigError for another one."""
        if url is None:
            return cls(None, registry, prefix=prefix)
        try:
            redis = Redis.from_url(
                url.get_secret_value(),
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError:
            # The library's message quotes the address, which may hold a password.
            raise ConfigError("redis.url must begin with redis://, rediss:// or unix://") from None
        return cls(redis, registry, prefix=prefix)

    @property
    def enabled(self) -> bool:
        return self._redis is not None

    @property
    def problem(self) -> str | None:
        """Why Redis was of no use at the last attempt; None when it worked, or none is configured."""
        return self._problem

    async def get(self, kind: Kind, key: str, type_: type[T]) -> T | None:
        """What `put` kept under *key*; None when there is nothing, or nothing that can be read as *type_*."""
        self._lookups.labels(kind).inc()

        async def read(redis: Redis) -> T | None:
            data: object = await redis.get(self._key(kind, key))
            return msgspec.msgpack.decode(data, type=type_) if isinstance(data, bytes) else None

        value = await self._try(kind, read)
        if value is not None:
            self._hits.labels(kind).inc()
        return value

    async def put(self, kind: Kind, key: str, value: object, ttl: timedelta) -> None:
        async def write(redis: Redis) -> None:
            await redis.set(self._key(kind, key), msgspec.msgpack.encode(value), px=ttl)

        await self._try(kind, write)

    async def allow(self, name: str, *, amount: int = 1, limit: int, window: timedelta, now: datetime) -> float:
        """Count *amount* against *limit* for each *window*; returns seconds to wait, 0.0 when it is within.

        name: who is counted. All processes count together. What is refused counts too, so hammering does not help.
        Without Redis everything is allowed.
        """
        seconds = window.total_seconds()
        number, passed = divmod(now.timestamp(), seconds)

        async def count(redis: Redis) -> int:
            key = self._key(Kind.LIMIT, f"{name}:{int(number)}")
            async with redis.pipeline(transaction=True) as pipeline:
                pipeline.incrby(key, amount)
                pipeline.pexpire(key, window * 2)
                total, _ = await pipeline.execute()
            return int(total)

        counted = await self._try(Kind.LIMIT, count)
        return 0.0 if counted is None or counted <= limit else seconds - passed

    async def publish(self, seq: int) -> None:
        """Wake whoever listens: there are events up to number *seq*."""

        async def send(redis: Redis) -> None:
            await redis.publish(self._channel, str(seq))

        await self._try(Kind.WAKE_UP, send)

    async def wake_ups(self) -> AsyncIterator[None]:
        """One item whenever somebody published, and one for each new connection; reconnects for ever.

        Ends at once without Redis. Wake-ups may be lost: whoever uses them must look by himself now and then.
        """
        while self._redis is not None:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(self._channel)
                    self._worked()
                    yield None
                    while True:
                        # A timeout of the connection would count as an error; this one is only the pause of a loop.
                        message = await channel.get_message(timeout=LISTEN_SECONDS)
                        if message is not None:
                            yield None
            except _FAILURES as error:
                self._failed(Kind.WAKE_UP, error)
            await asyncio.sleep(REST_SECONDS)

    async def close(self) -> None:
        if self._redis is not None:
            with contextlib.suppress(*_FAILURES):
                await self._redis.aclose()

    @property
    def _channel(self) -> str:
        return f"{self._prefix}:{Kind.WAKE_UP}"

    def _key(self, kind: Kind, key: str) -> str:
        return f"{self._prefix}:{kind}:{key}"

    async def _try(self, kind: Kind, use: Callable[[Redis], Awaitable[T]]) -> T | None:
        loop = asyncio.get_running_loop()
        if self._redis is None or loop.time() < self._rest_until:
            return None
        try:
            value = await use(self._redis)
        except _FAILURES as error:
            self._failed(kind, error)
            self._rest_until = loop.time() + REST_SECONDS
            return None
        self._worked()
        return value

    def _worked(self) -> None:
        if self._problem is not None:
            _log.info("Redis is back")
        self._problem = None

    def _failed(self, kind: Kind, error: Exception) -> None:
        self._failures.labels(kind).inc()
        if self._problem is None:
            # Only the kind: the text of connection errors may quote the address.
            _log.warning("Redis is of no use at the moment; going on without", failure=type(error).__name__)
        self._problem = f"Redis does not answer as expected ({type(error).__name__}); working without a cache"


class Remembered(Generic[T]):
    """Answers kept under a client's key, as the ingest endpoint does for `Idempotency-Key`."""

    def __init__(self, cache: Cache, type_: type[T], *, ttl: timedelta = timedelta(hours=24)) -> None:
        self._cache = cache
        self._type = type_
        self._ttl = ttl

    async def get(self, key: str) -> T | None:
        return await self._cache.get(Kind.ANSWER, key, self._type)

    async def put(self, key: str, value: T) -> None:
        await self._cache.put(Kind.ANSWER, key, value, self._ttl)


def _counter(name: str, text: str, registry: CollectorRegistry) -> Counter:
    counter = Counter(name, text, ["kind"], registry=registry)
    for kind in Kind:
        counter.labels(kind)
    return counter
