"""Redis makes things faster and never wrong: nothing depends on it being there."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import Struct
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis

from service.core.alerts import AlertState
from service.embedded import EmbeddedValkey
from service.errors import ConfigError
from service.store.cache import Cache, Kind, Remembered
from service.store.cached import CachedStore
from service.store.sql import SqlStore
from service.store.store import AlertNotFoundError, AlertQuery
from tests.builders import everyone, make_alert
from tests.clock import NOON, FakeClock
from tests.contracts.store import AlertStoreContract

HOUR = timedelta(hours=1)


class Counts:
    """Reads the metrics of one cache."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def __call__(self, what: str, kind: Kind) -> float:
        value = self.registry.get_sample_value(f"spendwatch_cache_{what}_total", {"kind": kind.value})
        assert value is not None, "label sets start at zero"
        return value


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
async def cache(redis_url: str, counts: Counts, request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    cache = Cache.connect(SecretStr(redis_url), counts.registry, prefix=f"test-{id(request)}")
    yield cache
    await cache.close()


@pytest.fixture
async def store(sqlite_url: str, clock: FakeClock) -> AsyncIterator[SqlStore]:
    store = SqlStore(sqlite_url, routes=everyone("desk"), clock=clock)
    await store.migrate()
    yield store
    await store.close()


class Answer(Struct, frozen=True):
    status: int
    body: bytes


async def test_what_is_put_is_found(cache: Cache, counts: Counts) -> None:
    assert await cache.get(Kind.PAGE, "k", Answer) is None
    await cache.put(Kind.PAGE, "k", Answer(202, b"x"), HOUR)
    assert await cache.get(Kind.PAGE, "k", Answer) == Answer(202, b"x")
    assert await cache.get(Kind.ALERT, "k", Answer) is None
    assert (counts("lookups", Kind.PAGE), counts("hits", Kind.PAGE), counts("failures", Kind.PAGE)) == (2, 1, 0)


async def test_what_is_put_expires(cache: Cache, redis_url: str) -> None:
    await cache.put(Kind.PAGE, "k", 1, HOUR)
    async with Redis.from_url(redis_url) as redis:
        [key] = [key async for key in redis.scan_iter(f"{cache._prefix}:*")]
        assert 0 < await redis.pttl(key) <= 3_600_000


async def test_bytes_of_somebody_else_are_no_answer(cache: Cache, redis_url: str, counts: Counts) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.set(cache._key(Kind.PAGE, "k"), b"\xc1 not ours")
    assert await cache.get(Kind.PAGE, "k", Answer) is None
    assert counts("failures", Kind.PAGE) == 1


async def test_answers_are_remembered_by_key(cache: Cache) -> None:
    answers = Remembered(cache, Answer)
    assert await answers.get("key-1") is None
    await answers.put("key-1", Answer(202, b"{}"))
    assert await answers.get("key-1") == Answer(202, b"{}")


async def test_a_limit_counts_per_name_and_window(cache: Cache) -> None:
    async def ask(name: str, amount: int, at: timedelta = timedelta()) -> float:
        return await cache.allow(name, amount=amount, limit=10, window=timedelta(minutes=1), now=NOON + at)

    assert await ask("a", 7) == 0.0
    assert await ask("a", 3) == 0.0
    assert await ask("a", 1, timedelta(seconds=20)) == 40.0
    assert await ask("b", 10) == 0.0
    assert await ask("a", 10, timedelta(seconds=60)) == 0.0


async def test_without_redis_everything_goes_on(counts: Counts) -> None:
    cache = Cache.connect(None, counts.registry)
    await cache.put(Kind.PAGE, "k", 1, HOUR)
    assert await cache.get(Kind.PAGE, "k", int) is None
    assert await cache.allow("a", limit=0, window=HOUR, now=NOON) == 0.0
    assert [item async for item in cache.wake_ups()] == []
    assert (cache.enabled, cache.problem) == (False, None)
    await cache.close()


async def test_a_redis_that_is_away_is_counted_and_left_alone(counts: Counts) -> None:
    cache = Cache.connect(SecretStr("redis://:hunter2@127.0.0.1:1/0"), counts.registry)
    assert await cache.get(Kind.PAGE, "k", int) is None
    assert counts("failures", Kind.PAGE) == 1
    for _ in range(5):
        assert await cache.get(Kind.PAGE, "k", int) is None
        assert await cache.allow("a", limit=0, window=HOUR, now=NOON) == 0.0
    assert counts("failures", Kind.PAGE) == 1
    assert counts("failures", Kind.LIMIT) == 0
    assert cache.problem is not None
    assert "hunter2" not in cache.problem
    await cache.close()


def test_an_address_that_is_not_redis_is_refused(counts: Counts) -> None:
    with pytest.raises(ConfigError, match="must begin with redis://") as caught:
        Cache.connect(SecretStr("http://:hunter2@localhost"), counts.registry)
    assert "hunter2" not in str(caught.value)


class TestCachedStore(AlertStoreContract):
    """The cache in front changes nothing that the contract says."""

    @pytest.fixture
    def store(self, store: SqlStore, cache: Cache) -> CachedStore:
        return CachedStore(store, cache)


async def test_the_same_question_is_answered_from_redis(store: SqlStore, cache: Cache, counts: Counts) -> None:
    await store.record([make_alert()])
    cached = CachedStore(store, cache)
    fresh = (await cached.get("a1"), await cached.find(AlertQuery()), await cached.summary())
    again = (await cached.get("a1"), await cached.find(AlertQuery()), await cached.summary())
    assert fresh == again
    assert fresh[0] == await store.get("a1")
    assert [counts("hits", kind) for kind in (Kind.ALERT, Kind.PAGE, Kind.SUMMARY)] == [1, 1, 1]
    with pytest.raises(AlertNotFoundError):
        await cached.get("nope")


async def test_any_change_is_seen_at_once(store: SqlStore, cache: Cache) -> None:
    cached = CachedStore(store, cache)
    await cached.record([make_alert()])
    assert (await cached.get("a1")).state is AlertState.FIRING
    # Another process changes it.
    await store.acknowledge("a1", actor="ada", comment="", at=NOON)
    assert (await cached.get("a1")).state is AlertState.ACKNOWLEDGED
    assert (await cached.summary()).states[AlertState.ACKNOWLEDGED] == 1


async def test_a_process_sees_its_own_writes_before_the_hub_does(store: SqlStore, cache: Cache) -> None:
    cached = CachedStore(store, cache, seen=lambda: 0)
    await cached.record([make_alert()])
    assert (await cached.get("a1")).state is AlertState.FIRING
    await cached.resolve("a1", actor="ada", comment="", at=NOON)
    assert (await cached.get("a1")).state is AlertState.RESOLVED


async def test_a_replaced_store_is_not_answered_from_the_old_ones_cache(
    store: SqlStore, cache: Cache, tmp_path: Path
) -> None:
    await store.record([make_alert(impact=1.0)])
    await CachedStore(store, cache).get("a1")
    other = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}", routes=everyone(), clock=FakeClock())
    await other.migrate()
    await other.record([make_alert(impact=2.0)])
    assert (await CachedStore(other, cache).get("a1")).alert.impact == 2.0
    await other.close()


@pytest.mark.embedded
async def test_redis_flushed_and_killed_in_the_middle_loses_only_speed(store: SqlStore, counts: Counts) -> None:
    with EmbeddedValkey() as server:
        cache = Cache.connect(SecretStr(server.url), counts.registry)
        cached = CachedStore(store, cache)
        await cached.record([make_alert()])
        page = await cached.find(AlertQuery())
        async with Redis.from_url(server.url) as redis:
            await redis.flushall()
        assert await cached.find(AlertQuery()) == page
    async with asyncio.timeout(5):
        for _ in range(10):
            assert await cached.find(AlertQuery()) == page
    assert await cached.acknowledge("a1", actor="ada", comment="", at=NOON) is not None
    assert (await cached.find(AlertQuery())).items[0].state is AlertState.ACKNOWLEDGED
    assert cache.problem is not None
    assert counts("failures", Kind.PAGE) >= 1
    await cache.close()
