import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from service.announcing import Announce
from service.core.alerts import AlertEvent
from service.settings import Kafka
from service.stream import record as module
from service.stream.batch import Batch, TopicPartition
from service.stream.metrics import StreamMetrics
from service.stream.outgoing import Outgoing
from service.stream.record import Record
from service.stream.topics import Topics
from tests.builders import make_alert
from tests.service.stream.fakes import FakeProducer, FakeRecord, ListStore, run_of
from tests.waiting import until

TOPICS = Topics.of(Kafka())
TP = TopicPartition(TOPICS.alerts, 0)


def batch_of(*values: bytes) -> Batch:
    return Batch(TP, run_of(*(FakeRecord(offset, value=value) for offset, value in enumerate(values))), 1)


def encoded(alert_id: str) -> bytes:
    return msgspec.json.encode(make_alert(alert_id))


async def stream(*batches: Batch) -> AsyncIterator[Batch]:
    for batch in batches:
        yield batch


class Desk:
    def __init__(self, store: ListStore, announce: Announce | None = None) -> None:
        self.heard: list[AlertEvent] = []
        self.registry = CollectorRegistry()
        self.producer = FakeProducer()
        self.outgoing = Outgoing(self.producer, TOPICS)
        metrics = StreamMetrics(self.registry, detectors=())
        self.record = Record(store, announce or self.hear, self.outgoing, metrics)

    async def hear(self, events: Sequence[AlertEvent]) -> None:
        self.heard += events


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES_SECONDS", (0.01,))


async def test_alerts_are_stored_announced_and_finished() -> None:
    desk = Desk(store := ListStore())
    await desk.record.run(stream(batch := batch_of(encoded("a"), encoded("b"))))
    assert [alert.id for alert in store.alerts] == ["a", "b"]
    assert [event.seq for event in desk.heard] == [1, 2]
    assert batch.finished


async def test_store_that_comes_back_gets_the_same_alerts() -> None:
    desk = Desk(store := ListStore(OSError("away"), RuntimeError("odd")))
    await desk.record.run(stream(batch := batch_of(encoded("a"))))
    assert [alert.id for alert in store.alerts] == ["a"]
    assert batch.finished
    assert desk.record.store_away is None
    assert desk.registry.get_sample_value("spendwatch_store_failures_total") == 2


async def test_batch_stays_unfinished_when_it_has_to_be_given_up() -> None:
    desk = Desk(store := ListStore(*[OSError("away")] * 1_000))
    running = asyncio.create_task(desk.record.run(stream(batch := batch_of(encoded("a")))))
    await store.asked.wait()
    assert desk.record.store_away is None or "OSError" in desk.record.store_away
    desk.record.give_up()
    await running
    assert not batch.finished
    assert desk.record.store_away == "alerts cannot be stored: OSError"


async def test_unreadable_alert_is_put_aside_and_the_others_are_stored() -> None:
    desk = Desk(store := ListStore())
    await desk.record.run(stream(batch := batch_of(b"{}", encoded("b"), b"")))
    await desk.outgoing.flush()
    assert [alert.id for alert in store.alerts] == ["b"]
    assert desk.producer.sent == [
        (TOPICS.dead_letters, b"spendwatch.alerts/0/0"),
        (TOPICS.dead_letters, b"spendwatch.alerts/0/2"),
    ]
    assert batch.finished


async def test_announcement_that_fails_stops_nothing() -> None:
    async def fail(_events: Sequence[AlertEvent]) -> None:
        raise ConnectionError("redis is away")

    desk = Desk(ListStore(), fail)
    await desk.record.run(stream(first := batch_of(encoded("a")), second := batch_of(encoded("b"))))
    assert first.finished
    assert second.finished
    assert desk.registry.get_sample_value("spendwatch_announce_failures_total") == 2


async def test_alert_that_the_store_refuses_is_put_aside_and_the_rest_goes_on() -> None:
    desk = Desk(store := ListStore(refused=["c"]))
    await desk.record.run(stream(batch := batch_of(*map(encoded, "abcde"))))
    await desk.outgoing.flush()
    assert [alert.id for alert in store.alerts] == ["a", "b", "d", "e"]
    assert len(desk.heard) == 4
    assert desk.producer.sent == [(TOPICS.dead_letters, b"spendwatch.alerts/0/2")]
    assert desk.registry.get_sample_value("spendwatch_alerts_unreadable_total") == 1
    assert desk.record.store_away is None
    assert batch.finished


async def test_store_that_refuses_everything_is_waited_for() -> None:
    ids = [f"a{number}" for number in range(module._REFUSED_IN_A_ROW + 5)]
    desk = Desk(store := ListStore(refused=ids))
    running = asyncio.create_task(desk.record.run(stream(batch := batch_of(*map(encoded, ids)))))
    count = desk.registry.get_sample_value
    await until(lambda: count("spendwatch_alerts_unreadable_total") == module._REFUSED_IN_A_ROW, pause_seconds=0)
    async with asyncio.timeout(10):
        for _ in range(3):
            store.asked.clear()
            await store.asked.wait()
    assert desk.record.store_away == "alerts cannot be stored: ValueError"
    assert not batch.finished
    store.refused.clear()
    await running
    assert [alert.id for alert in store.alerts] == ids[module._REFUSED_IN_A_ROW :]
    assert desk.record.store_away is None
    assert batch.finished
