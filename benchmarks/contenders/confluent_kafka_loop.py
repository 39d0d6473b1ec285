"""A bare loop over confluent-kafka (librdkafka): decode and score. No durable state, offsets committed by timer."""

from confluent_kafka import Consumer

from benchmarks.contenders.contender import Stopwatch, read_order
from benchmarks.contenders.scoring import Scorer


def main() -> None:
    order = read_order()
    watch, scorer = Stopwatch(order), Scorer()
    consumer = Consumer({"bootstrap.servers": order.servers, "group.id": order.group})
    consumer.subscribe([order.topic])
    while True:
        messages = consumer.consume(num_messages=1000, timeout=1.0)
        if not messages:
            continue
        watch.begin()
        for message in messages:
            if (error := message.error()) is not None:
                raise RuntimeError(str(error))
            scorer.score(message.key(), message.value())
        watch.done(len(messages), scorer.alarms)


if __name__ == "__main__":
    main()
