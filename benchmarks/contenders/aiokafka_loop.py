"""A bare loop over aiokafka: decode and score. No durable state, no alerts, offsets committed by timer."""

import asyncio

from aiokafka import AIOKafkaConsumer

from benchmarks.contenders.contender import Stopwatch, read_order
from benchmarks.contenders.scoring import Scorer


async def main() -> None:
    order = read_order()
    watch, scorer = Stopwatch(order), Scorer()
    consumer = AIOKafkaConsumer(order.topic, bootstrap_servers=order.servers, group_id=order.group)
    await consumer.start()
    score = scorer.score
    while True:
        for records in (await consumer.getmany(timeout_ms=1000, max_records=2000)).values():
            watch.begin()
            for record in records:
                score(record.key, record.value)
            watch.done(len(records), scorer.alarms)


if __name__ == "__main__":
    asyncio.run(main())
