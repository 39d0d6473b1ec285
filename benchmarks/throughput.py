"""Facts per second: one process reads a filled topic from the first measured fact to the last."""

import asyncio
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.child import ChildError, running, stopped
from benchmarks.contenders.contender import Order, Report
from benchmarks.deployment import Deployment, Role
from benchmarks.topics import Committed, begin_after_padding, put_back
from benchmarks.usage import Usage
from benchmarks.workload import PADDING, states

PATIENCE_SECONDS = 600.0
_SLOWEST_LOOK_SECONDS = 0.5
_FASTEST_LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A filled facts topic. facts: how many it holds, over all partitions."""

    servers: str
    prefix: str
    partitions: int
    facts: int
    series: int

    def deployment(self, folder: Path) -> Deployment:
        return Deployment(
            servers=self.servers, prefix=self.prefix, group=new_group(), folder=folder, partitions=self.partitions
        )


async def run_contender(name: str, topic: Topic, count: int) -> Report:
    """One round of a contender in benchmarks/contenders. Raises ChildError."""
    with tempfile.TemporaryDirectory(prefix="spendwatch-bench-") as folder:
        deployment = topic.deployment(Path(folder))
        await begin_after_padding(deployment.settings.kafka, deployment.group)
        state, written = Path(folder) / "state", Path(folder) / "report.json"
        state.mkdir()
        order = Order(
            servers=topic.servers,
            topic=f"{topic.prefix}.facts",
            group=deployment.group,
            partitions=topic.partitions,
            start=PADDING,
            count=min(count, topic.facts),
            folder=str(state),
            report=str(written),
        )
        module, argument = f"benchmarks.contenders.{name}", msgspec.json.encode(order).decode()
        async with running(module, argument, log=deployment.log) as process:
            try:
                await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
            except TimeoutError:
                raise ChildError(name, f"did not end within {PATIENCE_SECONDS:g} s", deployment.log) from None
        if not written.exists():
            raise ChildError(name, f"ended with {process.returncode} and no report", deployment.log)
        return msgspec.json.decode(written.read_bytes(), type=Report)


async def run_spendwatch(topic: Topic) -> Report:
    """One round of ours: `spendwatch worker` with its defaults and the state of ninety days.

    Nothing is built into the worker for this: its own metrics say when it begins, the broker says when the last
    offset is committed. It is asked to end as soon as it has applied the last fact, so that it commits at once
    instead of waiting for its timer. Raises ChildError.
    """
    with tempfile.TemporaryDirectory(prefix="spendwatch-bench-") as folder:
        deployment = topic.deployment(Path(folder))
        kafka = deployment.settings.kafka
        await put_back(kafka, states(topic.series))
        await begin_after_padding(kafka, deployment.group)
        async with asyncio.timeout(PATIENCE_SECONDS), Committed(kafka) as committed, deployment.worker() as worker:
            before, begun = await _consumed(worker, at_least=1)
            await _consumed(worker, at_least=topic.facts, since=(before, begun))
            stopping = asyncio.create_task(stopped("worker", worker.process, worker.log))
            while await committed.total() < topic.facts:
                ended = worker.usage()
                await asyncio.sleep(_FASTEST_LOOK_SECONDS)
            await stopping
        return Report(
            facts=topic.facts - before,
            seconds=ended.at - begun.at,
            cpu_seconds=ended.cpu_seconds - begun.cpu_seconds,
            peak_rss_mb=ended.peak_rss_mb,
            alarms=_alerts(deployment.database),
        )


async def run_two_workers(topic: Topic) -> Report:
    """Two of ours share the partitions: from when both work until the last offset is committed. Raises ChildError.

    What the first does before the second has joined is not counted. How much faster they are than one is bounded by
    the cores that the broker leaves them.
    """
    with tempfile.TemporaryDirectory(prefix="spendwatch-bench-") as folder:
        deployment = topic.deployment(Path(folder) / "1")
        second = Deployment(
            servers=topic.servers,
            prefix=topic.prefix,
            group=deployment.group,
            folder=Path(folder) / "2",
            partitions=topic.partitions,
        )
        kafka = deployment.settings.kafka
        await put_back(kafka, states(topic.series))
        await begin_after_padding(kafka, deployment.group)
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            Committed(kafka) as committed,
            deployment.worker() as one,
            second.worker() as other,
        ):
            await asyncio.gather(_shares(one, topic.partitions), _shares(other, topic.partitions))
            begun, before = (one.usage(), other.usage()), await committed.total()
            while (done := await committed.total()) < topic.facts:
                ended = one.usage(), other.usage()
                await asyncio.sleep(_FASTEST_LOOK_SECONDS)
            await asyncio.gather(*(stopped("worker", role.process, role.log) for role in (one, other)))
        return Report(
            facts=done - before,
            seconds=ended[0].at - begun[0].at,
            cpu_seconds=sum(after.cpu_seconds - first.cpu_seconds for first, after in zip(begun, ended, strict=True)),
            peak_rss_mb=max(usage.peak_rss_mb for usage in ended),
        )


async def _shares(worker: Role, partitions: int) -> None:
    """Wait until it has facts, and some of the partitions only."""
    while True:
        found = await worker.metrics()
        # Each partition counts twice: of the facts and of the alerts.
        if found.get("spendwatch_facts_consumed_total") and found["spendwatch_partitions_assigned"] < 2 * partitions:
            return
        await asyncio.sleep(_FASTEST_LOOK_SECONDS)


async def _consumed(worker: Role, *, at_least: int, since: tuple[int, Usage] | None = None) -> tuple[int, Usage]:
    """Facts consumed so far, with what that took, once there are so many.

    since: an earlier answer; spares the worker from being asked more often than needed.
    """
    while True:
        count = int((await worker.metrics()).get("spendwatch_facts_consumed_total", 0))
        usage = worker.usage()
        if count >= at_least:
            return count, usage
        wait = _SLOWEST_LOOK_SECONDS
        if since is not None and count > since[0]:
            rate = (count - since[0]) / (usage.at - since[1].at)
            wait = min(wait, (at_least - count) / rate / 2)
        await asyncio.sleep(max(wait if since else 0.05, _FASTEST_LOOK_SECONDS))


def _alerts(database: Path) -> int:
    import sqlite3

    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return int(connection.execute("SELECT count(*) FROM alerts").fetchone()[0])


def new_group() -> str:
    return f"bench-{uuid.uuid4().hex[:8]}"
