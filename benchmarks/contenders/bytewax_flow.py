"""A bytewax dataflow: Kafka in, keyed by series, `stateful_map`. One worker, no recovery store: nothing is durable."""

from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main

from benchmarks.contenders.contender import Stopwatch, read_order
from benchmarks.contenders.scoring import Series, decode_fact


class _Counting(StatelessSinkPartition[bool]):  # type: ignore[misc]  # bytewax publishes no types
    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch
        self._alarms = 0

    def write_batch(self, items: list[bool]) -> None:
        self._alarms += sum(items)
        self._watch.done(len(items), self._alarms)


class _Sink(DynamicSink[bool]):  # type: ignore[misc]  # bytewax publishes no types
    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch

    def build(self, _step: str, _worker: int, _workers: int) -> _Counting:
        return _Counting(self._watch)


def main() -> None:
    order = read_order()
    watch = Stopwatch(order)

    def decoded(message: Any) -> tuple[str, float]:
        watch.begin()
        fact = decode_fact(message.value)
        return fact.series, fact.value

    def scored(series: Series | None, value: float) -> tuple[Series, bool]:
        series = series or Series()
        return series, series.alarms(value)

    flow = Dataflow("scores")
    source: Any = KafkaSource([order.servers], [order.topic], starting_offset=order.start, batch_size=1000)
    messages = op.input("facts", flow, source)
    values = op.map("decode", messages, decoded)
    scores = op.stateful_map("score", values, scored)
    op.output("count", op.map("alarm", scores, lambda pair: pair[1]), _Sink(watch))
    cli_main(flow)


if __name__ == "__main__":
    main()
