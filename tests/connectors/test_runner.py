import asyncio
import random
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from connectors.checkpoint import Checkpoint
from connectors.connector import BadReason, Refused
from connectors.facts import Basis, Fact, Watermark
from connectors.metrics import ConnectorMetrics
from connectors.publisher import PublishError
from connectors.restatement import DeliveryError
from connectors.runner import Runner, Schedule, Summary
from tests.connectors.sinks import (
    BUCKETS,
    CountingConnector,
    Killed,
    ListConnector,
    RecordingSink,
    TrippingCheckpoint,
    Tripwire,
    bad_record,
    delivery,
    fold,
    series,
)

Content = dict[tuple[str, str], float]
RETRYABLE = PublishError(retryable=True, topic="spendwatch.facts", reason="broker away")


class SleepLog:
    """Sleeps at once and says how long it should have been."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.slept: list[float] = []
        self.stop_after = stop_after

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.stop_after is not None and len(self.slept) >= self.stop_after:
            raise asyncio.CancelledError
        await asyncio.sleep(0)


def make_runner(
    sink: RecordingSink,
    checkpoint: Checkpoint,
    *,
    sleep: SleepLog | None = None,
    registry: CollectorRegistry | None = None,
    draw: Callable[[], float] = lambda: 0.5,
) -> Runner:
    metrics = ConnectorMetrics(registry or CollectorRegistry())
    return Runner(sink, checkpoint, metrics, sleep=sleep or SleepLog(), now=lambda: 1_760_000_000.0, draw=draw)


async def deliver(path: Path, sink: RecordingSink, *items: object, wire: Tripwire | None = None) -> Summary:
    """One run of a connector in a process of its own, as far as the checkpoint can tell."""
    sink.wire = wire or Tripwire()
    with TrippingCheckpoint(path, sink.wire) as checkpoint:
        return await make_runner(sink, checkpoint).run_once(ListConnector(list(items)))  # type: ignore[arg-type]


def expected(content: Content) -> Content:
    return {(series(team), start): value for (team, start), value in content.items() if value}


FIRST: Content = {("search", BUCKETS[0]): 10.0, ("search", BUCKETS[1]): 20.0, ("ads", BUCKETS[0]): 5.0}
SECOND: Content = {("search", BUCKETS[0]): 12.0, ("ads", BUCKETS[2]): 7.0}


async def test_a_delivery_is_published_once(tmp_path: Path) -> None:
    sink = RecordingSink()
    first = await deliver(tmp_path / "c.db", sink, delivery(FIRST))
    again = await deliver(tmp_path / "c.db", sink, delivery(FIRST))
    assert len(sink.facts) == 3
    assert (first.deliveries, first.facts, first.rows, len(first.series)) == (1, 3, 3, 2)
    assert (again.deliveries, again.facts, again.unchanged) == (0, 0, 1)


async def test_buckets_left_out_by_a_later_delivery_are_retracted(tmp_path: Path) -> None:
    sink = RecordingSink()
    await deliver(tmp_path / "c.db", sink, delivery(FIRST))
    summary = await deliver(tmp_path / "c.db", sink, delivery(SECOND, revision=200))
    assert summary.retracted == 2
    retractions = [fact for fact in sink.facts if fact.value == 0]
    assert {(fact.series, fact.charge_period_start, fact.revision) for fact in retractions} == {
        (series("search"), BUCKETS[1], 200),
        (series("ads"), BUCKETS[0], 200),
    }
    assert fold(sink.facts) == expected(SECOND)


async def test_a_retraction_is_sent_once(tmp_path: Path) -> None:
    sink = RecordingSink()
    for revision, content in enumerate((FIRST, SECOND, {**SECOND, ("ads", BUCKETS[5]): 1.0})):
        await deliver(tmp_path / "c.db", sink, delivery(content, revision=revision))
    assert len([fact for fact in sink.facts if fact.value == 0]) == 2


async def test_a_restated_bucket_may_name_another_instant_of_itself(tmp_path: Path) -> None:
    sink = RecordingSink()
    await deliver(tmp_path / "c.db", sink, delivery({("search", "2024-09-01T00:00:00Z"): 1.0}))
    summary = await deliver(tmp_path / "c.db", sink, delivery({("search", "2024-09-01T05:30:00Z"): 2.0}))
    assert summary.retracted == 0


async def test_a_change_of_basis_retracts_the_estimate(tmp_path: Path) -> None:
    sink = RecordingSink()
    await deliver(tmp_path / "c.db", sink, delivery({("ads", BUCKETS[0]): 1.0}, basis=Basis.ESTIMATED))
    await deliver(tmp_path / "c.db", sink, delivery({("ads", BUCKETS[0]): 3.0}, revision=200))
    assert [(fact.value, fact.basis) for fact in sink.facts[1:]] == [(3.0, Basis.BILLED), (0.0, Basis.ESTIMATED)]
    assert fold(sink.facts) == {(series("ads"), BUCKETS[0]): 3.0}


async def test_a_revision_that_does_not_rise_is_raised(tmp_path: Path) -> None:
    sink = RecordingSink()
    await deliver(tmp_path / "c.db", sink, delivery(FIRST, revision=100))
    await deliver(tmp_path / "c.db", sink, delivery(SECOND, revision=40))
    assert {fact.revision for fact in sink.facts[3:]} == {101}
    assert fold(sink.facts) == expected(SECOND)


async def test_without_its_checkpoint_the_same_delivery_is_the_same_facts(tmp_path: Path) -> None:
    sink = RecordingSink()
    await deliver(tmp_path / "c.db", sink, delivery(FIRST))
    await deliver(tmp_path / "other.db", sink, delivery(FIRST))
    assert sink.facts[:3] == sink.facts[3:]


async def test_killed_anywhere_the_next_run_ends_as_if_undisturbed(tmp_path: Path) -> None:
    items = delivery(FIRST, bad=(bad_record(),), complete_until=BUCKETS[2])
    for at in range(1, 40):
        sink, path = RecordingSink(), tmp_path / f"{at}.db"
        try:
            await deliver(path, sink, items, wire=Tripwire(at))
        except Killed:
            await deliver(path, sink, items)
        else:
            break
        assert fold(sink.facts) == expected(FIRST), f"killed at step {at}"
        assert {fact.revision for fact in sink.facts} == {100}, f"killed at step {at}"
        assert set(sink.watermarks) == {BUCKETS[0], BUCKETS[2]}, f"killed at step {at}"
        assert sink.watermarks[-1] == BUCKETS[2], f"killed at step {at}"
        assert set(sink.dead_letters) == {bad_record()}, f"killed at step {at}"
    else:
        pytest.fail("the run was killed at every step it was tried at")
    assert at > 10


async def test_killed_anywhere_a_newer_delivery_takes_back_what_was_half_published(tmp_path: Path) -> None:
    for at in range(1, 40):
        sink, path = RecordingSink(), tmp_path / f"{at}.db"
        try:
            await deliver(path, sink, delivery(FIRST), wire=Tripwire(at))
        except Killed:
            await deliver(path, sink, delivery(SECOND))
        else:
            break
        assert fold(sink.facts) == expected(SECOND), f"killed at step {at}"
        random.Random(at).shuffle(sink.sent)
        assert fold(sink.facts) == expected(SECOND), f"killed at step {at}, in another order"
    assert at > 8


contents = st.dictionaries(
    st.tuples(st.sampled_from(["search", "ads", "data"]), st.sampled_from(BUCKETS[:4])),
    st.integers(-50, 50).map(float),
    max_size=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=st.lists(st.tuples(contents, st.integers(0, 300), st.integers(1, 30)), max_size=4),
    last=contents,
    order=st.randoms(use_true_random=False),
)
async def test_any_history_of_restatements_and_kills_ends_with_the_last_delivery(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[tuple[Content, int, int]],
    last: Content,
    order: random.Random,
) -> None:
    sink, path = RecordingSink(), tmp_path_factory.mktemp("checkpoint") / "c.db"
    for content, revision, kill_at in history:
        try:
            await deliver(path, sink, delivery(content, revision=revision), wire=Tripwire(kill_at))
        except Killed:
            continue
    await deliver(path, sink, delivery(last, revision=0))
    order.shuffle(sink.sent)
    assert fold(sink.facts) == expected(last)


async def test_a_continuous_source_killed_anywhere_loses_and_doubles_nothing(tmp_path: Path) -> None:
    whole = RecordingSink()
    with Checkpoint(tmp_path / "whole.db") as checkpoint:
        await make_runner(whole, checkpoint).run_once(CountingConnector(9))
    for at in range(1, 200):
        sink, path = RecordingSink(wire=Tripwire(at)), tmp_path / f"{at}.db"
        killed = False
        with TrippingCheckpoint(path, sink.wire) as checkpoint:
            try:
                await make_runner(sink, checkpoint).run_once(CountingConnector(9))
            except Killed:
                killed = True
        if not killed:
            break
        sink.wire = Tripwire()
        with Checkpoint(path) as checkpoint:
            await make_runner(sink, checkpoint).run_once(CountingConnector(9))
        assert fold(sink.facts) == fold(whole.facts), f"killed at step {at}"
        assert set(sink.dead_letters) == set(whole.dead_letters), f"killed at step {at}"
    assert at > 20


async def test_the_watermark_comes_after_all_deliveries_of_a_poll(tmp_path: Path) -> None:
    sink = RecordingSink()
    newer = delivery(FIRST, origin="bills:b.csv", complete_until="2024-10-01T00:00:00Z")
    older = delivery(SECOND, origin="bills:c.csv", complete_until="2024-09-01T00:00:00Z")
    await deliver(tmp_path / "c.db", sink, newer, older)
    assert sink.watermarks == [BUCKETS[0], "2024-10-01T00:00:00Z"]
    assert sink.sent[-1] not in sink.facts


async def test_a_promise_about_the_future_is_not_passed_on(tmp_path: Path) -> None:
    sink = RecordingSink()
    wrong = delivery(FIRST, origin="bills:b.csv", complete_until="2099-01-01T00:00:00Z")
    await deliver(tmp_path / "c.db", sink, wrong, delivery(SECOND, complete_until=BUCKETS[3]))
    assert sink.watermarks == [BUCKETS[3]]


async def test_a_delivery_years_after_the_one_before_is_announced(tmp_path: Path) -> None:
    sink = RecordingSink()
    old = delivery(
        {("ads", "2022-01-01T00:00:00Z"): 1.0}, origin="bills:2022.csv", complete_until="2022-02-01T00:00:00Z"
    )
    new = delivery(
        {("ads", "2024-06-01T00:00:00Z"): 2.0}, origin="bills:2024.csv", complete_until="2024-07-01T00:00:00Z"
    )
    await deliver(tmp_path / "c.db", sink, old, new)
    assert [type(message).__name__ for message in sink.sent] == ["Watermark", "Fact"] * 2 + ["Watermark"]
    assert sink.watermarks == ["2022-01-01T00:00:00Z", "2023-08-06T00:00:00Z", "2024-07-01T00:00:00Z"]


async def test_it_is_announced_after_a_restart_too(tmp_path: Path) -> None:
    sink = RecordingSink()
    old = delivery({("ads", "2022-01-01T00:00:00Z"): 1.0}, complete_until="2022-02-01T00:00:00Z")
    await deliver(tmp_path / "c.db", sink, old)
    await deliver(tmp_path / "c.db", sink, delivery({("ads", "2024-06-01T00:00:00Z"): 2.0}, origin="bills:2024.csv"))
    assert sink.watermarks[1:] == ["2022-02-01T00:00:00Z", "2023-08-06T00:00:00Z", "2022-02-01T00:00:00Z"]


async def test_a_restatement_is_followed_by_the_watermark_again(tmp_path: Path) -> None:
    sink = RecordingSink()
    await deliver(tmp_path / "c.db", sink, delivery(FIRST, complete_until=BUCKETS[3]))
    await deliver(tmp_path / "c.db", sink, delivery(SECOND, complete_until=BUCKETS[3]))
    assert sink.watermarks == [BUCKETS[0], BUCKETS[3], BUCKETS[3]]
    assert sink.sent[-1] not in sink.facts


async def test_the_same_watermark_is_sent_once(tmp_path: Path) -> None:
    sink = RecordingSink()
    for _ in range(2):
        await deliver(tmp_path / "c.db", sink, delivery(FIRST, complete_until=BUCKETS[3]))
    assert sink.watermarks == [BUCKETS[0], BUCKETS[3]]


async def test_the_first_facts_of_a_source_follow_a_watermark(tmp_path: Path) -> None:
    sink = RecordingSink()
    await deliver(tmp_path / "c.db", sink, delivery(FIRST, complete_until=BUCKETS[3]))
    assert sink.sent[0] == Watermark(source="bills", complete_until=min(start for _, start in FIRST))


async def test_the_first_facts_of_a_source_without_a_promise_follow_none(tmp_path: Path) -> None:
    sink = RecordingSink()
    await deliver(tmp_path / "c.db", sink, delivery(FIRST))
    assert sink.watermarks == []


async def test_the_first_batch_of_a_continuous_source_follows_a_watermark(tmp_path: Path) -> None:
    sink = RecordingSink()
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        for total in (2, 4):
            await make_runner(sink, checkpoint).run_once(CountingConnector(total))
    assert sink.sent[0] == Watermark(source="meter", complete_until=BUCKETS[0])
    assert [type(message).__name__ for message in sink.sent[1:4]] == ["Fact", "Fact", "Watermark"]
    assert len(sink.watermarks) == 3


async def test_bad_records_become_dead_letters_and_are_counted(tmp_path: Path) -> None:
    sink, registry = RecordingSink(), CollectorRegistry()
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        runner = make_runner(sink, checkpoint, registry=registry)
        summary = await runner.run_once(ListConnector([delivery(FIRST, bad=(bad_record(4), bad_record(9)))]))
    assert [bad.place for bad in sink.dead_letters] == ["a.csv:4", "a.csv:9"]
    assert summary.bad == {BadReason.NOT_A_NUMBER: 2}
    labels = {"connector": "bills", "reason": "not_a_number"}
    assert registry.get_sample_value("spendwatch_bad_records_total", labels) == 2.0


async def test_a_refused_file_fails_the_run_while_the_others_are_published(tmp_path: Path) -> None:
    refused = Refused(origin="bills:x.csv", path="in/x.csv", expected="a FOCUS file", found="binary data")
    sink = RecordingSink()
    summary = await deliver(tmp_path / "c.db", sink, refused, delivery(FIRST))
    assert summary.exit_code == 2
    assert [str(entry) for entry in summary.refused] == ["in/x.csv: expected a FOCUS file, found binary data"]
    assert fold(sink.facts) == expected(FIRST)


async def test_the_broker_being_away_is_waited_for_without_reading_again(tmp_path: Path) -> None:
    sink, sleep, connector = RecordingSink(fail=[RETRYABLE] * 7), SleepLog(), ListConnector([delivery(FIRST)])
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        await make_runner(sink, checkpoint, sleep=sleep).run_once(connector)
    assert sleep.slept == [1, 2, 4, 8, 16, 30, 30]
    assert connector.polls == 1
    assert fold(sink.facts) == expected(FIRST)


async def test_what_the_broker_never_takes_is_an_error_and_is_not_confirmed(tmp_path: Path) -> None:
    final = PublishError(retryable=False, topic="spendwatch.facts", reason="MessageSizeTooLargeError")
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        with pytest.raises(PublishError, match=r"topic 'spendwatch\.facts' did not take all messages: MessageSizeToo"):
            await make_runner(RecordingSink(fail=[final]), checkpoint).run_once(ListConnector([delivery(FIRST)]))
        assert checkpoint.known("bills") == {}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (delivery(FIRST, origin="other:a").facts, "has the origin 'other:a'"),
        (delivery(FIRST).facts * 2, "two facts set series"),
        ((Fact(series="nonsense", charge_period_start=BUCKETS[0], value=1, origin="bills:a.csv"),), "expected tenant/"),
        (
            (Fact(series=series("a"), charge_period_start="today", value=1, origin="bills:a.csv"),),
            "expected a UTC time",
        ),
        (
            (Fact(series=series("a"), charge_period_start="2024-09-01", value=1, origin="bills:a.csv"),),
            "expected a UTC time",
        ),
    ],
    ids=["foreign origin", "twice", "bad series", "bad time", "date alone"],
)
async def test_a_delivery_that_breaks_its_promises_is_not_published(
    tmp_path: Path, facts: tuple[Fact, ...], message: str
) -> None:
    sink = RecordingSink()
    broken = delivery({})
    broken = type(broken)(
        origin=broken.origin,
        revision=1,
        facts=facts,
        complete_until=None,
        bad=(),
        rows=1,
        fingerprint="x",
    )
    with pytest.raises(DeliveryError, match=message):
        await deliver(tmp_path / "c.db", sink, broken)
    assert sink.sent == []


async def test_an_origin_must_belong_to_its_connector(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="the origin must begin with 'bills:'"):
        await deliver(tmp_path / "c.db", RecordingSink(), delivery(FIRST, origin="stranger:a"))


async def test_a_failing_connector_backs_off_and_does_not_stop_another(tmp_path: Path) -> None:
    sink, sleep, registry = RecordingSink(), SleepLog(stop_after=12), CollectorRegistry()
    broken = ListConnector(name="broken", fail=[OSError("no such mount")] * 3 + [RuntimeError("bug")] * 50)
    good = ListConnector([delivery(FIRST)])
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        runner = make_runner(sink, checkpoint, sleep=sleep, registry=registry)
        schedules = [Schedule(connector=broken, poll_seconds=60), Schedule(connector=good, poll_seconds=60)]
        await _until_stopped(runner.run(schedules))
    assert fold(sink.facts) == expected(FIRST)
    assert good.polls > 1
    assert [delay for delay in sleep.slept if delay != 60][:4] == [1, 2, 4, 8]
    assert _failures(registry, "source") == 3.0
    assert _failures(registry, "fault") > 0


async def test_a_source_that_is_away_for_days_is_still_asked(tmp_path: Path) -> None:
    sleep, registry = SleepLog(stop_after=2_000), CollectorRegistry()
    broken = ListConnector(name="broken", fail=[OSError("no such mount")] * 2_000)
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        runner = make_runner(RecordingSink(), checkpoint, sleep=sleep, registry=registry)
        await _until_stopped(runner.run([Schedule(connector=broken, poll_seconds=60)]))
    assert (broken.polls, sleep.slept[-1]) == (2_000, 300.0)
    assert _failures(registry, "source") == 2_000


async def test_a_broker_that_is_away_for_days_is_still_tried(tmp_path: Path) -> None:
    sink, sleep = RecordingSink(fail=[RETRYABLE] * 2_000), SleepLog()
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        await make_runner(sink, checkpoint, sleep=sleep).run_once(ListConnector([delivery(FIRST)]))
    assert fold(sink.facts) == expected(FIRST)
    assert (len(sleep.slept), sleep.slept[-1]) == (2_000, 30.0)


async def _until_stopped(run: Coroutine[object, object, None]) -> None:
    """Run until the sleep log has had enough, which cancels every connector's task."""
    await asyncio.wait([asyncio.create_task(run)])


