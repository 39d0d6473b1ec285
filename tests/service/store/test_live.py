"""The live stream: in order, without gaps, without duplicates, whatever happens to Redis."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis

from service.embedded import EmbeddedValkey
from service.store.cache import Cache
from service.store.database import StoreUnavailableError
from service.store.live import LiveBus, LiveHub, Subscription, SubscriptionEndedError
from tests.builders import make_alert
from tests.clock import FakeClock
from tests.fakes import MemoryStore
from tests.waiting import until

FAR = 3600.0
"""Polling that does not happen within a test: what arrives was announced."""


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
async def cache(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    cache = Cache.connect(SecretStr(redis_url), CollectorRegistry(), prefix=f"live-{id(request)}")
    yield cache
    await cache.close()


async def add(store: MemoryStore, start: int, count: int) -> None:
    await store.record([make_alert(f"a{n}") for n in range(start, start + count)])


async def take(events: Subscription, count: int) -> list[int]:
    async with asyncio.timeout(5):
        return [(await anext(events)).seq for _ in range(count)]


async def wait_until_seen(hub: LiveHub, seq: int) -> None:
    await until(lambda: hub.seen() == seq, f"the hub has seen {seq}")


async def test_subscribers_hear_what_happens_from_now_on(store: MemoryStore) -> None:
    await add(store, 0, 3)
    async with LiveHub(store, poll_seconds=0.01) as hub, hub.subscribe() as one, hub.subscribe() as two:
        await add(store, 3, 2)
        assert await take(one, 2) == [4, 5]
        await add(store, 5, 1)
        assert await take(one, 1) == [6]
        assert await take(two, 3) == [4, 5, 6]


async def test_a_subscriber_resumes_where_it_was(store: MemoryStore) -> None:
    await add(store, 0, 1203)
    async with LiveHub(store, poll_seconds=0.01) as hub, hub.subscribe(after=2) as events:
        await add(store, 1203, 2)
        assert await take(events, 1203) == list(range(3, 1206))


async def test_the_past_is_replayed_before_the_hub_has_read_anything(store: MemoryStore) -> None:
    await add(store, 0, 3)
    hub = LiveHub(store, poll_seconds=0.01)
    async with hub.subscribe(after=1) as events:
        assert await take(events, 2) == [2, 3]
        async with hub:
            await add(store, 3, 1)
            assert await take(events, 1) == [4]


async def test_a_number_from_the_future_counts_as_now(store: MemoryStore) -> None:
    await add(store, 0, 3)
    async with LiveHub(store, poll_seconds=0.01) as hub:
        await wait_until_seen(hub, 3)
        async with hub.subscribe(after=99) as events:
            await add(store, 3, 1)
            assert await take(events, 1) == [4]


async def test_a_number_that_only_another_process_has_seen_is_respected(store: MemoryStore) -> None:
    hub = LiveHub(store, poll_seconds=FAR)
    async with hub:
        await wait_until_seen(hub, 0)
        await add(store, 0, 3)
        async with hub.subscribe(after=2) as events:
            hub._wake.set()
            assert await take(events, 1) == [3]


async def test_a_slow_subscriber_is_let_go_and_can_resume(store: MemoryStore) -> None:
    async with LiveHub(store, poll_seconds=0.001, remembered=10) as hub:
        await wait_until_seen(hub, 0)
        async with hub.subscribe() as slow, hub.subscribe() as quick:
            await add(store, 0, 1)
            assert await take(slow, 1) == [1]
            assert await take(quick, 1) == [1]
            for n in range(1, 40):
                await add(store, n, 1)
                assert await take(quick, 1) == [n + 1]
            with pytest.raises(SubscriptionEndedError, match="more than 10 events behind, after 1") as caught:
                await anext(slow)
            assert caught.value.reason == "slow"
        async with hub.subscribe(after=1) as again:
            assert await take(again, 39) == list(range(2, 41))


async def test_closing_ends_all_subscriptions(store: MemoryStore) -> None:
    hub = LiveHub(store, poll_seconds=FAR)
    await hub.start()
    async with hub.subscribe() as events:
        waiting = asyncio.create_task(take(events, 1))
        await asyncio.sleep(0)
        await hub.close()
        with pytest.raises(SubscriptionEndedError) as caught:
            await waiting
    assert caught.value.reason == "shutdown"


async def test_a_database_that_was_away_loses_nothing(store: MemoryStore) -> None:
    async with LiveHub(store, poll_seconds=0.01) as hub, hub.subscribe() as events:
        await wait_until_seen(hub, 0)
        store.problem = StoreUnavailableError("sqlite:x.db", "locked")
        await until(lambda: hub.problem is not None, "the hub notices")
        store.problem = None
        await add(store, 0, 2)
        assert await take(events, 2) == [1, 2]
        assert hub.problem is None


async def test_an_announcement_wakes_every_hub_at_once(store: MemoryStore, cache: Cache) -> None:
    async with (
        LiveHub(store, cache, poll_seconds=FAR) as one,
        LiveHub(store, cache, poll_seconds=FAR) as two,
        one.subscribe() as first,
        two.subscribe() as second,
    ):
        await heard_by(cache, 2)
        events = await store.record([make_alert()])
        await LiveBus(cache).announce(events)
        assert await take(first, 1) == await take(second, 1) == [1]


async def heard_by(cache: Cache, listeners: int) -> None:
    """Waits until so many hubs listen."""
    redis = cache._redis
    assert redis is not None

    async def heard() -> bool:
        return dict(await redis.pubsub_numsub(cache._channel))[cache._channel.encode()] == listeners

    await until(heard)


@pytest.mark.embedded
async def test_a_redis_that_dies_only_makes_the_stream_slower(store: MemoryStore) -> None:
    with EmbeddedValkey() as server:
        cache = Cache.connect(SecretStr(server.url), CollectorRegistry())
        bus = LiveBus(cache)
        hub = LiveHub(store, cache, poll_seconds=0.2)
        await hub.start()
        async with hub.subscribe() as events:
            await bus.announce(await store.record([make_alert("a1")]))
            assert await take(events, 1) == [1]
            async with Redis.from_url(server.url) as redis:
                await redis.flushall()
            await bus.announce(await store.record([make_alert("a2")]))
            assert await take(events, 1) == [2]
            server.stop()
            await bus.announce(await store.record([make_alert("a3")]))
            assert await take(events, 1) == [3]
            assert cache.problem is not None
        await hub.close()
        await cache.close()
