"""A restart at any record continues as if nothing had happened, and bad snapshots do no harm."""

import random

import msgspec
import pytest

from connectors.facts import Watermark
from service.core.alerts import Alert
from service.core.engine import Engine
from service.core.snapshot import MAX_STATE_BYTES, PARTITION_KEY, SnapshotError
from service.settings import Policy
from service.stream.cut import Cut
from service.stream.snapshots import MARKER_KEY
from service.stream.topics import MAX_SNAPSHOT_BYTES
from tests.service.core.month import DAYS, FINAL, disturbed, make_judging_engine, make_month
from tests.service.core.support import (
    ADS,
    SEARCH,
    Feed,
    Record,
    day,
    make_driver,
    make_engine,
    make_event,
    make_fact,
)


def make_records(seed: int) -> list[Record]:
    """A disturbed month with watermarks in between, as one partition holds it."""
    rng = random.Random(seed)
    feed = Feed(make_engine())
    messages = list(disturbed(make_month(seed), rng))
    # Roughly in order of time, so that much is closed, told and restated before the end.
    messages.sort(key=lambda fact: fact.charge_period_start[:10] if rng.random() < 0.9 else day(rng.randrange(DAYS)))
    records = []
    for place, fact in enumerate(messages):
        records.append(feed.record(fact))
        if place % 97 == 96:
            source = rng.choice(("cur", "export", "meter"))
            records.append(feed.record(Watermark(source=source, complete_until=day(place * DAYS // len(messages)))))
    return records + [feed.record(watermark) for watermark in FINAL]


def undisturbed(records: list[Record]) -> tuple[Engine, list[Alert]]:
    engine = make_judging_engine("trailing")
    engine.apply(records)
    return engine, engine.take_alerts()


def by_series(alerts: list[Alert]) -> dict[str, list[Alert]]:
    """In order within each series: which of two series is told first may change."""
    found: dict[str, list[Alert]] = {}
    for alert in alerts:
        found.setdefault(alert.series, []).append(alert)
    return found


def without_offsets(snapshots: dict[bytes, bytes]) -> dict[bytes, list[object]]:
    """A snapshot bears the offset at which it was taken, after its version."""
    return {key: msgspec.msgpack.decode(snapshot, type=list[object])[2:] for key, snapshot in snapshots.items()}


@pytest.mark.parametrize("seed", range(4))
def test_a_restart_continues_identically(seed: int) -> None:
    records = make_records(seed)
    expected, expected_alerts = undisturbed(records)
    topic: dict[bytes, bytes] = {}
    alerts: list[Alert] = []
    for place in range(0, len(records), 211):
        engine = make_judging_engine("trailing")
        for key, snapshot in topic.items():
            engine.restore(key, snapshot)
        engine.apply(records[place : place + 211])
        alerts += engine.take_alerts()
        topic.update(engine.freeze())
    assert engine.digest() == expected.digest()
    assert by_series(alerts) == by_series(expected_alerts)
    assert without_offsets(topic) == without_offsets(dict(expected.freeze()))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_put_off_ends_as_if_it_had_not_been(seed: int) -> None:
    records = make_records(seed)
    expected, expected_alerts = undisturbed(records)
    rng = random.Random(seed)
    engine = make_judging_engine("trailing", close_limit=0)
    place = 0
    while place < len(records):
        size = rng.randint(1, 40)
        engine.apply(records[place : place + size])
        engine.advance(rng.randint(0, 2))
        place += size
    assert engine.advance(1000) == 0
    assert by_series(engine.take_alerts()) == by_series(expected_alerts)
    assert engine.digest() == expected.digest()


@pytest.mark.parametrize("seed", range(6))
def test_crashes_between_and_within_checkpoints_lose_and_repeat_nothing(seed: int) -> None:
    """What reached the topics before a crash stays; all after the last commit is read again, in other batches."""
    records = make_records(seed)
    expected, expected_alerts = undisturbed(records)
    rng = random.Random(seed)
    log: list[tuple[bytes, bytes]] = []
    sent: list[Alert] = []
    committed = 0
    engine = make_judging_engine("trailing")
    for _ in range(40):
        engine = make_judging_engine("trailing")
        cut = Cut()
        for key, snapshot in log:
            if key == MARKER_KEY:
                cut.complete()
            else:
                cut.add(key, snapshot)
        for entry in cut.take(len(log) + 1):
            engine.restore(*entry)
        place = committed
        for _ in range(rng.randint(1, 4)):
            size = rng.randint(1, 300)
            engine.apply(records[place : place + size])
            place = min(place + size, len(records))
            sent += engine.take_alerts()
            snapshots = engine.freeze()
            if rng.random() < 0.4:
                log += snapshots[: rng.randint(0, len(snapshots))]
                break
            log += [*snapshots, (MARKER_KEY, b"")]
            committed = place
        if committed == len(records):
            break
    assert committed == len(records)
    assert engine.digest() == expected.digest()
    assert versions(sent) == versions(expected_alerts)


def versions(alerts: list[Alert]) -> dict[tuple[str, int], Alert]:
    """What was said; an alert that was sent twice is the same one."""
    found: dict[tuple[str, int], Alert] = {}
    for alert in alerts:
        assert found.setdefault((alert.id, alert.version), alert) == alert
    return found


def test_facts_at_or_below_the_offset_are_skipped() -> None:
    feed = Feed(make_engine())
    records = [feed.record(make_event(0, 5.0, str(number))) for number in range(5)]
    engine = make_engine()
    engine.apply(records)
    engine.apply(records)
    assert engine.stats.skipped == 5
    assert engine.month_to_date(SEARCH) == ("2024-09", 25.0)


def test_highest_offset_wins_whatever_the_order() -> None:
    feed = Feed(make_engine())
    feed.send(make_fact(0, 1.0))
    ((key, old), _) = feed.engine.freeze()
    feed.send(make_fact(0, 2.0, revision=1))
    ((_, new), _) = feed.engine.freeze()
    for first, second in ((old, new), (new, old)):
        engine = make_engine()
        engine.restore(key, first)
        engine.restore(key, second)
        engine.apply(())
        assert engine.month_to_date(SEARCH) == ("2024-09", 2.0)


def test_only_what_changed_is_frozen_and_the_partition_last() -> None:
    feed = Feed(make_engine())
    feed.send(make_fact(0, 1.0), make_fact(0, 1.0, series=f"{SEARCH}-2"))
    assert [key for key, _ in feed.engine.freeze()] == [SEARCH.encode(), f"{SEARCH}-2".encode(), PARTITION_KEY]
    assert feed.engine.freeze() == []
    feed.send(make_fact(0, 2.0, revision=1))
    assert [key for key, _ in feed.engine.freeze()] == [SEARCH.encode(), PARTITION_KEY]


def test_a_freeze_may_be_taken_in_parts() -> None:
    feed = Feed(make_engine())
    feed.send(*(make_fact(0, 1.0, series=f"{SEARCH}-{number}") for number in range(5)))
    parts = [feed.engine.freeze(limit=2) for _ in range(4)]
    assert [len(part) for part in parts] == [2, 2, 2, 0]
    assert parts[2][-1][0] == PARTITION_KEY


def test_what_a_person_was_told_is_not_told_again_after_a_restart() -> None:
    feed = Feed(make_engine())
    feed.days([*[100.0] * 10, 400.0])
    other = make_engine()
    for key, snapshot in feed.engine.freeze():
        other.restore(key, snapshot)
    again = Feed(other, offset=feed.offset)
    assert again.send(make_fact(10, 401.0, revision=1)) == []
    (alert,) = again.send(make_fact(10, 500.0, revision=2))
    assert (alert.id, alert.version) == (feed.alerts[0].id, 2)


def test_drivers_and_amounts_beyond_64_bits_survive() -> None:
    feed = Feed(make_engine())
    for number in range(12):
        for origin in ("cur:a", "cur:b"):
            feed.send(make_fact(number, 1e12, origin=origin, drivers=(make_driver(1e12, "EC2", "i-1"),)))
    other = make_engine()
    for key, snapshot in feed.engine.freeze():
        other.restore(key, snapshot)
    other.apply(())
    assert other.digest() == feed.engine.digest()


def test_state_of_another_detector_is_learned_anew_from_the_ring() -> None:
    feed = Feed(make_engine())
    feed.days([100.0] * 20)
    engine = Engine(policies=make_judging_engine("seasonal")._policies)
    for key, snapshot in feed.engine.freeze():
        engine.restore(key, snapshot)
    again = Feed(engine, offset=feed.offset)
    (alert,) = again.send(make_fact(20, 900.0))
    assert alert.expected == pytest.approx(100.0, rel=0.05)
    assert engine.stats.judged_anew == 1


def test_another_ring_size_is_taken_up() -> None:
    feed = Feed(make_engine())
    feed.days([100.0] * 60)
    engine = make_engine(Policy(detector="trailing", ring_buckets=8))
    for key, snapshot in feed.engine.freeze():
        engine.restore(key, snapshot)
    again = Feed(engine, offset=feed.offset)
    again.days([100.0, 100.0, 400.0], start=60)
    assert len(again.alerts) == 1


@pytest.mark.parametrize("key", [SEARCH.encode(), PARTITION_KEY], ids=["series", "partition"])
def test_unreadable_snapshots_are_refused_and_change_nothing(key: bytes) -> None:
    feed = Feed(make_engine())
    feed.days([100.0] * 10)
    snapshot = dict(feed.engine.freeze())[key]
    engine = make_engine()
    hostile = [b"", b"\x00", b"not msgpack", snapshot[:-1], snapshot[: len(snapshot) // 2], msgspec.msgpack.encode([1])]
    hostile.append(msgspec.msgpack.encode([2, *msgspec.msgpack.decode(snapshot)[1:]]))
    for data in hostile:
        with pytest.raises(SnapshotError, match=r"^snapshot of b'"):
            engine.restore(key, data)
    assert len(engine) == 0


def test_random_damage_is_refused_or_harmless() -> None:
    feed = Feed(make_engine())
    feed.days([*[100.0] * 10, 400.0])
    snapshot = dict(feed.engine.freeze())[SEARCH.encode()]
    rng = random.Random(4)
    for _ in range(300):
        damaged = bytearray(snapshot)
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        engine = make_engine()
        try:
            engine.restore(SEARCH.encode(), bytes(damaged))
        except SnapshotError:
            continue
        engine.digest()


def test_a_key_that_is_no_series_is_refused() -> None:
    feed = Feed(make_engine())
    feed.send(make_fact(0, 1.0))
    ((_, snapshot), _) = feed.engine.freeze()
    for key in (b"no-series", b"\xff", b""):
        with pytest.raises(SnapshotError):
            make_engine().restore(key, snapshot)


def test_a_series_that_no_topic_could_hold_begins_anew_and_the_others_go_on() -> None:
    """A producer that puts an id of its own into every origin; its worker would end at each checkpoint."""
    feed = Feed(make_engine())
    feed.days([100.0] * 10)
    for batch in range(9):
        feed.send(*(make_fact(10, 1.0, series=ADS, origin=f"m:{batch}-{n}".ljust(1000, "x")) for n in range(1000)))
    feed.send(make_fact(10, 400.0))
    snapshots = dict(feed.engine.freeze())
    assert max(map(len, snapshots.values())) < 10_000
    assert feed.engine.stats.cold_starts == 1
    other = make_engine()
    for key, value in snapshots.items():
        other.restore(key, value)
    assert other.digest() == feed.engine.digest()
    for one in (feed, Feed(other, offset=feed.offset)):
        assert one.engine.month_to_date(ADS) is None
        one.send(make_fact(11, 7.0, series=ADS), make_fact(11, 100.0))
        one.complete(12)
        assert one.engine.month_to_date(ADS) == ("2024-09", 7.0)
    assert other.digest() == feed.engine.digest()


def test_a_series_that_begins_anew_while_it_waits_is_left_alone() -> None:
    feed = Feed(make_engine(close_limit=0))
    feed.complete(0, "m")
    feed.days([100.0] * 3)
    for number in range(3):
        feed.send(*(make_fact(number, 1.0, origin=f"m:{number}-{n}".ljust(1000, "x")) for n in range(4000)))
    feed.complete(3, "m")
    feed.engine.freeze()
    assert feed.engine.stats.cold_starts == 1
    assert feed.engine.advance(100) == 0
    assert feed.complete(20, "m") == feed.complete(20) == []
    assert feed.engine.month_to_date(SEARCH) is None


def test_the_state_topic_takes_the_largest_state() -> None:
    assert MAX_STATE_BYTES <= MAX_SNAPSHOT_BYTES // 2


@pytest.mark.parametrize("damage", ["stamp", "whole", "width"])
def test_a_ring_that_does_not_hold_together_is_refused(damage: str) -> None:
    feed = Feed(make_engine())
    feed.days([100.0] * 10)
    feed.send(make_fact(4, 1.0, origin="cur:other"))
    (content,) = [value for key, value in feed.engine.freeze() if key == SEARCH.encode()]
    fields = msgspec.msgpack.decode(content)
    start, width, cells, stamps, whole = fields[4]
    damaged = {
        "stamp": [start, width, cells, [], whole],
        "whole": [start, width, cells, stamps, []],
        "width": [start, width, cells + b"\0", stamps, whole],
    }
    fields[4] = damaged[damage]
    with pytest.raises(SnapshotError, match="ring"):
        make_engine().restore(SEARCH.encode(), msgspec.msgpack.encode(fields))


def test_what_a_watermark_has_settled_and_was_put_off_is_not_put_off_for_good_by_a_restart() -> None:
    feed = Feed(make_engine(Policy(detector="trailing", accept_after=7), close_limit=0))
    feed.complete(0)
    feed.days([100.0] * 12)
    feed.complete(12)
    feed.engine.advance(100)
    feed.send(make_fact(10, 400.0, revision=1))
    feed.engine.freeze()  # taken while it waits: the watermark has to make it dirty again
    assert feed.complete(12) == []
    engine = make_engine(Policy(detector="trailing", accept_after=7), close_limit=0)
    for key, snapshot in feed.engine.freeze():
        engine.restore(key, snapshot)
    engine.apply(())
    assert engine.advance(100) == 0
    (alert,) = engine.take_alerts()
    assert alert.actual == 400.0
    feed.engine.advance(100)
    assert engine.digest() == feed.engine.digest()
