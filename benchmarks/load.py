"""A steady load of facts, from a process of its own: `python -m benchmarks.load ORDER`.

All messages are built first, so that sending them takes next to nothing from the two cores that everything shares;
then `ready` is printed, and each hundredth of a second gets its share, however slow the broker is (open loop).
"""

import asyncio
import sys

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner
from msgspec import Struct

from benchmarks.workload import Workload, facts
from connectors.facts import encode, key_of

_TICK_SECONDS = 0.01


class Load(Struct, frozen=True, kw_only=True):
    """rate: facts per second."""

    servers: str
    topic: str
    partitions: int
    series: int
    rate: int
    seconds: float


async def main() -> None:
    load = msgspec.json.decode(sys.argv[1], type=Load)
    producer = AIOKafkaProducer(bootstrap_servers=load.servers, max_batch_size=1024 * 1024)
    await producer.start()
    ticks = _built(producer, load)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    loop = asyncio.get_running_loop()
    due = loop.time()
    for batches in ticks:
        await asyncio.sleep(max(0.0, due - loop.time()))
        due += _TICK_SECONDS
        for partition, batch in enumerate(batches):
            await producer.send_batch(batch, load.topic, partition=partition)
    await producer.flush()
    print("sent", flush=True)
    await producer.stop()


def _built(producer: AIOKafkaProducer, load: Load) -> list[list[object]]:
    """One list of batches a tick, one batch a partition."""
    partition_of, numbers = DefaultPartitioner(), list(range(load.partitions))
    of_series: dict[bytes, int] = {}
    ticks: list[list[object]] = []
    per_tick = max(1, round(load.rate * _TICK_SECONDS))
    source = facts(Workload(facts=round(load.rate * load.seconds), series=load.series))
    while True:
        batches = [producer.create_batch() for _ in numbers]
        count = 0
        for fact in source:
            key = key_of(fact)
            partition = of_series.get(key)
            if partition is None:
                partition = of_series[key] = partition_of(key, numbers, numbers)
            if batches[partition].append(key=key, value=encode(fact), timestamp=None) is None:
                raise ValueError(f"{per_tick} facts a tick do not fit into a batch a partition")
            count += 1
            if count == per_tick:
                break
        if not count:
            return ticks
        ticks.append(batches)


if __name__ == "__main__":
    asyncio.run(main())
