"""Synthetic spend with known incidents: for demos, tests and benchmarks, never a claim about real money.

The history is sent at once, then the live days at `speed`. A live day of daily spend fills up as a bill does: 40, 75
and 100 % of it are stated one after the other as revisions of the same facts, and a few days later one workload is
corrected by a percent or two. Those, a public holiday and a credit are decoys: nothing of them is an incident.

Everything follows from the options: the same options give the same facts, and a cursor goes on exactly.
"""

import asyncio
import hashlib
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from connectors.connector import CursorError, FactBatch
from connectors.facts import Driver, Fact
from connectors.pace import Pace
from connectors.series import Grain, SeriesKey
from connectors.synthetic_incidents import (
    CREEP_SLOT,
    NEW_TAG_SLOT,
    SLOTS,
    Dimension,
    Incident,
    describe,
    instant_at,
    plant,
)
from connectors.synthetic_spend import Calendar, Spend, Workload, build_workloads

_PHASES = {Grain.DAY: (0.4, 0.75, 1.0), Grain.HOUR: (1.0,)}
_WHOLE = 3
"""Revision of a bucket that is complete; 1 and 2 are a day that still fills up, 4 is a correction."""
_CORRECTION = 1.015
_RESTATED_AFTER_DAYS = 3
_TOP_DRIVERS = 5
_FACTS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticOptions:
    """tags: number of teams; projects and customers follow from it. history_days are sent at once, then `days`.

    first_live_day: fixed, because nothing here reads a clock. Six incidents need about 12 teams and 20 days; what
    does not fit is left out, `plan` says what was planted. creep, new_tag: plant one of these too.
    """

    name: str
    seed: int = 7
    tags: int = 12
    history_days: int = 42
    days: int = 30
    grain: Grain = Grain.DAY
    tenant: str = "default"
    metric: str = "effective_cost"
    currency: str = "USD"
    first_live_day: date = date(2026, 9, 28)
    creep: bool = False
    new_tag: bool = False


class Decoy(Struct, frozen=True, kw_only=True):
    """Something that looks like an incident and is none. series: empty when it concerns all of them."""

    kind: str
    start: str
    series: tuple[str, ...] = ()


