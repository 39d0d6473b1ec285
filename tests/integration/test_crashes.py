"""The real service, killed and cut off in the middle of its work: everything ends as if nothing had happened."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import redis.asyncio

from tests.integration.own_kafka import OwnKafka, own_kafka
from tests.integration.stream_support import CHAOS_ROUNDS, KAFKA
from tests.integration.whole import PATIENCE_SECONDS, World, whole
from tests.waiting import until

REDIS = os.environ.get("SPENDWATCH_TEST_REDIS")
POSTGRES = os.environ.get("SPENDWATCH_TEST_POSTGRES")
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.redis,
    pytest.mark.postgres,
    pytest.mark.skipif(
        not (KAFKA and REDIS and POSTGRES), reason="SPENDWATCH_TEST_KAFKA, _REDIS and _POSTGRES are not all set"
    ),
]

# The moment, and how many times it comes before the process dies there.
WORKER = (
    ("alerts_sent", "3"),
    ("series_sent", "5"),
    ("snapshots_sent", "2"),
    ("committed", "2"),
    ("restoring", "3"),
    ("batch_applied", "4"),
    ("storing", "2"),
    ("stored", "2"),
    ("announced", "2"),
)
LEAVING = ("leaving", "left")
DELIVERER = (
    ("deciding", "2"),
    ("decided", "2"),
    ("claimed", "2"),
    ("sent", "3"),
    ("marking", "2"),
    ("marked", "2"),
)
API = (("publishing", "1"), ("published", "2"), ("answer_kept", "1"))
AWAY_SECONDS = 3.0
ROUNDS = max(CHAOS_ROUNDS, 3)
BY_HAND = ("acknowledging", "acknowledged")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    assert KAFKA is not None
    assert REDIS is not None
    async with whole(KAFKA, REDIS, tmp_path) as made:
        yield made


async def test_roles_killed_at_each_write_point_end_as_an_undisturbed_run(world: World) -> None:
    async def one_after_the_other(name: str, moments: tuple[tuple[str, str], ...]) -> None:
        for moment in moments:
            await world.dies(world.start(name, *moment), moment[0])
        if name == "worker":
            for last in LEAVING:
                role = world.start(name, last)
                await world.ready(role)
                role.process.terminate()
                await world.dies(role, last)
        world.start(name)

    async with world.fed(), asyncio.TaskGroup() as tasks:
        for name, moments in (("worker", WORKER), ("deliver", DELIVERER), ("api", API)):
            tasks.create_task(one_after_the_other(name, moments))
    await world.finish()
    assert await world.check() > 10
    await acknowledge_all(world)
    await leave(world)


async def acknowledge_all(world: World) -> None:
    """A person's word is kept once, and told once, though the API dies before the answer."""
    next(role for role in world.roles if role.name == "api" and not role.ended).kill()
    open_alerts = await world.spike(len(BY_HAND) + 2)
    moments = [(moment, "1") for moment in BY_HAND]
    world.start("api", *moments.pop(0))
    for alert in open_alerts:

        async def done(alert: str = alert) -> bool:
            if world.roles[-1].ended:
                world.start("api", *(moments.pop(0) if moments else ()))
            url = f"{world.urls['api']}/api/v1/alerts/{alert}/acknowledge"
            try:
                answer = await world.http.post(url, json={"actor": "ada"})
            except httpx.TransportError:
                return False
            return answer.status_code == 200

        await until(done, f"{alert} is acknowledged", seconds=PATIENCE_SECONDS, pause_seconds=0.1)
    assert not moments
    await world.finish()
    for alert in open_alerts:
        said = [event.type.value for event in await world.store.events_of(alert)]
        assert said.count("acknowledged") == 1
    told = [key for key, body in world.desk.got if b'"cost.anomaly.acknowledged"' in body]
    assert len(set(told)) == len(open_alerts)


async def test_roles_killed_at_random_moments_end_as_an_undisturbed_run(world: World) -> None:
    """With two workers, so that each death of one is a rebalance for the other; now and then one leaves and comes."""
    chance = random.Random(13)
    running = [world.start(name) for name in ("worker", "worker", "deliver", "api")]
    async with world.fed(pause_seconds=0.5):
        for role in running:
            await world.ready(role)
        is_up = [True] * len(running)
        for number in range(ROUNDS):
            place = number % len(running) if number < len(running) else chance.randrange(len(running))
            role = running[place]
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            if is_up[place] and chance.random() < 0.25:
                await role.leave()
            else:
                role.kill()
            running[place] = world.start(role.name)
            is_up[place] = chance.random() < 0.7  # else it may die before it is anything
            if is_up[place]:
                await world.ready(running[place])
        for role in running:
            await world.ready(role)
    await world.finish()
    assert await world.check() > 5
    await leave(world)


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[OwnKafka]:
    with own_kafka(tmp_path / "kafka") as running:
        yield running


# The broker outlives the call that starts it, on purpose; it is ended by its number.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
async def test_broker_database_and_redis_may_go_away_and_come_back(kafka: OwnKafka, tmp_path: Path) -> None:
    assert REDIS is not None
    async with whole(kafka.servers, REDIS, tmp_path) as world:
        for name in ("worker", "deliver", "api"):
            await world.ready(world.start(name))
        minding = asyncio.create_task(world.start_again_what_ended())
        async with world.fed():
            for _ in range(min(CHAOS_ROUNDS, 10)):
                await disturb(world, kafka)
        await world.finish()
        minding.cancel()
        assert await world.check() > 5
        await leave(world)


async def disturb(world: World, kafka: OwnKafka) -> None:
    """Work goes on after each."""
    assert REDIS is not None
    await world.progress()
    async with redis.asyncio.from_url(REDIS) as client:
        await client.flushall()
    await world.progress()
    for gate in (world.database, world.redis):
        await gate.shut()
        await asyncio.sleep(AWAY_SECONDS)
        await gate.open()
        await world.progress()
    await asyncio.to_thread(kafka.restart)
    await world.progress()


async def leave(world: World) -> None:
    """All at once, as a machine that shuts down asks them."""
    await asyncio.gather(*(role.leave() for role in world.roles if not role.ended))
