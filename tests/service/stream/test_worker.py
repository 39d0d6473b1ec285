import asyncio
import socket

import pytest
from aiokafka.errors import KafkaTimeoutError
from prometheus_client import CollectorRegistry

from service.settings import Settings
from service.stream.batch import TopicPartition
from service.stream.dead_letters import DeadLetterLimitError
from service.stream.snapshots import StateLostError
from service.stream.topics import KafkaNotConfiguredError
from service.stream.watchdog import StuckError
from service.stream.worker import StreamWorker, exit_code
from tests.service.stream.fakes import ListStore, SummingEngine
from tests.waiting import until

TP = TopicPartition("spendwatch.facts", 0)


async def nobody(_events: object) -> None:
    return None


def make_worker(servers: str | None) -> StreamWorker:
    return StreamWorker(
        Settings.model_validate({"kafka": {"bootstrap_servers": servers}}),
        engines=lambda _partition: SummingEngine(),
        detectors=("rolling",),
        store=ListStore(),
        announce=nobody,
        registry=CollectorRegistry(),
    )


def test_worker_without_kafka_names_the_setting() -> None:
    with pytest.raises(KafkaNotConfiguredError, match=r"set kafka\.bootstrap_servers"):
        make_worker(None)


async def test_broker_that_is_away_is_waited_for_and_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        worker, stop = make_worker(address), asyncio.Event()
        running = asyncio.create_task(worker.run(stop))
        await until(lambda: "answers at" in str(worker.ready()["kafka"]))
        assert f"no Kafka broker answers at {address}" in str(worker.ready()["kafka"])
        stop.set()
        assert await running == 0


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (StuckError("stuck"), 75),
        (KafkaTimeoutError(), 75),
        (ConnectionResetError(), 75),
        (StateLostError(TP, 5, None), 2),
        (DeadLetterLimitError(TP, 5, "all is unreadable"), 70),
        (TypeError("a fault of ours"), 70),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_exit_code_says_who_has_to_act(failure: Exception, code: int) -> None:
    assert exit_code(failure) == code
