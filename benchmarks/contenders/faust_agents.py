"""Faust as its documentation shows it: raw bytes, a dictionary for the series, the library's own acks and commits."""

from collections.abc import AsyncIterator, Callable, Coroutine

import faust

from benchmarks.contenders.contender import Order, Stopwatch, read_order
from benchmarks.contenders.scoring import Scorer

Agent = Callable[["faust.Stream[bytes]"], Coroutine[None, None, None]]


def naive(watch: Stopwatch, scorer: Scorer) -> Agent:
    """One event at a time."""

    async def each(stream: "faust.Stream[bytes]") -> None:
        async for event in stream.events():
            watch.begin()
            scorer.score(event.message.key, event.value)
            watch.done(1, scorer.alarms)

    return each


def take(watch: Stopwatch, scorer: Scorer) -> Agent:
    """`Stream.take`, Faust's own way to batches."""

    async def batches(stream: "faust.Stream[bytes]") -> None:
        taken: AsyncIterator[list[faust.EventT]] = stream.take_events(1000, within=1.0)
        async for events in taken:
            watch.begin()
            for event in events:
                scorer.score(event.message.key, event.value)
            watch.done(len(events), scorer.alarms)

    return batches


def run(make: Callable[[Stopwatch, Scorer], Agent]) -> None:
    order: Order = read_order()
    app = faust.App(
        order.group,
        broker=f"kafka://{order.servers}",
        store="memory://",
        value_serializer="raw",
        key_serializer="raw",
        topic_partitions=order.partitions,
        web_enabled=False,
        datadir=order.folder,
    )
    topic = app.topic(order.topic, key_type=bytes, value_type=bytes)
    app.agent(topic, name="score")(make(Stopwatch(order), Scorer()))
    faust.Worker(app, loglevel="warning", quiet=True).execute_from_commandline()
