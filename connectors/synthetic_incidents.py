"""Incidents planted into synthetic spend, and which series must show them. Pure, seeded.

A target is chosen so that no other incident moves its series by more than a few percent: what must alert is beyond
doubt, what an incident also touches (the project of a team, the total) may alert or not.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from connectors.facts import format_instant
from connectors.synthetic_spend import GPU, Calendar, Spend, Workload

_STRAY = 0.06
"""An incident may move the target of another by this share at most."""
_NOTICED = 0.01
"""A series that moves by less is not listed as one that may alert."""

Dimension = tuple[str, str]
"""(dimension, value), such as ("tag:team", "search")."""
SeriesOf = Callable[[Dimension], str]


class IncidentKind(StrEnum):
    SPIKE = "spike"
    LEVEL_SHIFT = "level_shift"
    DROP = "drop"
    CREEP = "creep"
    NEW_TAG = "new_tag"


class Incident(Struct, frozen=True, kw_only=True):
    """One planted incident: the ground truth, never part of the stream.

    tag, dimension: whose it is, `search` of `tag:team`. start, end: first instant, and the one after the last; a
    lasting change ends with the data. amount: USD above (below) what would have been spent. must: series that have
    to alert; may: series that it moves as well.
    """

    tag: str
    dimension: str
    kind: IncidentKind
    start: str
    end: str
    amount: float
    must: tuple[str, ...]
    may: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place for an incident. at: share of the live days. days: how long, None to the end.

    factor: on the target's workloads; 1 with `extra`, which adds a line worth so many times the target's level.
    """

    kind: IncidentKind
    dimension: str
    at: float
    days: int | None
    factor: float = 1.0
    extra: float = 0.0
    creep: float = 0.0


