"""What the tests of the core share: records, and a small detector whose judgement can be worked out by hand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import msgspec

from connectors.facts import Basis, Driver, Fact, Fold, Watermark, encode, format_instant, key_of
from detectors.detector import Detector, StateError
from detectors.verdict import Band, Status, Verdict
from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.engine import Engine
from service.core.policies import Factory, PolicyBook
from service.settings import Policy

FIRST_DAY = datetime(2024, 9, 2, tzinfo=UTC)
"""A Monday."""
SEARCH = "default/effective_cost/USD/1d/tag:team=search"
ADS = "default/effective_cost/USD/1d/tag:team=ads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0


class Trailing:
    """Expects the mean of the last seven buckets, give or take half of it; warms up for three.

    What it expects depends on the order it learned in, so that a ring folded wrongly shows.
    """

    name: ClassVar[str] = "trailing"
    state_version: ClassVar[int] = 1
    _WINDOW = 7
    _WARM_UP = 3

    def __init__(self) -> None:
        self._values: list[float] = []

    def band_at(self, at: int) -> Band | None:
        if len(self._values) < self._WARM_UP:
            return None
        expected = sum(self._values) / len(self._values)
        half = max(abs(expected) / 2, 1.0)
        return Band(expected=expected, lower=expected - half, upper=expected + half)

    def score_one(self, value: float, at: int) -> Verdict:
        band = self.band_at(at)
        if band is None:
            return Verdict(status=Status.WARMING_UP, score=0.0, actual=value, band=None)
        distance = abs(value - band.expected) / (band.upper - band.expected)
        status = Status.NORMAL if distance <= 1 else Status.HIGH if value > band.expected else Status.LOW
        return Verdict(status=status, score=distance / (distance + 1), actual=value, band=band)

    def learn_one(self, value: float, at: int) -> None:
        self._values = [*self._values, value][-self._WINDOW :]

    def accept_level(self, recent: Sequence[tuple[float, int]]) -> None:
        self._values = [value for value, _ in recent][-self._WINDOW :]

    def export(self) -> tuple[float, ...]:
        return (1.0, *self._values)

    def restore(self, state: Sequence[float]) -> None:
        if not state or state[0] != 1.0 or len(state) > self._WINDOW + 1:
            raise StateError("not a state of trailing")
        self._values = list(state[1:])


def prepare_trailing(name: str, *, grain_seconds: int, params: Mapping[str, float | int | str | bool]) -> Factory:
    def make() -> Detector:
        return Trailing()

    return make


def make_book(*policies: Policy) -> PolicyBook:
    return PolicyBook(policies or (Policy(detector="trailing", drop_after=1),), prepare_trailing)


def make_engine(*policies: Policy, **options: int | None) -> Engine:
    return Engine(policies=make_book(*policies), **options)  # type: ignore[arg-type]  # every option is a number


def day(number: int, *, hour: int = 0) -> str:
    return format_instant(FIRST_DAY + timedelta(days=number, hours=hour))


def make_fact(number: int, value: float, **changes: object) -> Fact:
    """A `set` fact of the bill about day *number*."""
    fact = Fact(series=SEARCH, charge_period_start=day(number), value=value, origin="cur:2024-09")
    return msgspec.structs.replace(fact, **changes)


def make_event(number: int, value: float, event_id: str, **changes: object) -> Fact:
    """An `add` fact of a meter about day *number*."""
    return make_fact(
        number,
        value,
        **{"fold": Fold.ADD, "event_id": event_id, "origin": "meter:eu", "basis": Basis.ESTIMATED} | changes,
    )


def make_driver(cost: float, service: str, resource: str = "") -> Driver:
    labels = {"service_name": service}
    if resource:
        labels["resource_id"] = resource
    return Driver(labels=labels, cost=cost)


class Feed:
    """Sends messages to an engine under rising offsets and keeps what comes out."""

    def __init__(self, engine: Engine, *, offset: int = 0) -> None:
        self.engine = engine
        self.offset = offset
        self.alerts: list[Alert] = []

    def send(self, *messages: Fact | Watermark) -> list[Alert]:
        """One batch; returns the alerts it raised."""
        self.engine.apply([self.record(message) for message in messages])
        raised = self.engine.take_alerts()
        self.alerts += raised
        return raised

    def record(self, message: Fact | Watermark) -> Record:
        self.offset += 1
        return Record(offset=self.offset, key=key_of(message), value=encode(message))

    def complete(self, number: int, source: str = "cur") -> list[Alert]:
        """The source's word that everything before day *number* is there."""
        return self.send(Watermark(source=source, complete_until=day(number)))

    def days(self, values: Iterable[float], *, start: int = 0) -> list[Alert]:
        """One fact a day; each closes the day before it."""
        raised: list[Alert] = []
        for place, value in enumerate(values):
            raised += self.send(make_fact(start + place, value))
        return raised


def standing(alerts: Iterable[Alert]) -> dict[str, Alert]:
    """The latest version of each alert by id, as a store keeps them."""
    kept: dict[str, Alert] = {}
    for alert in alerts:
        if alert.id not in kept or alert.version > kept[alert.id].version:
            kept[alert.id] = alert
    return kept


def said(alerts: Iterable[Alert]) -> dict[str, Alert]:
    """What stands and was not withdrawn, without what tells how it came about: comparable between orders."""
    return {
        alert.id: msgspec.structs.replace(alert, version=0, judged_at=alert.starts_at)
        for alert in standing(alerts).values()
        if alert.status is not AlertStatus.WITHDRAWN
    }


Told = tuple[str, AlertKind, datetime]
"""Series, kind and start of an alert."""


def concluded(alerts: Iterable[Alert]) -> dict[Told, Alert]:
    """What the facts come to, told by one alert each: the same in any order of them.

    Left out is what only the order decides: the bucket that an alert was first told from, which is in its id, and
    alerts of facts that were other then, as far as corrections have left something of them.
    """
    found: dict[Told, Alert] = {}
    for alert in said(alerts).values():
        if is_left_over(alert):
            assert alert.status is AlertStatus.RESOLVED
            continue
        told = (alert.series, alert.kind, alert.starts_at)
        assert told not in found, f"two alerts tell of {told}"
        found[told] = msgspec.structs.replace(alert, id="")
    return found


def is_left_over(alert: Alert) -> bool:
    """Whether it was told on other facts, and would not be on those of now."""
    return "after a correction it would not be told" in alert.reason
