"""What the runner is tested with: a sink that remembers, connectors that are lists, and a way to be killed anywhere."""

import itertools
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from connectors.checkpoint import BucketKey, Checkpoint, Intent
from connectors.connector import BadReason, BadRecord, Delivery, FactBatch, Refused, Unchanged
from connectors.facts import Basis, Fact, Fold, Watermark

BUCKETS = [f"2024-09-{day:02}T00:00:00Z" for day in range(1, 29)]


def series(team: str) -> str:
    return f"default/effective_cost/USD/1d/tag:team={team}"


def bad_record(line: int = 7) -> BadRecord:
    return BadRecord(
        source="bills",
        place=f"a.csv:{line}",
        field="BilledCost",
        reason=BadReason.NOT_A_NUMBER,
        message=f"BilledCost must be a decimal, got 'x' at a.csv:{line}",
        raw=b"2024-09-01,x",
    )


def delivery(
    content: Mapping[tuple[str, str], float],
    *,
    origin: str = "bills:a.csv",
    revision: int = 100,
    complete_until: str | None = None,
    bad: tuple[BadRecord, ...] = (),
    basis: Basis = Basis.BILLED,
) -> Delivery:
    """content: (team, start of the bucket) -> value. Its fingerprint follows from it."""
    facts = tuple(
        Fact(
            series=series(team),
            charge_period_start=start,
            value=value,
            origin=origin,
            revision=revision,
            basis=basis,
        )
        for (team, start), value in content.items()
    )
    return Delivery(
        origin=origin,
        revision=revision,
        facts=facts,
        complete_until=complete_until,
        bad=bad,
        rows=len(facts) + len(bad),
        fingerprint=repr(sorted(content.items())),
    )


class Killed(BaseException):
    """Stands for kill -9: nothing of ours catches it."""


class Tripwire:
    """Kills at the n-th call of `pass_by`, never for None."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.passed = 0

    def pass_by(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            raise Killed


@dataclass
class RecordingSink:
    """Keeps everything it was given, in order. fail: errors to raise instead, one a call, None for none."""

    wire: Tripwire = field(default_factory=Tripwire)
    sent: list[Fact | Watermark | BadRecord] = field(default_factory=list)
    fail: list[Exception | None] = field(default_factory=list)

    @property
    def facts(self) -> list[Fact]:
        return [message for message in self.sent if isinstance(message, Fact)]

    @property
    def watermarks(self) -> list[str]:
        return [message.complete_until for message in self.sent if isinstance(message, Watermark)]

    @property
    def dead_letters(self) -> list[BadRecord]:
        return [message for message in self.sent if isinstance(message, BadRecord)]

    async def publish(self, facts: Sequence[Fact]) -> None:
        """Like a broker: killed in the middle, some of it is written."""
        self._maybe_fail()
        for fact in facts:
            self.wire.pass_by()
            self.sent.append(fact)
        self.wire.pass_by()

    async def watermark(self, watermark: Watermark) -> None:
        self._maybe_fail()
        self.wire.pass_by()
        self.sent.append(watermark)
        self.wire.pass_by()

    async def dead_letter(self, bad: BadRecord) -> None:
        self._maybe_fail()
        self.wire.pass_by()
        self.sent.append(bad)

    def _maybe_fail(self) -> None:
        if self.fail and (error := self.fail.pop(0)) is not None:
            raise error


class TrippingCheckpoint(Checkpoint):
    """A checkpoint that may be killed before and after each of its writes."""

    def __init__(self, path: Path, wire: Tripwire | None = None, *, target: str = "") -> None:
        self.wire = wire or Tripwire()
        super().__init__(path, target=target)

    def intend(
        self, connector: str, origin: str, *, fingerprint: str, revision: int, buckets: Iterable[BucketKey]
    ) -> Intent:
        self.wire.pass_by()
        intent = super().intend(connector, origin, fingerprint=fingerprint, revision=revision, buckets=buckets)
        self.wire.pass_by()
        return intent

    def confirm(self, connector: str, origin: str, intent: Intent, *, complete_until: str | None) -> None:
        self.wire.pass_by()
        super().confirm(connector, origin, intent, complete_until=complete_until)
        self.wire.pass_by()

    def save_cursor(self, connector: str, cursor: str) -> None:
        self.wire.pass_by()
        super().save_cursor(connector, cursor)
        self.wire.pass_by()

    def save_watermark(self, connector: str, watermark: str) -> None:
        self.wire.pass_by()
        super().save_watermark(connector, watermark)
        self.wire.pass_by()


@dataclass
class ListConnector:
    """Yields what it holds, as a connector of files would. fail: raised instead of a poll, one each."""

    items: list[Delivery | Refused] = field(default_factory=list)
    name: str = "bills"
    fail: list[Exception] = field(default_factory=list)
    polls: int = 0

    async def deliveries(self, known: Mapping[str, str]) -> AsyncIterator[Delivery | Unchanged | Refused]:
        self.polls += 1
        if self.fail:
            raise self.fail.pop(0)
        for item in self.items:
            if isinstance(item, Delivery) and known.get(item.origin) == item.fingerprint:
                yield Unchanged(origin=item.origin)
            else:
                yield item


@dataclass
class CountingConnector:
    """A continuous source of `total` events, two a batch; its cursor is the number of events taken."""

    total: int
    name: str = "meter"

    async def batches(self, cursor: str | None) -> AsyncIterator[FactBatch]:
        for first in range(int(cursor or 0), self.total, 2):
            numbers = range(first, min(first + 2, self.total))
            facts = tuple(
                Fact(
                    series=series("search"),
                    charge_period_start=BUCKETS[number // 4],
                    value=1.0 + number,
                    origin="meter:live",
                    fold=Fold.ADD,
                    basis=Basis.ESTIMATED,
                    event_id=f"event-{number}",
                )
                for number in numbers
            )
            bad = (bad_record(first),) if first == 2 else ()
            yield FactBatch(
                facts=facts,
                watermark=BUCKETS[first // 4],
                cursor=str(numbers.stop),
                bad=bad,
                rows=len(facts) + len(bad),
            )


def fold(facts: Sequence[Fact]) -> dict[tuple[str, str], float]:
    """What is known downstream after these facts, in any order: (series, start) -> value; buckets of 0 left out.

    The rules of docs/architecture.md: per origin and basis the highest revision of a `set`, every event once.
    """
    stated: dict[tuple[str, str], dict[tuple[str, Basis], tuple[int, float]]] = {}
    events: dict[tuple[str, str], dict[str, float]] = {}
    for fact in facts:
        bucket = fact.series, fact.charge_period_start
        if fact.fold is Fold.SET:
            of_bucket = stated.setdefault(bucket, {})
            said = fact.revision, fact.value
            of_bucket[fact.origin, fact.basis] = max(said, of_bucket.get((fact.origin, fact.basis), said))
        else:
            events.setdefault(bucket, {})[fact.event_id] = fact.value
    sums = {
        bucket: sum(value for _, value in stated.get(bucket, {}).values()) + sum(events.get(bucket, {}).values())
        for bucket in itertools.chain(stated, events)
    }
    return {bucket: value for bucket, value in sums.items() if value}
