"""What all contenders read: metered spend, day after day, and the state that ninety days of it leave behind.

Each series states its running total of the day again and again, as a meter does: a `set` fact per report, with a rising
revision. The values are seeded; one series in a thousand has a day that costs six times the usual.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.facts import Basis, Fact, Fold, Watermark, encode, format_instant, key_of
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.settings import Policy

HISTORY_DAYS = 97
"""Before the first measured fact: more than the 90 days that the default policy keeps open to restatement."""
PADDING = 2 * HISTORY_DAYS
"""Offsets of each partition that stand for the history. Readers begin after them; see topics.py."""
REPORTS_PER_DAY = 96
ORIGIN = "meter:eu-1"
FIRST_DAY = datetime(2024, 9, 1, tzinfo=UTC)
_TEMPLATES = 64
_INCIDENT_SHARE = 0.001
_INCIDENT_FACTOR = 6.0
_WEEKEND = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """facts: how many in all. reports_per_day: facts per series and day.

    fold: SET states running totals; ADD states what each report adds, as events with ids.
    """

    facts: int
    series: int
    reports_per_day: int = REPORTS_PER_DAY
    fold: Fold = Fold.SET
    seed: int = 7


class Record:
    """A message of the facts topic as the stream hands it over."""

    __slots__ = ("key", "offset", "value")
    timestamp = 0

    def __init__(self, offset: int, message: Fact | Watermark) -> None:
        self.offset = offset
        self.key = key_of(message)
        self.value = encode(message)


def series_name(number: int) -> str:
    return f"default/effective_cost/USD/1d/tag:customer_id=c{number:07d}"


def level_of(number: int) -> float:
    """What a series usually costs on a working day, in USD."""
    return 40.0 + 15.0 * (number % _TEMPLATES)


def day_total(number: int, day: int, chance: random.Random) -> float:
    weekday = (FIRST_DAY + timedelta(days=day)).weekday()
    return level_of(number) * (_WEEKEND if weekday >= 5 else 1.0) * chance.gauss(1.0, 0.03)


def instant(day: int, part: float = 0.0) -> str:
    """part: of the day, 0 to 1."""
    return format_instant(FIRST_DAY + timedelta(days=day, seconds=int(part * 86_400)))


def facts(work: Workload) -> Iterator[Fact]:
    """From the last day of the history on; all series side by side, in order of time."""
    chance = random.Random(work.seed)
    names = [series_name(number) for number in range(work.series)]
    left = work.facts
    day = HISTORY_DAYS - 1
    while True:
        totals = [day_total(number, day, chance) for number in range(work.series)]
        for number in range(work.series):
            if chance.random() < _INCIDENT_SHARE:
                totals[number] *= _INCIDENT_FACTOR
        for report in range(work.reports_per_day):
            at = instant(day, report / work.reports_per_day)
            for number, total in enumerate(totals):
                if not left:
                    return
                left -= 1
                yield report_of(work, names[number], day, report, at, total)
        day += 1


def report_of(work: Workload, series: str, day: int, report: int, at: str, total: float) -> Fact:
    """A report of a day that will cost *total*. report: its number within the day, from 0."""
    if work.fold is Fold.ADD:
        return Fact(
            series=series,
            charge_period_start=at,
            value=round(total / work.reports_per_day, 6),
            origin=ORIGIN,
            fold=Fold.ADD,
            basis=Basis.ESTIMATED,
            event_id=f"{day}-{report}",
        )
    return Fact(
        series=series,
        charge_period_start=at,
        value=round(total * (report + 1) / work.reports_per_day, 4),
        origin=ORIGIN,
        revision=report + 1,
        basis=Basis.ESTIMATED,
    )


def states(series: int, *, first: int = 0, origin: str = ORIGIN) -> Iterator[tuple[bytes, bytes]]:
    """Key and snapshot of *series* series that *origin* has told of for HISTORY_DAYS, made by the engine itself.

    A snapshot names no series, so that a few of them do for a million. All end at an offset below PADDING, with the
    last day open.
    """
    snapshots = [_history(number, origin) for number in range(min(series, _TEMPLATES))]
    for number in range(first, first + series):
        yield series_name(number).encode(), snapshots[number % len(snapshots)]


def _history(number: int, origin: str) -> bytes:
    engine = Engine(policies=PolicyBook((Policy(),)))
    chance = random.Random(number)
    name = series_name(number)
    told = (
        Fact(
            series=name,
            charge_period_start=instant(day),
            value=round(day_total(number, day, chance) if day < HISTORY_DAYS - 1 else 0.01, 4),
            origin=origin,
            revision=REPORTS_PER_DAY if day < HISTORY_DAYS - 1 else 0,
            basis=Basis.ESTIMATED,
        )
        for day in range(HISTORY_DAYS)
    )
    engine.apply([Record(offset, fact) for offset, fact in enumerate(told)])
    assert not engine.take_rejects()
    ((_, snapshot),) = [entry for entry in engine.freeze() if not entry[0].startswith(b"~")]
    return snapshot
