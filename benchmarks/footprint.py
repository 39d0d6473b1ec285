"""What series cost: memory while they live, and time to have them back after a restart."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deployment import Deployment
from benchmarks.throughput import new_group
from benchmarks.topics import Committed, begin_after_padding, fill, put_back
from benchmarks.usage import Usage
from benchmarks.workload import Workload, facts, states
from realservices.process import say

_PATIENCE_SECONDS = 900.0
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """A worker whose series have full rings of ninety days.

    state_bytes: snapshots on the topic. load_seconds: from the assignment until all are loaded. ready_seconds: from
    the start of the process. empty, loaded, live: without a series, after loading, and after each series has had one
    more fact and a checkpoint has written all of them.
    """

    series: int
    state_bytes: int
    load_seconds: float
    ready_seconds: float
    empty: Usage
    loaded: Usage
    live: Usage

    @property
    def bytes_per_series(self) -> float:
        """Resident memory of the whole worker, with what a checkpoint of all series left behind."""
        return (self.live.rss_mb - self.empty.rss_mb) * 1024 * 1024 / self.series

    @property
    def loaded_bytes_per_series(self) -> float:
        """The same before the first fact: the state alone."""
        return (self.loaded.rss_mb - self.empty.rss_mb) * 1024 * 1024 / self.series


async def measure(servers: str, *, series: int, partitions: int) -> Footprint:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        with tempfile.TemporaryDirectory(prefix="spendwatch-bench-") as folder:
            empty = await _empty(_deployment(servers, "footprint-0", Path(folder) / "empty", partitions))
            deployment = _deployment(servers, f"footprint-{series}", Path(folder) / "full", partitions)
            kafka = deployment.settings.kafka
            await fill(kafka, ())
            say(f"writing the state of {series} series")
            state_bytes = await put_back(kafka, states(series))
            await begin_after_padding(kafka, kafka.group)
            async with Committed(kafka) as committed, deployment.worker() as worker:
                begun = worker.usage()
                await worker.ready()
                loaded = worker.usage()
                found = await worker.metrics()
                assert found["spendwatch_snapshots_loaded_total"] >= series, found["spendwatch_snapshots_loaded_total"]
                await fill(kafka, facts(Workload(facts=series, series=series)))
                await _all_committed(committed, series)
                live = worker.usage()
    return Footprint(
        series=series,
        state_bytes=state_bytes,
        load_seconds=found["spendwatch_snapshot_load_seconds_sum"],
        ready_seconds=loaded.at - begun.at,
        empty=empty,
        loaded=loaded,
        live=live,
    )


def _deployment(servers: str, prefix: str, folder: Path, partitions: int) -> Deployment:
    return Deployment(servers=servers, prefix=prefix, group=new_group(), folder=folder, partitions=partitions)


async def _empty(deployment: Deployment) -> Usage:
    async with deployment.worker() as worker:
        await worker.ready()
        return worker.usage()


async def _all_committed(committed: Committed, count: int) -> None:
    """fill writes padding again: a few facts more than are waited for."""
    while await committed.total() < count:  # noqa: ASYNC110 - the broker tells nobody
        await asyncio.sleep(_LOOK_SECONDS)