SLOTS = (
    Slot(kind=IncidentKind.SPIKE, dimension="tag:team", at=0.0, days=1, extra=1.4),
    Slot(kind=IncidentKind.LEVEL_SHIFT, dimension="tag:project", at=0.15, days=None, factor=1.9),
    Slot(kind=IncidentKind.DROP, dimension="tag:customer_id", at=0.30, days=3, factor=0.0),
    Slot(kind=IncidentKind.SPIKE, dimension="service_name", at=0.42, days=1, factor=4.0),
    Slot(kind=IncidentKind.LEVEL_SHIFT, dimension="tag:team", at=0.54, days=None, extra=1.0),
    Slot(kind=IncidentKind.DROP, dimension="tag:team", at=0.70, days=2, factor=0.1),
    Slot(kind=IncidentKind.SPIKE, dimension="tag:customer_id", at=0.85, days=1, factor=2.8),
)
CREEP_SLOT = Slot(kind=IncidentKind.CREEP, dimension="tag:team", at=0.10, days=None, creep=0.03)
NEW_TAG_SLOT = Slot(kind=IncidentKind.NEW_TAG, dimension="tag:team", at=0.5, days=None)
_NEW_TAG_USD_PER_DAY = 6287.0  # 8 x p4d.24xlarge


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """An incident as the generator applies it. first, last: buckets, last is the one after it."""

    slot: Slot
    target: Dimension
    first: int
    last: int
    workloads: frozenset[int]
    extra: Workload | None

    def factor(self, workload: Workload, bucket: int, per_day: int) -> float:
        """On the cost of a workload in a bucket; 1 where the incident is not felt."""
        if workload.index not in self.workloads or not self.first <= bucket < self.last:
            return 1.0
        if self.slot.creep:
            return (1 + self.slot.creep) ** ((bucket - self.first) // per_day + 1)
        return self.slot.factor


@dataclass(slots=True)
class _Plan:
    spend: Spend
    live_from: int
    found: list[Planted] = field(default_factory=list)
    moved: list[dict[Dimension, float]] = field(default_factory=list)


def plant(spend: Spend, *, live_from: int, slots: Iterable[Slot], seed: int) -> tuple[Planted, ...]:
    """Find a target for every slot, in the order of the slots; one that finds none is left out (few tags, few days)."""
    draw = random.Random(f"incidents {seed}")  # noqa: S311  # repeatable, not secret
    plan = _Plan(spend, live_from)
    for slot in slots:
        values = sorted({value for w in spend.workloads for name, value in w.dimensions if name == slot.dimension})
        draw.shuffle(values)
        resource = f"i-{draw.getrandbits(68):017x}"
        for value in values if slot.kind is not IncidentKind.NEW_TAG else ["new-initiative"]:
            if _planted(plan, slot, (slot.dimension, value), resource):
                break
    return tuple(plan.found)


def _planted(plan: _Plan, slot: Slot, target: Dimension, resource: str) -> bool:
    calendar, spend = plan.spend.calendar, plan.spend
    # Not on the first live day: within-day revisions should be seen on a quiet one first.
    live_days = calendar.days - plan.live_from // calendar.per_day
    day = 1 + round(slot.at * live_days)
    first = plan.live_from + day * calendar.per_day
    last = calendar.buckets if slot.days is None else first + slot.days * calendar.per_day
    if last > calendar.buckets or first >= calendar.buckets:
        return False
    own = [w for w in spend.workloads if target in w.dimensions]
    extra = _extra_line(plan, slot, target, own, resource)
    candidate = Planted(
        slot=slot,
        target=target,
        first=first,
        last=last,
        workloads=frozenset(w.index for w in own) if slot.factor != 1.0 or slot.creep else frozenset(),
        extra=extra,
    )
    moved = _moved(spend, candidate)
    if any(abs(other.get(target, 0.0)) > _STRAY for other in plan.moved):
        return False
    if any(abs(moved.get(before.target, 0.0)) > _STRAY for before in plan.found):
        return False
    plan.found.append(candidate)
    plan.moved.append(moved)
    return True


def _extra_line(plan: _Plan, slot: Slot, target: Dimension, own: Sequence[Workload], resource: str) -> Workload | None:
    """The new line that an incident adds, with an index of its own."""
    service, usage_type, unit, price = GPU
    taken = sum(planted.extra is not None for planted in plan.found)
    index = len(plan.spend.workloads) + taken
    if slot.kind is IncidentKind.NEW_TAG:
        return Workload(
            index=index, team=target[1], project=target[1], customer="internal", service=service, resource=resource,
            usage_type=usage_type, unit=unit, unit_price=price, base=_NEW_TAG_USD_PER_DAY,
        )  # fmt: skip
    if not slot.extra:
        return None
    largest = max(own, key=lambda workload: workload.base)
    return Workload(
        index=index, team=largest.team, project=largest.project, customer=largest.customer, service=service,
        resource=resource, usage_type=usage_type, unit=unit, unit_price=price,
        base=slot.extra * sum(workload.base for workload in own),
    )  # fmt: skip


def _moved(spend: Spend, planted: Planted) -> dict[Dimension, float]:
    """(dimension, value) -> by which share of its level an incident moves it at its worst."""
    level: dict[Dimension, float] = {}
    change: dict[Dimension, float] = {}
    for workload in spend.workloads:
        factor = planted.factor(workload, planted.last - 1, spend.calendar.per_day)
        for dimension in workload.dimensions:
            level[dimension] = level.get(dimension, 0.0) + workload.base
            if factor != 1.0:
                change[dimension] = change.get(dimension, 0.0) + workload.base * (factor - 1)
    if planted.extra is not None:
        for dimension in planted.extra.dimensions:
            change[dimension] = change.get(dimension, 0.0) + planted.extra.base
    return {dimension: moved / level.get(dimension, moved) for dimension, moved in change.items()}


def describe(spend: Spend, planted: Planted, series_of: SeriesOf) -> Incident:
    """The ground truth of an incident."""
    calendar = spend.calendar
    moved = {name: share for name, share in _moved(spend, planted).items() if abs(share) >= _NOTICED}
    target = series_of(planted.target)
    amount = sum(
        spend.cost(workload, bucket) * (planted.factor(workload, bucket, calendar.per_day) - 1)
        for workload in spend.workloads
        if workload.index in planted.workloads
        for bucket in range(planted.first, planted.last)
    )
    if planted.extra is not None:
        amount += planted.extra.base * (planted.last - planted.first) / calendar.per_day
    return Incident(
        tag=planted.target[1],
        dimension=planted.target[0],
        kind=planted.slot.kind,
        start=instant_at(calendar, planted.first),
        end=instant_at(calendar, planted.last),
        amount=round(amount, 2),
        must=(target,),
        may=tuple(sorted(series_of(dimension) for dimension in moved if dimension != planted.target)),
    )


def instant_at(calendar: Calendar, bucket: int) -> str:
    """First instant of a bucket, as facts carry it."""
    midnight = datetime.combine(calendar.first_day, datetime.min.time(), UTC)
    return format_instant(midnight + timedelta(seconds=bucket * calendar.grain.seconds))
