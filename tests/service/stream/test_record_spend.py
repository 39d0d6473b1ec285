"""The agent on the spend topic, and the way there: nothing is lost, and what is no statement is put aside."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from service.core.spend import SpendStatement
from service.settings import Kafka
from service.stream import record_spend as module
from service.stream.batch import Batch, TopicPartition
from service.stream.metrics import StreamMetrics
from service.stream.outgoing import Outgoing
from service.stream.record_spend import RecordSpend, statement_of
from service.stream.topics import Topics
from tests.service.digests.builders import make_statement
from tests.service.stream.fakes import FakeProducer, FakeRecord, run_of

TOPICS = Topics.of(Kafka())
TP = TopicPartition(TOPICS.spend, 0)


class Ledger:
    """A store that fails with *errors* first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.statements: list[SpendStatement] = []
        self.asked = asyncio.Event()

    async def record_spend(self, statements: Sequence[SpendStatement]) -> None:
        self.asked.set()
        if self.errors:
            raise self.errors.pop(0)
        self.statements += statements


class Desk:
    def __init__(self, store: Ledger) -> None:
        self.registry = CollectorRegistry()
        self.producer = FakeProducer()
        self.outgoing = Outgoing(self.producer, TOPICS)
        self.record = RecordSpend(store, self.outgoing, StreamMetrics(self.registry, detectors=()))


def batch_of(*values: bytes) -> Batch:
    return Batch(TP, run_of(*(FakeRecord(offset, value=value) for offset, value in enumerate(values))), 1)


async def stream(*batches: Batch) -> AsyncIterator[Batch]:
    for batch in batches:
        yield batch


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES_SECONDS", (0.01,))


async def test_statements_are_sent_under_their_bucket_and_stored() -> None:
    desk = Desk(store := Ledger())
    statements = [make_statement(20, 1.5), make_statement(21, 2.5)]
    desk.outgoing.add_spend(statements)
    await desk.outgoing.flush()
    assert desk.producer.sent == [(TOPICS.spend, one.key.encode()) for one in statements]
    assert statements[0].key == "default/effective_cost/USD/1d/tag:team=search@1795132800"
    await desk.record.run(stream(batch := batch_of(*map(msgspec.json.encode, statements))))
    assert store.statements == statements
    assert batch.finished
    assert desk.registry.get_sample_value("spendwatch_spend_recorded_total") == 2


async def test_a_store_that_comes_back_gets_the_same_statements() -> None:
    desk = Desk(store := Ledger(OSError("away"), RuntimeError("odd")))
    await desk.record.run(stream(batch := batch_of(msgspec.json.encode(make_statement(20, 1.5)))))
    assert store.statements == [make_statement(20, 1.5)]
    assert (batch.finished, desk.record.store_away) == (True, None)
    assert desk.registry.get_sample_value("spendwatch_store_failures_total") == 2


async def test_a_batch_stays_unfinished_when_it_has_to_be_given_up() -> None:
    desk = Desk(store := Ledger(*[OSError("away")] * 1_000))
    running = asyncio.create_task(
        desk.record.run(stream(batch := batch_of(msgspec.json.encode(make_statement(20, 1)))))
    )
    await store.asked.wait()
    desk.record.give_up()
    await running
    assert not batch.finished
    assert desk.record.store_away == "spend cannot be stored: OSError"


async def test_what_is_no_statement_is_put_aside_and_the_others_are_stored() -> None:
    desk = Desk(store := Ledger())
    await desk.record.run(stream(batch := batch_of(b"{}", msgspec.json.encode(make_statement(20, 1.5)), b"\xff")))
    await desk.outgoing.flush()
    assert len(store.statements) == 1
    assert desk.producer.sent == [
        (TOPICS.dead_letters, b"spendwatch.spend/0/0"),
        (TOPICS.dead_letters, b"spendwatch.spend/0/2"),
    ]
    assert batch.finished


@pytest.mark.parametrize(
    ("found", "instead", "says"),
    [
        ('"default/', '"', "series: expected tenant/metric/unit/grain/dimension=value"),
        ("=search", "=" + "a" * 600, "series: a series key has at most 512 characters"),
        ("1.5", "1e300", "amount: expected an amount within"),
        ('"offset":1', f'"offset":{2**70}', "offset"),
        ('"offset":1', '"offset":-2', "offset: expected whole numbers from 0"),
        ("00:00Z", "00:00", "start: expected a time with its zone"),
        ("2026-", "0001-", "start: expected a time"),
        ("billed", "guessed", "Invalid enum value 'guessed'"),
    ],
)
def test_what_no_store_could_hold_is_refused_with_its_place(found: str, instead: str, says: str) -> None:
    value = msgspec.json.encode(make_statement(20, 1.5)).decode()
    assert statement_of(value.encode())
    with pytest.raises(ValueError, match=says):
        statement_of(value.replace(found, instead, 1).encode())
