"""quixstreams with its durable state: RocksDB and a changelog topic, at least once.

Its store keeps JSON, not objects: the same exponential mean and variance are kept as two numbers.
"""

from math import sqrt
from typing import Any

from quixstreams import Application
from quixstreams.models import TopicConfig

from benchmarks.contenders.contender import Stopwatch, read_order
from benchmarks.contenders.scoring import FADING, LIMIT, decode_fact


def main() -> None:
    order = read_order()
    watch = Stopwatch(order)
    alarms = 0

    def score(value: bytes, state: Any) -> None:
        nonlocal alarms
        watch.begin()
        cost = decode_fact(value).value
        mean, square = state.get("ew") or (cost, cost * cost)
        variance = square - mean * mean
        if variance > 0.0 and abs(cost - mean) / sqrt(variance) > LIMIT:
            alarms += 1
        state.set("ew", (mean + FADING * (cost - mean), square + FADING * (cost * cost - square)))
        watch.done(1, alarms)

    app = Application(
        broker_address=order.servers,
        consumer_group=order.group,
        auto_offset_reset="earliest",
        state_dir=order.folder,
        loglevel="WARNING",
    )
    config = TopicConfig(num_partitions=order.partitions, replication_factor=1)
    topic = app.topic(order.topic, value_deserializer="bytes", key_deserializer="bytes", config=config)
    frame = app.dataframe(topic)
    frame.update(score, stateful=True)
    app.run()


if __name__ == "__main__":
    main()
