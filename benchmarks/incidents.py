"""How few people have to hear of an incident: `python -m benchmarks.incidents` prints one JSON object a line.

Synthetic spend with planted incidents through the engine, delivery by delivery. After each, whoever dispatches looks at
the alerts that are open and tells of those that nothing inhibits; what it has told of stays told while it is open.

spendwatch: service.core.incidents.heads. nothing: every alert is told. total: the total of the tenant inhibits all
others of its metric, as a rule of Alertmanager's with `equal: [tenant, metric]` would.

told_per_incident: alerts told that show it. without_head: incidents that no alert told shows, though one was raised.
of_none: alerts told that show no incident. wrong: alerts inhibited by one that does not show their incident.
shared: pairs of incidents with no other than the same one alert told. seconds: CPU time of `heads`.

The thresholds were chosen on seeds 20261123 and 1 to 8, daily; those of hours and any other seed are unseen.

    python -m benchmarks.incidents --speed     5,000 open alerts, and against all pairs where that is feasible
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations
from unittest import mock

from benchmarks.incidents_truth import Truth
from connectors.facts import Basis, Watermark
from connectors.series import Grain
from connectors.synthetic import SyntheticConnector, SyntheticOptions
from service.core.alerts import Alert, AlertKind, AlertStatus, DriverChange, Severity
from service.core.engine import Engine
from service.core.incidents import heads
from service.core.kinship import Kinship
from service.core.policies import PolicyBook
from service.core.stakes import Stake
from service.replay.player import Player
from service.settings import Policy

ORDER = ("team", "project", "customer_id", "service_name")
Heads = Callable[[Sequence[Alert], Collection[str], Mapping[str, str]], Mapping[str, str]]


def ours(alerts: Sequence[Alert], told: Collection[str], before: Mapping[str, str]) -> Mapping[str, str]:
    return heads(alerts, told=told, order=ORDER, inhibited=before)


def nothing(alerts: Sequence[Alert], told: Collection[str], before: Mapping[str, str]) -> Mapping[str, str]:
    return {}


def total(alerts: Sequence[Alert], told: Collection[str], before: Mapping[str, str]) -> Mapping[str, str]:
    found = {(alert.tenant, alert.metric): alert.id for alert in alerts if "total" in alert.labels}
    return {
        alert.id: found[alert.tenant, alert.metric]
        for alert in alerts
        if (alert.tenant, alert.metric) in found and alert.id not in told and "total" not in alert.labels
    }


_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
STRATEGIES: dict[str, Heads] = {"spendwatch": ours, "nothing": nothing, "total": total}


@dataclass(slots=True)
class Outcome:
    """told, inhibited: alert id -> its version when it was decided; inhibited with the head."""

    told: dict[str, Alert] = field(default_factory=dict)
    inhibited: dict[str, tuple[Alert, Alert]] = field(default_factory=dict)
    seconds: float = 0.0


def deliveries(options: SyntheticOptions) -> list[list[Alert]]:
    """The versions that each delivery raises."""
    raised: list[Alert] = []
    book = PolicyBook((Policy(match={"unit": "USD"}, floor=25),))
    player = Player([Engine(policies=book)], on_alerts=raised.extend)
    found = []

    async def play() -> None:
        async for batch in SyntheticConnector(options).batches(None):
            raised.clear()
            for fact in batch.facts:
                player.take(fact)
            if batch.watermark is not None:
                player.take(Watermark(source=options.name, complete_until=batch.watermark))
            player.flush()
            if raised:
                found.append(list(raised))

    asyncio.run(play())
    return found


def _lingers(alert: Alert, now: datetime) -> bool:
    """For as long as it lasted, what outlasts an alert or begins late is still the same."""
    return alert.ends_at is not None and now < alert.ends_at + (alert.ends_at - alert.starts_at)


def dispatch(delivered: Sequence[Sequence[Alert]], choose: Heads, *, linger: bool) -> Outcome:
    outcome = Outcome()
    latest: dict[str, Alert] = {}
    found: Mapping[str, str] = {}
    ended: dict[str, Alert] = {}
    now = _LONG_AGO
    for raised in delivered:
        for alert in raised:
            latest[alert.id] = alert
            now = max(now, alert.starts_at + timedelta(seconds=Grain(alert.grain).seconds * (alert.buckets - 1)))
            ended.pop(alert.id, None)
            if alert.status is not AlertStatus.FIRING:
                del latest[alert.id]
            if alert.status is AlertStatus.RESOLVED and alert.id in outcome.told:
                ended[alert.id] = alert
        ended = {number: alert for number, alert in ended.items() if linger and _lingers(alert, now)}
        told = [number for number in (*latest, *ended) if number in outcome.told]
        begin = time.process_time()
        found = choose([*latest.values(), *ended.values()], told, found)
        outcome.seconds += time.process_time() - begin
        for number, alert in latest.items():
            if number not in found:
                outcome.told.setdefault(number, alert)
            elif number not in outcome.told:
                outcome.inhibited[number] = alert, latest.get(found[number]) or ended[found[number]]
    return outcome


def measure(
    name: str, options: SyntheticOptions, delivered: Sequence[Sequence[Alert]], *, linger: bool
) -> dict[str, object]:
    truth = Truth(options)
    outcome = dispatch(delivered, STRATEGIES[name], linger=linger)
    final = {alert.id: alert for raised in delivered for alert in raised}
    shown = {number: truth.shown(final[number], alert) for number, alert in outcome.told.items()}
    per: Counter[int] = Counter(incident for found in shown.values() for incident in found)
    raised = {incident for alert in final.values() for incident in truth.shown(alert, alert)}
    wrong = []
    for alert, head in outcome.inhibited.values():
        shows = truth.shown(alert)
        if shows and shows.isdisjoint(truth.shown(final[head.id], head)):
            wrong.append(f"{alert.series.split('/', 4)[-1]} in {head.series.split('/', 4)[-1]} {alert.starts_at:%m-%d}")
    only = {incident: [n for n, found in shown.items() if incident in found] for incident in raised}
    shared = sum(len(only[a]) == 1 and only[a] == only[b] for a, b in combinations(sorted(raised), 2))
    return {
        "strategy": name,
        "grain": options.grain.value,
        "seed": options.seed,
        "creep_and_new_tag": options.creep,
        "incidents": len(raised),
        "alerts": len(final),
        "told": len(outcome.told),
        "told_per_incident": [per[incident] for incident in sorted(raised)],
        "without_head": sum(not per[incident] for incident in raised),
        "of_none": sum(not found for found in shown.values()),
        "wrong": len(wrong),
        "shared": shared,
        "seconds": round(outcome.seconds, 3),
        **({"which": wrong} if wrong else {}),
    }


def crowd(count: int, seed: int = 1) -> list[Alert]:
    """*count* open alerts: incidents that show in a team, a project, a customer and a service each, and the total."""
    draw = random.Random(seed)
    begin = datetime(2026, 10, 1, tzinfo=UTC)
    alerts = [_alert("total", "", 1e6, {"service_name": "s0"}, begin)]
    number = 0
    while len(alerts) < count:
        labels = {"service_name": f"s{number % 40}", "resource_id": f"i-{number}"}
        money, at = draw.uniform(100, 5000), begin + timedelta(days=draw.randrange(5))
        alerts += [
            _alert(dimension, f"{dimension[4]}{number}", money * draw.uniform(1, 1.05), labels, at)
            for dimension in ("tag:team", "tag:project", "tag:customer_id")
        ]
        if number < 40:
            alerts.append(_alert("service_name", f"s{number}", money * 20, labels, at))
        number += 1
    return alerts[:count]


def _alert(dimension: str, value: str, money: float, labels: dict[str, str], at: datetime) -> Alert:
    name = dimension.removeprefix("tag:")
    return Alert(
        id=f"{name}-{value}", version=1, status=AlertStatus.FIRING, kind=AlertKind.SPIKE, severity=Severity.MEDIUM,
        tenant="demo", series=f"demo/effective_cost/USD/1d/{dimension}={value}", labels={name: value},
        metric="effective_cost", unit="USD", grain="1d", basis=Basis.BILLED, detector="seasonal", starts_at=at,
        ends_at=None, judged_at=at, actual=2 * money, expected=money, lower=0.9 * money, upper=1.1 * money, score=0.9,
        impact=money, buckets=2, drivers=(DriverChange(labels=labels, change=money, before=0.0, now=money),),
        reason="", action="",
    )  # fmt: skip


class AllPairs(Kinship):
    """Holds all against all."""

    def of(self, stake: Stake) -> Sequence[Stake]:
        return [other for other in self._all if other is not stake]


def speed() -> Iterator[dict[str, object]]:
    """CPU seconds of one call, median of five; all pairs where they end within seconds, and whether they agree."""
    for count in (300, 600, 5000):
        alerts = crowd(count)
        seconds, found = _timed(alerts)
        line: dict[str, object] = {"name": "speed", "open_alerts": count, "heads": count - len(found)}
        line["seconds"] = round(seconds, 4)
        if count <= 600:
            with mock.patch("service.core.incidents.Kinship", AllPairs):  # the same choice among more candidates
                pairs_seconds, pairs_found = _timed(alerts)
            line |= {"all_pairs_seconds": round(pairs_seconds, 4), "same_answer": pairs_found == found}
        yield line


def _timed(alerts: Sequence[Alert]) -> tuple[float, Mapping[str, str]]:
    taken = []
    for _ in range(5):
        begin = time.process_time()
        found = ours(alerts, (), {})
        taken.append(time.process_time() - begin)
    return sorted(taken)[2], found


def runs(seeds: Sequence[int], grain: Grain) -> Iterator[SyntheticOptions]:
    """Each seed as in the demo, then with a creep and a new tag."""
    for seed in seeds:
        for more in (False, True):
            yield SyntheticOptions(
                name="synthetic",
                seed=seed,
                history_days=56 if grain is Grain.DAY else 21,
                grain=grain,
                tenant="demo",
                creep=more,
                new_tag=more,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.incidents", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="20261123,1,2,3,4,5,6,7,8")
    parser.add_argument("--hourly", default="1,2", help="seeds of hourly spend, empty for none")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--no-linger", action="store_true", help="forget a head as soon as it ends")
    chosen = parser.parse_args()
    if chosen.speed:
        for line in speed():
            print(json.dumps(line), flush=True)
        return
    for grain, text in ((Grain.DAY, chosen.seeds), (Grain.HOUR, chosen.hourly)):
        for options in runs([int(seed) for seed in text.split(",") if seed], grain):
            print(f"seed {options.seed}, {grain.value}", file=sys.stderr)
            delivered = deliveries(options)
            for name in STRATEGIES:
                line = measure(name, options, delivered, linger=not chosen.no_linger)
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