def _failures(registry: CollectorRegistry, reason: str) -> float:
    labels = {"connector": "broken", "reason": reason}
    return registry.get_sample_value("spendwatch_connector_poll_failures_total", labels) or 0.0


async def test_polls_are_spread_by_jitter(tmp_path: Path) -> None:
    for draw, slept in ((0.0, 90.0), (0.5, 100.0), (1.0, 110.0)):
        sleep = SleepLog(stop_after=1)
        with Checkpoint(tmp_path / "c.db") as checkpoint:
            runner = make_runner(RecordingSink(), checkpoint, sleep=sleep, draw=lambda draw=draw: draw)  # type: ignore[misc]
            await _until_stopped(runner.run([Schedule(connector=ListConnector(), poll_seconds=100)]))
        assert sleep.slept == [pytest.approx(slept)]


async def test_a_source_that_is_read_once_ends_the_run_and_has_no_interval(tmp_path: Path) -> None:
    sink, registry = RecordingSink(), CollectorRegistry()
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        runner = make_runner(sink, checkpoint, registry=registry)
        await runner.run([Schedule(connector=CountingConnector(4, name="once"), poll_seconds=None)])
    assert len(sink.facts) == 4
    assert _interval(registry, "once") == 0.0


async def test_the_interval_is_told_even_while_every_poll_fails(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    broken = ListConnector(name="broken", fail=[OSError("no such mount")] * 5)
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        runner = make_runner(RecordingSink(), checkpoint, sleep=SleepLog(stop_after=2), registry=registry)
        await _until_stopped(runner.run([Schedule(connector=broken, poll_seconds=900)]))
    assert _interval(registry, "broken") == 900.0


def _interval(registry: CollectorRegistry, connector: str) -> float | None:
    return registry.get_sample_value("spendwatch_connector_poll_interval_seconds", {"connector": connector})


async def test_metrics_start_at_zero_and_tell_what_was_done(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    ConnectorMetrics(registry).register("bills")
    assert registry.get_sample_value("spendwatch_facts_published_total", {"connector": "bills"}) == 0.0
    labels = {"connector": "bills", "outcome": "refused"}
    assert registry.get_sample_value("spendwatch_connector_deliveries_total", labels) == 0.0

    registry = CollectorRegistry()
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        await make_runner(RecordingSink(), checkpoint, registry=registry).run_once(ListConnector([delivery(FIRST)]))
    values = {
        name: registry.get_sample_value(f"spendwatch_{name}", {"connector": "bills"})
        for name in (
            "facts_published_total",
            "rows_read_total",
            "publish_failures_total",
            "connector_last_poll_success_timestamp_seconds",
            "last_fact_timestamp_seconds",
        )
    }
    assert values == {
        "facts_published_total": 3.0,
        "rows_read_total": 3.0,
        "publish_failures_total": 0.0,
        "connector_last_poll_success_timestamp_seconds": 1_760_000_000.0,
        "last_fact_timestamp_seconds": 1_725_235_200.0,
    }


async def test_a_restated_old_day_does_not_move_the_newest_fact_back(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    connector = ListConnector([delivery({("ads", BUCKETS[5]): 1.0})])
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        runner = make_runner(RecordingSink(), checkpoint, registry=registry)
        await runner.run_once(connector)
        connector.items = [delivery({("ads", BUCKETS[0]): 1.0}, origin="bills:old.csv")]
        await runner.run_once(connector)
    newest = registry.get_sample_value("spendwatch_last_fact_timestamp_seconds", {"connector": "bills"})
    assert newest == 1_725_580_800.0


async def test_progress_is_told_after_every_batch(tmp_path: Path) -> None:
    seen: list[int] = []
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        runner = Runner(
            RecordingSink(),
            checkpoint,
            ConnectorMetrics(CollectorRegistry()),
            on_progress=lambda summary: seen.append(summary.facts),
        )
        await runner.run_once(CountingConnector(5))
    assert seen == [2, 4, 5]