class Truth(Struct, frozen=True, kw_only=True):
    """What was planted, for whoever measures. Never part of the stream."""

    synthetic: bool
    seed: int
    incidents: tuple[Incident, ...]
    decoys: tuple[Decoy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One batch. due: event time in seconds since 1970, None for the history. share: how much of it is there yet."""

    buckets: range
    due: float | None = None
    share: float = 1.0
    revision: int = _WHOLE
    restate: int | None = None
    """Bucket that is corrected along with this step."""


def plan(options: SyntheticOptions) -> list[Incident]:
    """The incidents in the order of time; the same for the same options."""
    return list(_Scenario(options).incidents)


def write_truth(options: SyntheticOptions, path: Path) -> None:
    """Write the labels as JSON, all or nothing."""
    truth = _Scenario(options).truth
    part = path.with_name(path.name + ".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(truth), indent=2) + b"\n")
    part.replace(path)


class SyntheticConnector:
    """speed: days of event time per second for the live days; None for all at once."""

    def __init__(
        self,
        options: SyntheticOptions,
        *,
        speed: float | None = None,
        truth_path: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._options = options
        self._speed = speed
        self._truth_path = truth_path
        self._clock = clock
        self._sleep = sleep

    @property
    def name(self) -> str:
        return self._options.name

    async def batches(self, cursor: str | None) -> AsyncIterator[FactBatch]:
        """Raises CursorError when the options are not those the cursor was written with."""
        done = self._read_cursor(cursor)
        if self._truth_path is not None:
            await asyncio.to_thread(write_truth, self._options, self._truth_path)
        scenario = await asyncio.to_thread(_Scenario, self._options)
        speed = None if self._speed is None else self._speed * 86_400
        pace = Pace(speed, longest_wait=float("inf"), clock=self._clock, sleep=self._sleep)
        for number, step in enumerate(scenario.steps(), start=1):
            if number <= done:
                continue
            if step.due is not None:
                await pace.until(step.due)
            facts = tuple(scenario.facts(step))
            yield FactBatch(
                facts=facts,
                watermark=instant_at(scenario.calendar, step.buckets.stop) if step.share == 1.0 else None,
                cursor=f"{_digest(self._options)}:{number}",
                rows=len(facts),
            )

    def _read_cursor(self, cursor: str | None) -> int:
        if cursor is None:
            return 0
        digest, colon, number = cursor.partition(":")
        if not colon or digest != _digest(self._options) or not number.isdecimal():
            expected = "one of the same options (seed, tags, days ...); give a changed connector another name"
            raise CursorError(self.name, cursor, expected)
        return int(number)


class _Scenario:
    """The options worked out: spend, incidents, decoys, and the facts of every step."""

    def __init__(self, options: SyntheticOptions) -> None:
        self._options = options
        first_day = options.first_live_day - timedelta(days=options.history_days)
        self.calendar = Calendar(first_day, options.history_days + options.days, options.grain)
        self._live_from = options.history_days * self.calendar.per_day
        self._holiday = options.history_days + max(1, options.days // 3)
        self._spend = Spend(
            build_workloads(options.tags, options.seed), self.calendar, seed=options.seed, holiday=self._holiday
        )
        slots = [*SLOTS, *([CREEP_SLOT] if options.creep else []), *([NEW_TAG_SLOT] if options.new_tag else [])]
        self._planted = plant(self._spend, live_from=self._live_from, slots=slots, seed=options.seed)
        self._series = {name: self._key(name) for name in self._dimensions()}

    @property
    def incidents(self) -> tuple[Incident, ...]:
        found = (describe(self._spend, planted, self._key) for planted in self._planted)
        return tuple(sorted(found, key=lambda incident: incident.start))

    @property
    def truth(self) -> Truth:
        calendar, per_day = self.calendar, self.calendar.per_day
        decoys = [Decoy(kind="holiday", start=instant_at(calendar, self._holiday * per_day))]
        credit = self._credit()
        decoys.append(Decoy(kind="credit", start=credit.charge_period_start, series=(credit.series,)))
        for step in self.steps():
            if step.restate is not None:
                workload = self._corrected(step.restate)
                series = tuple(sorted(self._series[name] for name in workload.dimensions))
                decoys.append(Decoy(kind="restatement", start=instant_at(calendar, step.restate), series=series))
        if self._options.grain is Grain.DAY:
            decoys.append(Decoy(kind="partial_days", start=instant_at(calendar, self._live_from)))
        return Truth(synthetic=True, seed=self._options.seed, incidents=self.incidents, decoys=tuple(decoys))

    def steps(self) -> Iterator[_Step]:
        """The history in large steps, then every live bucket as it fills up."""
        at_once = max(1, _FACTS_AT_ONCE // len(self._series))
        for first in range(0, self._live_from, at_once):
            yield _Step(buckets=range(first, min(first + at_once, self._live_from)))
        midnight = datetime.combine(self.calendar.first_day, datetime.min.time(), UTC).timestamp()
        seconds, phases = self._options.grain.seconds, _PHASES[self._options.grain]
        for bucket in range(self._live_from, self.calendar.buckets):
            for revision, share in enumerate(phases, start=_WHOLE - len(phases) + 1):
                yield _Step(
                    buckets=range(bucket, bucket + 1),
                    due=midnight + (bucket + share) * seconds,
                    share=share,
                    revision=revision,
                    restate=self._restated_with(bucket) if share == 1.0 else None,
                )

    def _restated_with(self, bucket: int) -> int | None:
        """The older bucket that is corrected when this one is complete, at the end of some days."""
        per_day = self.calendar.per_day
        corrected = bucket - _RESTATED_AFTER_DAYS * per_day
        ends_day = bucket % per_day == per_day - 1
        return corrected if ends_day and corrected >= self._live_from and bucket // per_day % 3 == 0 else None

    def facts(self, step: _Step) -> Iterator[Fact]:
        """The facts of a step, in a repeatable order."""
        credit = self._credit()
        for bucket in step.buckets:
            yield from self._facts_of(bucket, share=step.share, revision=step.revision)
            if step.share == 1.0 and credit.charge_period_start == instant_at(self.calendar, bucket):
                yield credit
        if step.restate is not None:
            corrected = self._corrected(step.restate)
            touched = {self._series[name] for name in corrected.dimensions}
            for fact in self._facts_of(step.restate, share=1.0, revision=_WHOLE + 1, corrected=corrected):
                if fact.series in touched:
                    yield fact

    def _facts_of(
        self, bucket: int, *, share: float, revision: int, corrected: Workload | None = None
    ) -> Iterator[Fact]:
        """One fact a series, 0 included: a service that is switched off is billed nothing, not left out."""
        parts: dict[Dimension, list[tuple[float, Workload]]] = {}
        for workload, cost in self._costs(bucket):
            factor = share * _CORRECTION if workload is corrected else share
            for name in workload.dimensions:
                parts.setdefault(name, []).append((round(cost * factor, 4), workload))
        start = instant_at(self.calendar, bucket)
        for name, costs in parts.items():
            largest = sorted(costs, key=lambda part: (-part[0], part[1].index))[:_TOP_DRIVERS]
            yield Fact(
                series=self._series[name],
                charge_period_start=start,
                value=round(sum(cost for cost, _ in costs), 4),
                origin=self._origin,
                revision=revision,
                drivers=tuple(_driver(cost, workload) for cost, workload in largest if cost > 0),
            )

    def _costs(self, bucket: int) -> Iterator[tuple[Workload, float]]:
        per_day = self.calendar.per_day
        felt = [planted for planted in self._planted if planted.first <= bucket < planted.last]
        for workload in self._spend.workloads:
            cost = self._spend.cost(workload, bucket)
            for planted in felt:
                cost *= planted.factor(workload, bucket, per_day)
            yield workload, cost
        for planted in felt:
            if planted.extra is not None:
                yield planted.extra, planted.extra.base / per_day

    def _corrected(self, bucket: int) -> Workload:
        """The workload whose bill of a bucket is corrected later."""
        draw = random.Random(f"correction {self._options.seed} {bucket}")  # noqa: S311  # repeatable, not secret
        return draw.choice(self._spend.workloads)

    def _credit(self) -> Fact:
        """One promotional credit, on a metric of its own as bills are split."""
        team = self._spend.workloads[0].team
        bucket = self._live_from + self._options.days // 2 * self.calendar.per_day
        return Fact(
            series=self._key(("tag:team", team), metric=f"{self._options.metric}.credit"),
            charge_period_start=instant_at(self.calendar, bucket),
            value=-250.0,
            origin=self._origin,
            revision=_WHOLE,
        )

    @property
    def _origin(self) -> str:
        return f"{self._options.name}:seed-{self._options.seed}"

    def _dimensions(self) -> list[Dimension]:
        extra = [planted.extra for planted in self._planted if planted.extra is not None]
        return sorted({name for workload in (*self._spend.workloads, *extra) for name in workload.dimensions})

    def _key(self, name: Dimension, *, metric: str | None = None) -> str:
        dimension, value = name
        key = SeriesKey(
            tenant=self._options.tenant,
            metric=metric or self._options.metric,
            unit=self._options.currency,
            grain=self._options.grain,
            dimension=dimension,
            value=value,
        )
        return str(key)


def _driver(cost: float, workload: Workload) -> Driver:
    return Driver(
        labels={"service_name": workload.service, "resource_id": workload.resource, "sku_id": workload.usage_type},
        cost=cost,
        quantity=round(cost / workload.unit_price, 3),
        unit=workload.unit,
    )


def _digest(options: SyntheticOptions) -> str:
    """Names everything the facts follow from."""
    text = json.dumps(asdict(options), default=str, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
