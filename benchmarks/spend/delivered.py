"""Ours over a month as it is delivered: the real engine, fed the records in the order in which they arrive.

After each delivery run the source vouches for what ended a day before. An alert counts from the run from which on
people are told of it, whether or not it is taken back later. As the dispatch does, nobody is told of what had been over
for days when a late or restated record brought it to light: it finds nothing, and is no false alarm.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.spend.calendars import DAY, HOUR
from benchmarks.spend.delivery import RUN_HOURS, VOUCHED_HOURS, Arrival
from benchmarks.spend.driving import series_of
from benchmarks.spend.incidents import Kind, Month
from benchmarks.spend.scoring import Alarm, Told
from benchmarks.spend.tags import Tag
from connectors.facts import Fact, Watermark, encode, format_instant, key_of
from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.settings import Dispatch

_SOURCE = "export"
_HEARD_SECONDS = Dispatch().ended_within_days * DAY
_BY_VALUE = frozenset({AlertKind.SPIKE, AlertKind.DROP})
"""New tags and silence are told of as well, by others than the detector, and measured by `benchmarks.newcomers`."""


class _Record:
    """As the stream hands them over."""

    __slots__ = ("key", "offset", "timestamp", "value")

    def __init__(self, offset: int, message: Fact | Watermark) -> None:
        self.offset = offset
        self.timestamp = 0
        self.key = key_of(message)
        self.value = encode(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """alarms: by tag, in order of their periods. hours: by tag and period, when its alert was first raised.

    told: what became of the alerts in the end.
    """

    alarms: dict[str, list[Alarm]]
    hours: dict[tuple[str, int], float]
    told: Told


def deliver(month: Month, arrived: list[Arrival], book: PolicyBook) -> Delivered:
    tags = month.tags
    engine = Engine(policies=book)
    keys = [series_of(tag) for tag in tags]
    by_key = dict(zip(keys, tags, strict=True))
    offset = 0
    alarms: dict[str, dict[int, Alarm]] = {tag.name: {} for tag in tags}
    hours: dict[tuple[str, int], float] = {}
    latest: dict[str, Alert] = {}
    first_told: dict[str, int] = {}
    seen: set[str] = set()
    for run_at, batch in _runs(arrived, RUN_HOURS[tags[0].grain_seconds] * HOUR):
        messages: list[Fact | Watermark] = [_fact(keys, tags, arrival) for arrival in batch]
        messages.append(_word(run_at))
        engine.apply([_Record(offset + place, message) for place, message in enumerate(messages, start=1)])
        offset += len(messages)
        for alert in engine.take_alerts():
            seen.add(alert.id)
            if alert.id not in first_told and not _is_heard(alert, run_at):
                continue
            latest[alert.id] = alert
            first_told.setdefault(alert.id, run_at)
            if alert.status is not AlertStatus.WITHDRAWN and alert.kind in _BY_VALUE:
                _keep(alert, by_key[alert.series], run_at, alarms, hours)
    told = _told(month, latest.values(), first_told, by_key)
    told.old_news = len(seen - set(first_told))
    return Delivered(
        alarms={name: [found[period] for period in sorted(found)] for name, found in alarms.items()},
        hours=hours,
        told=told,
    )


def _is_heard(alert: Alert, at: int) -> bool:
    """Whether people are told of an alert that is stored at this time."""
    if alert.status is AlertStatus.FIRING or alert.ends_at is None:
        return True
    return alert.status is AlertStatus.RESOLVED and at - alert.ends_at.timestamp() <= _HEARD_SECONDS


def _told(month: Month, alerts: Iterable[Alert], first_told: dict[str, int], by_key: dict[str, Tag]) -> Told:
    found = Told()
    gaps: list[tuple[str, range, int]] = []
    falls: list[tuple[str, range]] = []
    for alert in alerts:
        tag = by_key[alert.series]
        first = (int(alert.starts_at.timestamp()) - tag.calendar[0].at) // tag.grain_seconds
        periods = range(first, first + alert.buckets)
        if alert.kind is AlertKind.MISSING and periods.stop <= len(tag.values):  # then all are silent
            ended = tag.calendar[0].at + (first + 1) * tag.grain_seconds
            gaps.append((tag.name, periods, -(-(first_told[alert.id] - ended) // tag.grain_seconds)))
        elif alert.kind in _BY_VALUE:
            found.by_value += 1
            found.withdrawn += alert.status is AlertStatus.WITHDRAWN
            if alert.kind is AlertKind.DROP:
                falls.append((tag.name, periods))
    planted = [incident for incident in month.incidents if incident.kind is Kind.MISSING]
    true: set[int] = set()
    for incident in planted:
        lacking = range(incident.first, incident.last + 1)
        finding = [n for n, (tag, periods, _) in enumerate(gaps) if tag == incident.tag and _meet(periods, lacking)]
        true.update(finding)
        if finding:
            found.delays.append(min(gaps[number][2] for number in finding))
        found.as_drop += any(name == incident.tag and _meet(periods, lacking) for name, periods in falls)
    found.planted = len(planted)
    found.false = len(gaps) - len(true)
    return found


def _meet(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _runs(arrived: list[Arrival], every: int) -> Iterator[tuple[int, list[Arrival]]]:
    batch: list[Arrival] = []
    run_at = -(-arrived[0].at // every) * every
    for arrival in arrived:
        while arrival.at > run_at:
            yield run_at, batch
            batch, run_at = [], run_at + every
        batch.append(arrival)
    yield run_at, batch


def _fact(keys: list[str], tags: list[Tag], arrival: Arrival) -> Fact:
    return Fact(
        series=keys[arrival.tag],
        charge_period_start=_text(tags[arrival.tag].calendar[arrival.period].at),
        value=round(arrival.value, 6),
        origin=f"{_SOURCE}:cur",
        revision=arrival.revision + 1,
    )


def _word(run_at: int) -> Watermark:
    return Watermark(source=_SOURCE, complete_until=_text(run_at - VOUCHED_HOURS * HOUR))


def _text(at: int) -> str:
    return format_instant(datetime.fromtimestamp(at, UTC))


def _keep(
    alert: Alert, tag: Tag, run_at: int, alarms: dict[str, dict[int, Alarm]], hours: dict[tuple[str, int], float]
) -> None:
    first = (int(alert.starts_at.timestamp()) - tag.calendar[0].at) // tag.grain_seconds
    rises = alert.kind is not AlertKind.DROP
    for period in range(first, first + alert.buckets):
        alarm = Alarm(period=period, rises=rises, deviation=alert.impact / alert.buckets)
        alarms[tag.name].setdefault(period, alarm)
        hours.setdefault((tag.name, period), run_at / HOUR)
