"""What new tags and silent ones raise: `python -m benchmarks.newcomers [SEEDS]` prints one JSON object a line.

new_tags: 500 ordinary new tags within a day among 400 peers of the same kind, followed for 48 h of event time: alerts
    they raise, and after how many minutes of facts a new tag of 262 USD an hour (eight p4d.24xlarge) is flagged;
    beside it the naive rule on the same facts: a day, or the pace so far, above three times the peers' median.
missing: 200 tags of which 20 fall silent for 2 to 5 days, 20 are sparse, 20 take weekends off, 20 come a day late, and
    one source of 40 goes away: how many of the silent were told as `missing` within two days, and what else was.
"""

import json
import random
import statistics
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from benchmarks.workload import Record
from connectors.facts import Basis, Fact, Fold, Watermark, format_instant
from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.settings import Policy

START = datetime(2024, 9, 2, tzinfo=UTC)
PEERS = 400
NEW = 500
HISTORY = 28
DAY = 1440
P4D_USD_PER_HOUR = 262.0
REPORT_MINUTES = 30
WORLDS = {"up to 500 USD a day": 500.0, "up to 2,000 USD a day": 2_000.0, "up to 5,000 USD a day": 5_000.0}


class Player:
    """Hands messages to an engine and keeps its alerts."""

    def __init__(self) -> None:
        self.engine = Engine(policies=PolicyBook((Policy(),)))
        self.alerts: list[Alert] = []
        self._offset = 0

    def send(self, *messages: Fact | Watermark) -> None:
        records = []
        for message in messages:
            self._offset += 1
            records.append(Record(self._offset, message))
        self.engine.apply(records)
        self.alerts += self.engine.take_alerts()


def instant(minutes: float) -> str:
    return format_instant(START + timedelta(minutes=minutes))


def series(name: str) -> str:
    return f"default/effective_cost/USD/1d/tag:team={name}"


def level(rng: random.Random, highest: float) -> float:
    """USD a day, spread evenly over the orders of magnitude from 5 on."""
    return float(5.0 * (highest / 5.0) ** rng.random())


def bill(name: str, number: int, value: float, origin: str = "bill:a") -> Fact:
    return Fact(series=series(name), charge_period_start=instant(number * DAY), value=round(value, 4), origin=origin)


def event(name: str, minute: int, value: float) -> Fact:
    return Fact(
        series=series(name),
        charge_period_start=instant(minute),
        value=value,
        origin="meter:a",
        fold=Fold.ADD,
        basis=Basis.ESTIMATED,
        event_id=f"{name}-{minute}",
    )


def peers(rng: random.Random, highest: float) -> list[tuple[str, float, float, float]]:
    """Name, USD a day, scatter, weekend's share."""
    scatter = (0.02, 0.05, 0.1, 0.2)
    return [
        (f"old{number}", level(rng, highest), rng.choice(scatter), rng.uniform(0.4, 1.0)) for number in range(PEERS)
    ]


def new_tags(seed: int, world: str) -> dict[str, object]:
    rng = random.Random(seed)
    highest = WORLDS[world]
    player = Player()
    known = peers(rng, highest)
    last: dict[str, float] = {}
    for number in range(HISTORY):
        for name, usd, scatter, weekend in known:
            last[name] = usd * (weekend if number % 7 >= 5 else 1.0) * rng.lognormvariate(0.0, scatter)
            player.send(bill(name, number, last[name]))
        player.send(Watermark(source="bill", complete_until=instant((number + 1) * DAY)))
    limit = 3 * statistics.median(last.values())
    player.alerts.clear()
    facts: list[tuple[int, Fact]] = []
    naive: set[str] = set()
    for number in range(NEW):
        usd, scatter = level(rng, highest), rng.choice((0.1, 0.3, 0.5))
        birth = HISTORY * DAY + rng.randrange(DAY)
        totals: dict[int, float] = {}
        for minute in range(birth, birth + 2 * DAY, REPORT_MINUTES):
            value = usd * REPORT_MINUTES / DAY * rng.lognormvariate(-scatter * scatter / 2, scatter)
            facts.append((minute, event(f"new{number}", minute, value)))
            totals[minute // DAY] = totals.get(minute // DAY, 0.0) + value
            pace = totals[minute // DAY] * DAY / max(minute - max(birth, minute // DAY * DAY), REPORT_MINUTES)
            if max(totals[minute // DAY], pace) > limit:
                naive.add(f"new{number}")
    facts.sort(key=lambda entry: entry[0])
    player.send(*(fact for _, fact in facts))
    told = {alert.id for alert in player.alerts}
    return {"alerts": len(told), "naive_alerts": len(naive)}


def expensive(seed: int, world: str) -> dict[str, object]:
    """Minutes of facts until the new tag is flagged; None within a day."""
    rng = random.Random(seed)
    player = Player()
    known = peers(rng, WORLDS[world])
    for number in range(HISTORY):
        for name, usd, scatter, weekend in known:
            factor = weekend if number % 7 >= 5 else 1.0
            player.send(bill(name, number, usd * factor * rng.lognormvariate(0.0, scatter)))
        player.send(Watermark(source="bill", complete_until=instant((number + 1) * DAY)))
    player.alerts.clear()
    birth = HISTORY * DAY + rng.randrange(DAY)
    for minute in range(2 * DAY):
        player.send(event("lab", birth + minute, P4D_USD_PER_HOUR / 60))
        if any(alert.series == series("lab") for alert in player.alerts):
            return {"minutes": minute}
    return {"minutes": None}


def missing(seed: int) -> dict[str, object]:
    rng = random.Random(seed)
    player = Player()
    days = 56
    first = {number: rng.randrange(30, 45) for number in range(20)}
    length = {number: rng.randrange(2, 6) for number in range(20)}
    for day in range(days):
        sent: list[Fact] = []
        held: list[Fact] = []
        for number in range(200):
            source = "gone" if number >= 160 else "bill"
            if number < 20 and first[number] <= day < first[number] + length[number]:
                continue
            if 20 <= number < 40 and rng.random() < 0.1 + 0.04 * (number - 20):
                continue
            if 40 <= number < 60 and day % 7 >= 5:
                continue
            if source == "gone" and day >= 40:
                continue
            late = 60 <= number < 80 and day > 0 and rng.random() < 0.05
            sent.append(bill(f"t{number}", day, 100 * rng.lognormvariate(0.0, 0.05), f"{source}:a"))
            if late:
                held.append(sent.pop())
        player.send(*sent, Watermark(source="bill", complete_until=instant((day + 1) * DAY)))
        player.send(*held)
        player.send(Watermark(source="gone", complete_until=instant((day + 1) * DAY)))
    told = {
        (alert.series, alert.starts_at)
        for alert in player.alerts
        if alert.kind is AlertKind.MISSING and alert.status is AlertStatus.FIRING
    }
    silent = {(series(f"t{number}"), START + timedelta(days=first[number])) for number in range(20)}
    drops = {(alert.series, alert.starts_at) for alert in player.alerts if alert.kind is AlertKind.DROP}
    return {
        "silent": len(silent),
        "told_missing": len(silent & told),
        "false_missing": len(told - silent),
        "told_as_drop": len(silent & drops),
    }


def lines(seeds: int) -> Iterator[dict[str, object]]:
    for world in WORLDS:
        for seed in range(seeds):
            yield {"name": "new_tags", "peers": world, "seed": seed, **new_tags(seed, world), **expensive(seed, world)}
    for seed in range(seeds):
        yield {"name": "missing", "seed": seed, **missing(seed)}


def main(seeds: int) -> None:
    for line in lines(seeds):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
