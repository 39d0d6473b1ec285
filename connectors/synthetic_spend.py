"""Invented workloads and what each costs per bucket: the spend that incidents are planted into. Pure, seeded.

A workload stands for the billing lines of one resource: team, project, customer, service, resource, usage type. Its
cost is base x growth x weekday x hour x month end x noise. Teams come in pairs that share a project and two customers,
so that something going wrong on one dimension stays small on the others.
"""

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from connectors.series import Grain

_TEAMS = (
    "search", "payments", "ml-platform", "data", "checkout", "recommendations",
    "identity", "mobile", "ads", "logistics", "support", "platform",
)  # fmt: skip
_PROJECTS = ("atlas", "borealis", "cascade", "delta", "ember", "fjord")
_CUSTOMERS = ("acme", "globex", "initech", "umbrella", "hooli", "vandelay")
_COMMON = (
    # service, usage type, unit, USD per unit
    ("Amazon Elastic Compute Cloud", "BoxUsage:m6i.4xlarge", "Hours", 0.768),
    ("Amazon Relational Database Service", "InstanceUsage:db.r6g.2xlarge", "Hours", 0.86),
    ("Amazon Simple Storage Service", "TimedStorage-ByteHrs", "GB-Month", 0.023),
    ("AWS Lambda", "Lambda-GB-Second", "Lambda-GB-Second", 0.0000166667),
)
_SPECIAL = (
    ("Amazon SageMaker", "ML-Host:ml.g5.2xlarge", "Hours", 1.515),
    ("Amazon Redshift", "Node:ra3.4xlarge", "Hours", 3.26),
    ("Amazon Bedrock", "InputTokenCount-Units", "1K tokens", 0.003),
    ("Amazon OpenSearch Service", "ESInstance:r6g.2xlarge", "Hours", 0.67),
)
GPU = ("Amazon Elastic Compute Cloud", "BoxUsage:p4d.24xlarge", "Hours", 32.7726)
"""What runs away when something does."""
_SHARES = (0.40, 0.28, 0.20, 0.12)
_SPECIAL_EVERY = 3
"""Every third team spends on a service of its own, so that the dimension has values that few teams feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """base: USD per day at the beginning. weekend: factor on Saturdays and Sundays. growth: share per day.

    noise: standard deviation as a share. month_end: factor on the last two days of a month. office: rests on holidays.
    """

    index: int
    team: str
    project: str
    customer: str
    service: str
    resource: str
    usage_type: str
    unit: str
    unit_price: float
    base: float
    weekend: float = 1.0
    growth: float = 0.0
    noise: float = 0.05
    month_end: float = 1.0
    office: bool = False

    @property
    def dimensions(self) -> tuple[tuple[str, str], ...]:
        """(dimension, value) of every series this workload feeds."""
        return (
            ("tag:team", self.team),
            ("tag:project", self.project),
            ("tag:customer_id", self.customer),
            ("service_name", self.service),
            ("total", ""),
        )


def build_workloads(teams: int, seed: int) -> tuple[Workload, ...]:
    """Four workloads a team, each with another service, and one more for every third team."""
    draw = random.Random(f"workloads {seed}")  # noqa: S311  # repeatable, not secret
    projects = max(1, (teams + 1) // 2)
    customers = max(2, min(len(_CUSTOMERS), teams))
    workloads: list[Workload] = []
    for team in range(teams):
        pair, level = team // 2, draw.uniform(350.0, 1600.0)
        plans = [(_COMMON[slot], share) for slot, share in enumerate(_SHARES)]
        if team % _SPECIAL_EVERY == 0:
            plans.append((_SPECIAL[team // _SPECIAL_EVERY % len(_SPECIAL)], 0.3))
        for slot, ((service, usage_type, unit, price), share) in enumerate(plans):
            workloads.append(
                Workload(
                    index=len(workloads),
                    team=_name(_TEAMS, "team", team),
                    project=_name(_PROJECTS, "project", pair % projects),
                    customer=_name(_CUSTOMERS, "customer", (2 * pair + slot % 2) % customers),
                    service=service,
                    resource=f"i-{draw.getrandbits(68):017x}",
                    usage_type=usage_type,
                    unit=unit,
                    unit_price=price,
                    base=level * share * draw.uniform(0.85, 1.15),
                    weekend=draw.choice((1.0, 0.97, 0.85, 0.7)),
                    growth=draw.uniform(0.0, 0.002),
                    noise=draw.uniform(0.03, 0.06),
                    month_end=1.1 if slot == 3 else 1.0,
                    office=slot == 2,
                )
            )
    return tuple(workloads)


def _name(known: Sequence[str], kind: str, index: int) -> str:
    return known[index] if index < len(known) else f"{kind}-{index + 1}"


class Calendar:
    """Buckets counted from the first day of the history. days: history and live days together."""

    def __init__(self, first_day: date, days: int, grain: Grain) -> None:
        if grain not in (Grain.HOUR, Grain.DAY):
            raise ValueError(f"synthetic spend has a grain of 1h or 1d, got {grain.value}")
        self.first_day = first_day
        self.days = days
        self.grain = grain
        self.per_day = 86_400 // grain.seconds

    @property
    def buckets(self) -> int:
        return self.days * self.per_day


class Spend:
    """What every workload costs in every bucket, incidents aside. holiday: day counted from the first, or None."""

    def __init__(self, workloads: Sequence[Workload], calendar: Calendar, *, seed: int, holiday: int | None) -> None:
        self.workloads = tuple(workloads)
        self.calendar = calendar
        self._costs = [_costs(workload, calendar, seed, holiday) for workload in workloads]

    def cost(self, workload: Workload, bucket: int) -> float:
        """USD, never negative."""
        return self._costs[workload.index][bucket]


def _costs(workload: Workload, calendar: Calendar, seed: int, holiday: int | None) -> "array[float]":
    draw = random.Random(f"noise {seed} {workload.index}")  # noqa: S311  # repeatable, not secret
    per_day = calendar.per_day
    costs = array("d")
    for number in range(calendar.days):
        day = calendar.first_day + timedelta(days=number)
        level = workload.base * (1 + workload.growth) ** number / per_day
        if day.weekday() >= 5:
            level *= workload.weekend
        elif number == holiday and workload.office:
            level *= 0.75
        if (day + timedelta(days=2)).month != day.month:
            level *= workload.month_end
        for hour in range(per_day):
            shape = 1.0 if per_day == 1 else _hour_shape(hour, workload.weekend)
            costs.append(level * shape * max(0.0, draw.gauss(1.0, workload.noise)))
    return costs


def _hour_shape(hour: int, weekend: float) -> float:
    """Busy hours from 8 to 20, the more so the more a workload rests at weekends; 1 on average."""
    swing = 1.0 - weekend
    return 1.0 + swing * (1.0 if 8 <= hour < 20 else -1.0)
