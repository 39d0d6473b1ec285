"""Workers that die at the worst moments: state, alerts and dead letters are as if nothing had happened."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.stream.checkpoint import Step
from tests.integration.stream_support import (
    BROKERS,
    CHAOS_ROUNDS,
    Deployment,
    days_of_spend,
    deployed,
    running_broker,
    some_facts,
)


@pytest.fixture(params=BROKERS, scope="module")
def broker(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    with running_broker(request.param) as servers:
        yield servers, request.param


@pytest.fixture
async def deployment(broker: tuple[str, str], tmp_path: Path) -> AsyncIterator[Deployment]:
    async with deployed(*broker, tmp_path) as made:
        yield made


async def test_worker_killed_in_a_checkpoint_leaves_nothing_lost_or_doubled(
    broker: tuple[str, str], tmp_path: Path
) -> None:
    """Each step in a deployment of its own, all at once: most of the time goes into starting and joining."""

    async def one(step: Step) -> None:
        folder = tmp_path / step
        folder.mkdir()
        async with deployed(*broker, folder) as deployment:
            await deployment.send(some_facts(2_000))
            first = deployment.start_worker(kill_at=(step, 2), apply_seconds=0.05)
            assert await first.exit_code() == -signal.SIGKILL, step
            await deployment.send(some_facts(500, seed=2))
            await finish_and_check(deployment)

    async with asyncio.TaskGroup() as tasks:
        for step in Step:
            tasks.create_task(one(step), name=step)


async def test_worker_killed_at_random_moments_leaves_nothing_lost_or_doubled(deployment: Deployment) -> None:
    chance = random.Random(7)
    sending = asyncio.create_task(trickle(deployment, batches=4 * CHAOS_ROUNDS))
    for _ in range(CHAOS_ROUNDS):
        worker = deployment.start_worker(apply_seconds=0.01)
        await deployment.ready(worker)
        await asyncio.sleep(chance.uniform(0.0, 1.5))
        worker.kill()
    await sending
    await finish_and_check(deployment)


async def test_real_engine_tells_the_same_alerts_however_often_it_is_killed(deployment: Deployment) -> None:
    chance = random.Random(11)
    days = list(days_of_spend(60))
    for part in range(CHAOS_ROUNDS):
        worker = deployment.start_worker(real_engine=True)
        await deployment.ready(worker)
        for messages in days[part * len(days) // CHAOS_ROUNDS : (part + 1) * len(days) // CHAOS_ROUNDS]:
            await deployment.send(messages)
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        worker.kill()
    last = deployment.start_worker(real_engine=True)
    await deployment.ready(last)
    await deployment.all_is_committed()
    last.terminate()
    assert await last.exit_code() == 0
    assert await deployment.check_real_engine() > 5


async def test_second_worker_takes_over_half_and_then_all(deployment: Deployment) -> None:
    sending = asyncio.create_task(trickle(deployment, batches=12))
    first = deployment.start_worker(apply_seconds=0.01)
    await deployment.ready(first)
    second = deployment.start_worker(apply_seconds=0.01)
    await deployment.ready(second)
    await asyncio.sleep(0.5)
    first.kill()
    await sending
    await deployment.all_is_committed()
    second.terminate()
    assert await second.exit_code() == 0
    await deployment.check()


@pytest.mark.skipif("SPENDWATCH_CHAOS_ROUNDS" not in os.environ, reason="SPENDWATCH_CHAOS_ROUNDS is not set")
async def test_worker_that_was_stopped_and_wakes_up_spoils_nothing(deployment: Deployment) -> None:
    """A zombie: others have its partitions, and it writes what it still holds."""
    sending = asyncio.create_task(trickle(deployment, batches=40))
    zombie = deployment.start_worker(apply_seconds=0.02)
    await deployment.ready(zombie)
    heir = deployment.start_worker(apply_seconds=0.02)
    await deployment.ready(heir)
    for _ in range(CHAOS_ROUNDS):
        if zombie.ended:
            zombie = deployment.start_worker(apply_seconds=0.02)
            await deployment.ready(zombie)
        zombie.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2.0 * deployment.settings.worker.session_timeout_seconds)
        zombie.process.send_signal(signal.SIGCONT)
        await asyncio.sleep(1.0)
        heir, zombie = zombie, heir
    await sending
    await deployment.all_is_committed()
    for worker in (zombie, heir):
        worker.terminate()
        await worker.exit_code()
    await deployment.check()


async def trickle(deployment: Deployment, *, batches: int) -> None:
    for number in range(batches):
        await deployment.send(some_facts(300, seed=100 + number))
        await asyncio.sleep(0.3)


async def finish_and_check(deployment: Deployment) -> None:
    worker = deployment.start_worker()
    await deployment.ready(worker)
    await deployment.all_is_committed()
    worker.terminate()
    assert await worker.exit_code() == 0
    await deployment.check()
