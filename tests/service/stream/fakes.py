"""A tiny engine with the interface of the real one, whose state shows every lost, repeated or reordered record."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from connectors.facts import Basis, Fact, decode_fact, encode, key_of
from service.core.alerts import Alert, AlertKind, AlertStatus, Severity
from service.core.rejects import Rejected, RejectReason
from service.core.stats import EngineStats
from service.stream.batch import Record

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


def fact_record(offset: int, value: float, team: str = "search") -> FakeRecord:
    fact = Fact(
        series=f"default/effective_cost/USD/1d/tag:team={team}",
        charge_period_start="2024-09-18T00:00:00Z",
        value=value,
        origin="test:1",
    )
    return FakeRecord(offset=offset, key=key_of(fact), value=encode(fact))


class SummingEngine:
    """Adds up the values of each series, in order. An alert carries the count so far: wrong state makes a wrong one."""

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

    def apply(self, records: Sequence[Record]) -> None:
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
                    value=record.value or b"",
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
            self._alerts.append(make_alert(f"{fact.series}-{state.count}", count=state.count, value=fact.value))

    def take_alerts(self) -> list[Alert]:
        taken, self._alerts = self._alerts, []
        return taken

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


def make_alert(alert_id: str, *, count: int = 1, value: float = 2000.0, version: int = 1) -> Alert:
    start = datetime(2024, 9, 18, tzinfo=UTC)
    return Alert(
        id=alert_id,
        version=version,
        status=AlertStatus.FIRING,
        kind=AlertKind.SPIKE,
        severity=Severity.HIGH,
        tenant="default",
        series="default/effective_cost/USD/1d/tag:team=search",
        labels={"team": "search"},
        metric="effective_cost",
        unit="USD",
        grain="1d",
        basis=Basis.BILLED,
        detector="rolling",
        starts_at=start,
        ends_at=None,
        judged_at=start,
        actual=value,
        expected=100.0,
        lower=50.0,
        upper=150.0,
        score=0.9,
        impact=value - 100.0,
        buckets=count,
        drivers=(),
        reason="team=search cost more than expected",
        action="Look at it.",
    )
