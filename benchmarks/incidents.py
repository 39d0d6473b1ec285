"""How few people have to hear of an incident: `python -m benchmarks.incidents` prints one JSON object a line.

Synthetic spend with planted incidents through the engine, delivery by delivery. After each, whoever dispatches looks at
the alerts that are open and tells of those that nothing inhibits; what it has told of stays told while it is open.

spendwatch: service.core.incidents.heads. nothing: every alert is told. total: the total of the tenant inhibits all
others of its metric, as a rule of Alertmanager's with `equal: [tenant, metric]` would.

told_per_incident: alerts told that show it. without_head: incidents that no alert told shows, though one was raised.
of_none: alerts told that show no incident. wrong: alerts inhibited by one that does not show their incident.
shared: pairs of incidents with no other than the same one alert told. seconds: CPU time of `heads`.

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

from benchmarks.incidents_truth import Truth
from connectors.facts import Watermark
from connectors.series import Grain
from connectors.synthetic import SyntheticConnector, SyntheticOptions
from service.core.alerts import Alert, AlertStatus
from service.core.engine import Engine
from service.core.incidents import heads
from service.core.policies import PolicyBook
from service.replay.player import Player
from service.settings import Policy

ORDER = ("team", "project", "customer_id", "service_name")
Heads = Callable[[Sequence[Alert], Collection[str]], Mapping[str, str]]


def ours(alerts: Sequence[Alert], told: Collection[str]) -> Mapping[str, str]:
    return heads(alerts, told=told, order=ORDER)


def nothing(alerts: Sequence[Alert], told: Collection[str]) -> Mapping[str, str]:
    return {}


def total(alerts: Sequence[Alert], told: Collection[str]) -> Mapping[str, str]:
    found = {(alert.tenant, alert.metric): alert.id for alert in alerts if "total" in alert.labels}
    return {
        alert.id: found[alert.tenant, alert.metric]
        for alert in alerts
        if (alert.tenant, alert.metric) in found and alert.id not in told and "total" not in alert.labels
    }


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


def dispatch(delivered: Sequence[Sequence[Alert]], choose: Heads) -> Outcome:
    outcome = Outcome()
    latest: dict[str, Alert] = {}
    for raised in delivered:
        for alert in raised:
            latest[alert.id] = alert
            if alert.status is not AlertStatus.FIRING:
                del latest[alert.id]
        told = [number for number in latest if number in outcome.told]
        begin = time.process_time()
        found = choose(list(latest.values()), told)
        outcome.seconds += time.process_time() - begin
        for number, alert in latest.items():
            if number not in found:
                outcome.told.setdefault(number, alert)
            elif number not in outcome.told:
                outcome.inhibited[number] = alert, latest[found[number]]
    return outcome


def measure(name: str, options: SyntheticOptions, delivered: Sequence[Sequence[Alert]]) -> dict[str, object]:
    truth = Truth(options)
    outcome = dispatch(delivered, STRATEGIES[name])
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
