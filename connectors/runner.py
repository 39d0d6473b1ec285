"""Drives connectors: read, publish, remember; the same care for all of them.

For a delivery, in this order: the intent is written, facts and retractions are acknowledged by the broker, bad records
are acknowledged as dead letters, the delivery is confirmed. For a batch of a continuous source: facts, bad
records, watermark, then the cursor. The first facts of a source, of either kind, follow a watermark. Killed anywhere,
the next run repeats from there, and what it repeats changes nothing downstream.
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import structlog

from connectors.backoff import backoff_seconds
from connectors.checkpoint import Checkpoint
from connectors.connector import (
    BadReason,
    BadRecord,
    Connector,
    ContinuousConnector,
    Delivery,
    FactBatch,
    Refused,
    Unchanged,
)
from connectors.errors import ConnectorError
from connectors.facts import Fact, Watermark
from connectors.metrics import ConnectorMetrics
from connectors.promises import announcement, latest_promise
from connectors.publisher import PublishError
from connectors.restatement import buckets_of, instant_of, retraction, with_revision

_JITTER = 0.1
"""Intervals vary by this share, so that many connectors do not ask at the same moment."""
_LONGEST_POLL_BACKOFF_SECONDS = 300.0
_LONGEST_PUBLISH_BACKOFF_SECONDS = 30.0
_DEAD_LETTERS_AT_ONCE = 500

_log = structlog.get_logger(__name__)


class FactSink(Protocol):
    """Where facts go: connectors/publisher.py, or a list in a test. All of it raises PublishError."""

    async def publish(self, facts: Sequence[Fact]) -> None: ...

    async def watermark(self, watermark: Watermark) -> None: ...

    async def dead_letter(self, bad: BadRecord) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """poll_seconds: time between two polls; None for a source that is read once and done."""

    connector: Connector | ContinuousConnector
    poll_seconds: float | None


@dataclass(slots=True, kw_only=True)
class Summary:
    """What one run of a connector did. rows counts bad ones too, facts counts retractions too."""

    connector: str
    rows: int = 0
    facts: int = 0
    retracted: int = 0
    deliveries: int = 0
    unchanged: int = 0
    bad: Counter[BadReason] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    series: set[str] = field(default_factory=set)

    @property
    def exit_code(self) -> int:
        """2 when something was not what it claims to be; what could be read was published all the same."""
        return 2 if self.refused else 0


class Runner:
    """now: seconds since 1970, for metrics and to know a promise about the future. draw: in [0, 1), for jitter.

    on_progress: told the running summary after every delivery and batch; must not block.
    """

    def __init__(
        self,
        sink: FactSink,
        checkpoint: Checkpoint,
        metrics: ConnectorMetrics,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
        on_progress: Callable[[Summary], None] = lambda _: None,
    ) -> None:
        self._sink = sink
        self._checkpoint = checkpoint
        self._metrics = metrics
        self._sleep = sleep
        self._now = now
        self._draw = draw
        self._on_progress = on_progress
        self._newest: dict[str, float] = {}
        self._before: dict[str, set[str]] = {}

    async def run(self, schedules: Sequence[Schedule]) -> None:
        """Run connectors beside each other until all are done or the task is cancelled.

        One that fails is tried again later and never stops another.
        """
        async with asyncio.TaskGroup() as group:
            for schedule in schedules:
                group.create_task(self._keep_running(schedule))

    async def run_once(self, connector: Connector | ContinuousConnector) -> Summary:
        """Read everything a connector has now. Waits for the broker as long as it takes.

        Raises PublishError for what the broker will never take, and whatever the source raises.
        """
        self._metrics.register(connector.name)
        summary = Summary(connector=connector.name)
        if isinstance(connector, ContinuousConnector):
            await self._follow(connector, summary)
        else:
            await self._poll(connector, summary)
        self._metrics.last_poll_success.labels(connector.name).set(self._now())
        return summary

    async def _keep_running(self, schedule: Schedule) -> None:
        connector, failures, told = schedule.connector, 0, ""
        log = _log.bind(connector=connector.name)
        self._metrics.register(connector.name)
        self._metrics.poll_interval.labels(connector.name).set(schedule.poll_seconds or 0.0)
        while True:
            try:
                summary = await self.run_once(connector)
            # The edge: whatever a source does wrong is its own trouble, told here and tried again.
            except Exception as error:
                failures += 1
                self._metrics.poll_failures.labels(connector.name, _failure(error)).inc()
                delay = backoff_seconds(failures, longest=_LONGEST_POLL_BACKOFF_SECONDS)
                trace = _failure(error) == "fault" and repr(error) != told  # once, not with every retry
                log.error("poll failed", error=str(error), retry_in_seconds=delay, exc_info=trace)
                told = repr(error)
            else:
                failures, told = 0, ""
                log.info("polled", **_told(summary))
                if schedule.poll_seconds is None:
                    return
                delay = schedule.poll_seconds
            await self._sleep(delay * (1 + _JITTER * (2 * self._draw() - 1)))

    async def _poll(self, connector: Connector, summary: Summary) -> None:
        known = await asyncio.to_thread(self._checkpoint.known, connector.name)
        async for delivery in connector.deliveries(known):
            match delivery:
                case Delivery():
                    await self._deliver(connector.name, delivery, summary)
                    outcome = "published"
                case Unchanged():
                    summary.unchanged += 1
                    outcome = "unchanged"
                case Refused():
                    self._refuse(connector.name, delivery, summary)
                    outcome = "refused"
            self._metrics.deliveries.labels(connector.name, outcome).inc()
            self._on_progress(summary)
        await self._promise(connector.name)

    async def _deliver(self, connector: str, delivery: Delivery, summary: Summary) -> None:
        buckets = buckets_of(delivery, connector)
        intent = await asyncio.to_thread(
            self._checkpoint.intend,
            connector,
            delivery.origin,
            fingerprint=delivery.fingerprint,
            revision=delivery.revision,
            buckets=buckets,
        )
        facts = with_revision(delivery.facts, intent.revision)
        retractions = [retraction(delivery.origin, bucket, intent.revision) for bucket in intent.retract]
        await self._announce(connector, facts, delivery.complete_until)
        await self._publish(connector, [*facts, *retractions])
        await self._put_aside(connector, delivery.bad)
        await asyncio.to_thread(
            self._checkpoint.confirm, connector, delivery.origin, intent, complete_until=delivery.complete_until
        )
        self._count(summary, facts=[*facts, *retractions], rows=delivery.rows, bad=delivery.bad)
        summary.deliveries += 1
        summary.retracted += len(retractions)
        self._metrics.facts_retracted.labels(connector).inc(len(retractions))

    async def _announce(self, connector: str, facts: Sequence[Fact], promised: str | None) -> None:
        """Lead up to a source's first facts, and to those far ahead of what it said before (connectors/promises.py)."""
        before = self._before.get(connector)
        if before is None:
            before = set(await asyncio.to_thread(self._checkpoint.complete_until, connector))
        starts = {fact.charge_period_start for fact in facts}
        leading = announcement(starts, before, self._now(), promised=promised)
        if leading is not None:
            await self._send_watermark(connector, leading)
        reached = latest_promise(before | starts, self._now())
        self._before[connector] = before if reached is None else {reached}

    async def _promise(self, connector: str) -> None:
        """Send the watermark of all confirmed deliveries, once: after a poll, not between its files.

        A file of last month read after one of this month would otherwise come behind the watermark. After a restatement
        the same watermark is sent again: downstream waits for it before it judges anew.
        """
        promised = await asyncio.to_thread(self._checkpoint.complete_until, connector)
        sent = await asyncio.to_thread(self._checkpoint.watermark, connector)
        latest = latest_promise(promised, self._now())
        if latest is None or (sent is not None and instant_of(latest) <= instant_of(sent)):
            return
        await self._send_watermark(connector, latest)
        await asyncio.to_thread(self._checkpoint.save_watermark, connector, latest)

    async def _follow(self, connector: ContinuousConnector, summary: Summary) -> None:
        cursor = await asyncio.to_thread(self._checkpoint.cursor, connector.name)
        is_first = cursor is None
        async for batch in connector.batches(cursor):
            if is_first and batch.watermark is not None:
                await self._announce_first(connector.name, batch)
                is_first = False
            await self._take(connector.name, batch, summary)
            self._on_progress(summary)

    async def _announce_first(self, connector: str, batch: FactBatch) -> None:
        # A replay may play in the future, and says so on purpose.
        starts = {fact.charge_period_start for fact in batch.facts}
        leading = announcement(starts, (), math.inf, promised=batch.watermark)
        if leading is not None:
            await self._send_watermark(connector, leading)

    async def _take(self, connector: str, batch: FactBatch, summary: Summary) -> None:
        await self._publish(connector, batch.facts)
        await self._put_aside(connector, batch.bad)
        if batch.watermark is not None:
            await self._send_watermark(connector, batch.watermark)
        await asyncio.to_thread(self._checkpoint.save_cursor, connector, batch.cursor)
        self._count(summary, facts=batch.facts, rows=batch.rows, bad=batch.bad)
        for refused in batch.refused:
            self._refuse(connector, refused, summary)
            self._metrics.deliveries.labels(connector, "refused").inc()

    def _count(self, summary: Summary, *, facts: Sequence[Fact], rows: int, bad: Sequence[BadRecord]) -> None:
        summary.rows += rows
        summary.facts += len(facts)
        summary.series.update(fact.series for fact in facts)
        self._metrics.rows_read.labels(summary.connector).inc(rows)
        for record in bad:
            summary.bad[record.reason] += 1
            self._metrics.bad_records.labels(summary.connector, record.reason.value).inc()

    def _refuse(self, connector: str, refused: Refused, summary: Summary) -> None:
        summary.refused.append(refused)
        _log.error("not what it claims to be", connector=connector, error=str(refused))

    async def _publish(self, connector: str, facts: Sequence[Fact]) -> None:
        if not facts:
            return
        newest = max(instant_of(start).timestamp() for start in {fact.charge_period_start for fact in facts})
        await self._until_acknowledged(connector, partial(self._sink.publish, facts))
        self._metrics.facts_published.labels(connector).inc(len(facts))
        # A restated day is not the newest: the gauge says how far the source has come.
        self._newest[connector] = max(newest, self._newest.get(connector, 0.0))
        self._metrics.last_fact.labels(connector).set(self._newest[connector])

    async def _send_watermark(self, connector: str, complete_until: str) -> None:
        watermark = Watermark(source=connector, complete_until=complete_until)
        await self._until_acknowledged(connector, partial(self._sink.watermark, watermark))

    async def _put_aside(self, connector: str, bad: Sequence[BadRecord]) -> None:
        for first in range(0, len(bad), _DEAD_LETTERS_AT_ONCE):
            some = bad[first : first + _DEAD_LETTERS_AT_ONCE]
            await self._until_acknowledged(connector, partial(self._send_dead_letters, some))

    async def _send_dead_letters(self, bad: Sequence[BadRecord]) -> None:
        outcomes = await asyncio.gather(*map(self._sink.dead_letter, bad), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _until_acknowledged(self, connector: str, send: Callable[[], Awaitable[None]]) -> None:
        """Try until the broker takes it: what was read is kept in hand meanwhile, so nothing is lost or read twice."""
        failures = 0
        while True:
            try:
                return await send()
            except PublishError as error:
                self._metrics.publish_failures.labels(connector).inc()
                if not error.retryable:
                    raise
                failures += 1
                delay = backoff_seconds(failures, longest=_LONGEST_PUBLISH_BACKOFF_SECONDS)
                _log.warning("not acknowledged", connector=connector, error=str(error), retry_in_seconds=delay)
                await self._sleep(delay)


def _failure(error: Exception) -> str:
    """Which of metrics.FAILURES an error counts as."""
    if isinstance(error, PublishError):
        return "publish"
    if isinstance(error, OSError) or (isinstance(error, ConnectorError) and error.exit_code != 70):
        return "source"
    return "fault"


def _told(summary: Summary) -> dict[str, int | dict[str, int]]:
    """A summary as a log line tells it."""
    return {
        "rows": summary.rows,
        "facts": summary.facts,
        "retracted": summary.retracted,
        "series": len(summary.series),
        "deliveries": summary.deliveries,
        "unchanged": summary.unchanged,
        "refused": len(summary.refused),
        "bad": {reason.value: count for reason, count in sorted(summary.bad.items())},
    }
