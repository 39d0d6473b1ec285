"""Alerts, spend and dead letters on their way to Kafka.

They are taken in without waiting, sent soon, and waited for by the checkpoint.
"""

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec
from aiokafka import AIOKafkaProducer

from service.core.alerts import Alert
from service.core.spend import SpendStatement
from service.stream.dead_letters import DeadLetter
from service.stream.topics import Topics

_COALESCE_SECONDS = 0.05
_encoder = msgspec.json.Encoder()


class Outgoing:
    """The order of the messages of one key is kept, over all calls.

    Between a change of a series' state and `add_alerts` or `add_spend` there must be no `await`: a checkpoint in
    between would keep the state and lose the alert.
    """

    def __init__(self, producer: AIOKafkaProducer, topics: Topics) -> None:
        self._producer = producer
        self._topics = topics
        self._alerts: list[Alert] = []
        self._spend: list[SpendStatement] = []
        self._dead_letters: list[DeadLetter] = []
        self._sending = asyncio.Lock()
        self._waiting = asyncio.Event()

    def add_alerts(self, alerts: Sequence[Alert]) -> None:
        if alerts:
            self._alerts += alerts
            self._waiting.set()

    def add_spend(self, statements: Sequence[SpendStatement]) -> None:
        if statements:
            self._spend += statements
            self._waiting.set()

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        if letters:
            self._dead_letters += letters
            self._waiting.set()

    async def flush(self) -> None:
        """Returns when everything that was added before is acknowledged by the broker. Raises KafkaError.

        After a failure nothing is kept to be sent again: the process must end, and reads the facts again.
        """
        async with self._sending:  # so that what an earlier call took is acknowledged too
            self._waiting.clear()
            alerts, self._alerts = self._alerts, []
            spend, self._spend = self._spend, []
            letters, self._dead_letters = self._dead_letters, []
            send, topics = self._producer.send, self._topics
            sent = [await send(topics.alerts, _encoder.encode(alert), key=alert.id.encode()) for alert in alerts]
            sent += [await send(topics.spend, _encoder.encode(one), key=one.key.encode()) for one in spend]
            sent += [await send(topics.dead_letters, one.value, key=one.key, headers=one.headers) for one in letters]
            await _all_of(sent)

    async def keep_flushing(self) -> None:
        """Send what was added within moments, long before the next checkpoint. Runs until it is cancelled."""
        while True:
            await self._waiting.wait()
            await asyncio.sleep(_COALESCE_SECONDS)
            # A cancelled flush would have taken messages that nobody waits for.
            await asyncio.shield(self.flush())


async def _all_of(futures: "Sequence[asyncio.Future[object]]") -> None:
    """Raises the first failure, when all are done: a failed one that nobody looks at is reported by asyncio."""
    results = await asyncio.gather(*futures, return_exceptions=True)
    with contextlib.suppress(StopIteration):
        raise next(result for result in results if isinstance(result, BaseException))
