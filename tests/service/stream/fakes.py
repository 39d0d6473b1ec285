"""A producer and a store that do what a test says, and an engine whose state shows every lost or repeated record."""

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from aiokafka.errors import KafkaTimeoutError

from connectors.facts import Fact, decode_fact, encode, key_of
from service.core.alerts import Alert, AlertEvent, AlertKind
from service.core.episodes import alert_id
from service.core.notes import Note
from service.core.rejects import Rejected, RejectReason
from service.core.spend import SpendStatement
from service.core.stats import EngineStats
from service.stream.batch import Record
from service.stream.fetching import Run
from tests.builders import event_of, make_alert

ALARMING = 1000.0
"""Facts above it raise an alert."""
_PARTITION_KEY = b"~partition"


class Sum(msgspec.Struct, array_like=True):
    """State of one series. hash: of all values in their order."""

    offset: int
    count: int
    hash: int
    total: float


@dataclass(frozen=True)
class FakeRecord:
    offset: int
    key: bytes | None = b"k"
    value: bytes | None = b"v"
    timestamp: int = 0


@dataclass(frozen=True)
class FakeRecordBatch:
    records: Sequence[FakeRecord]

    def __iter__(self) -> Iterator[FakeRecord]:
        return iter(self.records)

    @property
    def base_offset(self) -> int:
        return self.records[0].offset

    @property
    def next_offset(self) -> int:
        return self.records[-1].offset + 1

    @property
    def max_timestamp(self) -> int:
        return max(record.timestamp for record in self.records)


def run_of(*records: FakeRecord) -> Run:
    return Run([FakeRecordBatch(records)])


def fact_record(offset: int, value: float, team: str = "search") -> FakeRecord:
    fact = Fact(
        series=f"default/effective_cost/USD/1d/tag:team={team}",
        charge_period_start="2024-09-18T00:00:00Z",
        value=value,
        origin="test:1",
    )
    return FakeRecord(offset=offset, key=key_of(fact), value=encode(fact))


class SummingEngine:
    """The interface of the real one; adds up the values of each series, in order.

    An alert carries the count so far: wrong state makes a wrong one.
    """

    def __init__(self, apply_seconds: float = 0.0) -> None:
        """apply_seconds: how long each batch keeps the loop busy, so that work does not end too soon to be killed."""
        self._apply_seconds = apply_seconds
        self.series: dict[bytes, Sum] = {}
        self.records = 0
        self.offset = -1
        self.stats = EngineStats()
        self._dirty: set[bytes] = set()
        self._alerts: list[Alert] = []
        self._rejects: list[Rejected] = []

    def __len__(self) -> int:
        return len(self.series)

    def restore(self, key: bytes, snapshot: bytes) -> None:
        if key == _PARTITION_KEY:
            offset, records = msgspec.msgpack.decode(snapshot, type=tuple[int, int])
            if offset > self.offset:
                self.offset, self.records = offset, records
            return
        state = msgspec.msgpack.decode(snapshot, type=Sum)
        if key not in self.series or self.series[key].offset < state.offset:
            self.series[key] = state

    def apply(self, records: Iterable[Record]) -> None:
        time.sleep(self._apply_seconds)
        for record in records:
            if record.offset > self.offset:
                self.offset = record.offset
                self.records += 1
            self._apply(record)

    def _apply(self, record: Record) -> None:
        key = record.key or b""
        try:
            fact = decode_fact(record.value or b"")
        except msgspec.DecodeError as error:
            self._rejects.append(
                Rejected(
                    offset=record.offset,
                    key=record.key,
                    value=record.value,
                    timestamp=record.timestamp,
                    reason=RejectReason.UNDECODABLE,
                    field=None,
                    message=str(error),
                )
            )
            return
        state = self.series.get(key) or self.series.setdefault(key, Sum(-1, 0, 0, 0.0))
        if record.offset <= state.offset:
            self.stats.skipped += 1
            return
        state.offset = record.offset
        state.count += 1
        state.total += fact.value
        state.hash = (state.hash * 1_000_003 + int(fact.value * 1000)) % (2**61 - 1)
        self._dirty.add(key)
        if fact.value > ALARMING:
            number = alert_id(fact.series, AlertKind.SPIKE, state.count)
            self._alerts.append(make_alert(number, actual=fact.value, buckets=state.count))

    def take_alerts(self) -> list[Alert]:
        taken, self._alerts = self._alerts, []
        return taken

    def take_notes(self) -> list[Note]:
        return []

    def take_spend(self) -> list[SpendStatement]:
        return []

    def take_rejects(self) -> list[Rejected]:
        taken, self._rejects = self._rejects, []
        return taken

    def advance(self, limit: int) -> int:
        return 0

    def freeze(self, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        chosen = sorted(self._dirty)[:limit]
        self._dirty -= set(chosen)
        frozen = [(key, msgspec.msgpack.encode(self.series[key])) for key in chosen]
        if not self._dirty:
            frozen.append((_PARTITION_KEY, msgspec.msgpack.encode((self.offset, self.records))))
        return frozen


class FakeBatch:
    def __init__(self) -> None:
        self.entries: list[tuple[bytes, bytes]] = []

    def append(self, *, key: bytes, value: bytes, timestamp: None) -> object | None:
        if len(self.entries) == 3:
            return None
        self.entries.append((key, value))
        return object()


class FakeProducer:
    """Acknowledges when told to; remembers what was handed over, in order."""

    def __init__(self, *, failing: str | None = None, acknowledging: bool = True) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.failing = failing
        self.acknowledging = acknowledging
        self.waiting: list[asyncio.Future[object]] = []

    def create_batch(self) -> FakeBatch:
        return FakeBatch()

    async def send(self, topic: str, value: bytes, *, key: bytes, headers: object = None) -> "asyncio.Future[object]":
        return self._sent(topic, [(key, value)])

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> "asyncio.Future[object]":
        return self._sent(topic, batch.entries)

    def _sent(self, topic: str, entries: Sequence[tuple[bytes, bytes]]) -> "asyncio.Future[object]":
        self.sent += [(topic, key) for key, _ in entries]
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if topic == self.failing:
            future.set_exception(KafkaTimeoutError())
        elif self.acknowledging:
            future.set_result(None)
        else:
            self.waiting.append(future)
        return future

    def acknowledge(self) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_result(None)

    @property
    def topics(self) -> list[str]:
        return [topic for topic, _ in self.sent]


class ListStore:
    """Raises the given errors first, and one of its own for as long as any of *refused* is among the alerts."""

    def __init__(self, *errors: Exception, refused: Collection[str] = ()) -> None:
        self.errors = list(errors)
        self.refused = set(refused)
        self.alerts: list[Alert] = []
        self.asked = asyncio.Event()

    async def record(self, alerts: Sequence[Alert]) -> list[AlertEvent]:
        self.asked.set()
        if self.errors:
            raise self.errors.pop(0)
        if culprits := self.refused.intersection(alert.id for alert in alerts):
            raise ValueError(f"refused because of {sorted(culprits)}")
        self.alerts += alerts
        return [event_of(alert, seq=seq) for seq, alert in enumerate(alerts, start=1)]
