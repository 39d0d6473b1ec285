"""The clock of the dispatch: it goes on whatever the store and the live stream do."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from service.core.alerts import AlertEvent, EventType
from service.delivery.dispatcher import Dispatcher
from service.delivery.metrics import DispatchMetrics
from service.errors import UnavailableError
from tests.builders import make_event
from tests.clock import NOON, FakeClock


class Rounds:
    """Answers each round with the next of *answers*, then asks to stop."""

    def __init__(self, *answers: Sequence[AlertEvent] | Exception) -> None:
        self._answers = list(answers)
        self.lag = timedelta(seconds=3)
        self.stop = asyncio.Event()
        self.asked: list[datetime] = []

    async def run(self, now: datetime) -> list[AlertEvent]:
        self.asked.append(now)
        answer = self._answers.pop(0)
        if not self._answers:
            self.stop.set()
        if isinstance(answer, Exception):
            raise answer
        return list(answer)


async def dispatch(rounds: Rounds, registry: CollectorRegistry, *, deaf: bool = False) -> list[AlertEvent]:
    heard: list[AlertEvent] = []

    async def announce(events: Sequence[AlertEvent]) -> None:
        if deaf:
            raise OSError("nobody there")
        heard.extend(events)

    metrics = DispatchMetrics(registry)
    await Dispatcher(rounds, announce, metrics, FakeClock(), poll_seconds=0.001).run(rounds.stop)
    return heard


async def test_what_is_decided_is_announced_and_counted() -> None:
    registry = CollectorRegistry()
    rounds = Rounds([], [make_event(), make_event(EventType.INHIBITED)], [])
    assert [event.type for event in await dispatch(rounds, registry)] == [EventType.OPENED, EventType.INHIBITED]
    assert rounds.asked == [NOON] * 3
    name = "spendwatch_alerts_dispatched_total"
    assert registry.get_sample_value(name, {"decision": "told"}) == 1
    assert registry.get_sample_value(name, {"decision": "inhibited"}) == 1
    assert registry.get_sample_value(name, {"decision": "held_back"}) == 0
    assert registry.get_sample_value("spendwatch_dispatch_lag_seconds") == 3


@pytest.mark.parametrize("error", [UnavailableError("away"), KeyError("a fault of ours")], ids=["away", "fault"])
async def test_what_fails_is_tried_again(error: Exception) -> None:
    rounds = Rounds(error, [make_event()], [])
    assert len(await dispatch(rounds, CollectorRegistry())) == 1


async def test_it_goes_on_when_nobody_can_be_told_live() -> None:
    rounds = Rounds([make_event()], [make_event()], [])
    assert await dispatch(rounds, CollectorRegistry(), deaf=True) == []
    assert len(rounds.asked) == 3
