"""What the pure core costs: `python -m benchmarks.engine [NAME ...]` prints one JSON object a line.

set_500, add_500, set_100k, add_100k: facts per second through `Engine.apply`, JSON decoding included, batches of 2,000
    records, the series known already. CPU time, so that a busy machine disturbs little.
close: judging and learning a bucket and preparing the next one. refold: restating buckets of a full ring, one
    after the other back in time, and the latest closed one again and again.
memory: live state per daily series with a full ring of 90 buckets. snapshot: freezing and restoring such a series.
"""

import gc
import json
import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from benchmarks.workload import Record
from connectors.facts import Basis, Fact, Fold, format_instant
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.settings import Policy

START = datetime(2024, 9, 2, tzinfo=UTC)
BATCH = 2_000
RING = 90


def make_engine(*, kept_detectors: int = 4096) -> Engine:
    return Engine(policies=PolicyBook((Policy(),)), kept_detectors=kept_detectors)


def keys(count: int) -> list[str]:
    return [f"default/effective_cost/USD/1d/tag:team=team-{number:06}" for number in range(count)]


def day(number: int, seconds: int = 0) -> str:
    return format_instant(START + timedelta(days=number, seconds=seconds))


def one_a_day(series: list[str], days: range, rng: random.Random) -> Iterator[Fact]:
    for number in days:
        for name in series:
            yield Fact(
                series=name,
                charge_period_start=day(number),
                value=round(100 + rng.gauss(0, 4), 4),
                origin=f"cur:{number // 30}",
                revision=1_726_000_000,
            )


def feed(engine: Engine, records: list[Record]) -> float:
    """CPU seconds."""
    gc.collect()
    gc.freeze()
    started = time.process_time()
    for place in range(0, len(records), BATCH):
        engine.apply(records[place : place + BATCH])
    seconds = time.process_time() - started
    gc.unfreeze()
    return seconds


def per_fact(name: str, series_count: int, count: int, fold: Fold) -> dict[str, object]:
    rng = random.Random(1)
    series = keys(series_count)
    engine = make_engine()
    offset = 0
    known = [Record(offset := offset + 1, fact) for fact in one_a_day(series, range(1), rng)]
    feed(engine, known)
    records = []
    for place in range(count):
        at = day(0, seconds=place * 1_300 // count * 60)
        if fold is Fold.ADD:
            fact = Fact(
                series=rng.choice(series),
                charge_period_start=at,
                value=round(rng.random() / 1000, 6),
                origin="meter:eu-1",
                fold=Fold.ADD,
                basis=Basis.ESTIMATED,
                event_id=f"{rng.getrandbits(128):032x}",
            )
        else:
            fact = Fact(
                series=rng.choice(series),
                charge_period_start=at,
                value=round(100 + rng.random(), 4),
                origin="cur:0",
                revision=1_726_000_001 + place,
            )
        records.append(Record(offset := offset + 1, fact))
    engine.freeze()
    third = count // 3
    seconds = min(feed(engine, records[start : start + third]) for start in range(0, count, third)) * 3
    assert not engine.stats.rejected
    assert not engine.stats.skipped
    return {"name": name, "facts_per_second": round(count / seconds), "us_per_fact": round(seconds / count * 1e6, 3)}


def filled(series: list[str], days: int, *, kept_detectors: int = 1) -> tuple[Engine, int]:
    """An engine that has closed all but the last of so many days; the offset of its last record."""
    engine = make_engine(kept_detectors=kept_detectors)
    rng = random.Random(2)
    offset = 0
    batch: list[Record] = []
    for fact in one_a_day(series, range(days), rng):
        batch.append(Record(offset := offset + 1, fact))
        if len(batch) == BATCH:
            engine.apply(batch)
            batch.clear()
            engine.take_alerts()
    engine.apply(batch)
    engine.take_alerts()
    return engine, offset


def close() -> dict[str, object]:
    series = keys(1000)
    result: dict[str, object] = {"name": "close"}
    for label, kept in (("us_per_bucket", 4096), ("us_per_bucket_from_numbers", 1)):
        engine, offset = filled(series, 40, kept_detectors=kept)
        records = [Record(offset := offset + 1, fact) for fact in one_a_day(series, range(40, 44), random.Random(3))]
        result[label] = round(feed(engine, records) / len(records) * 1e6, 1)
    return result


def restated(days: list[int]) -> float:
    """Median microseconds of a restatement of each of these days, one after the other, in a full ring."""
    engine, offset = filled(keys(1), RING + 10)
    times = []
    for place, number in enumerate(days):
        fact = Fact(
            series=keys(1)[0],
            charge_period_start=day(number),
            value=0.5 + place / 100,
            origin="cur:corrected",
            revision=place,
        )
        times.append(feed(engine, [Record(offset := offset + 1, fact)]))
    assert engine.stats.refolds == len(times)
    return statistics.median(times) * 1e6


def refold() -> dict[str, object]:
    return {
        "name": "refold",
        "ring_buckets": RING,
        "us_per_restatement": round(restated([RING - place for place in range(60)])),
        "us_per_late_fact": round(restated([RING + 8] * 60)),
    }


def memory() -> dict[str, object]:
    count = 2_000
    series = keys(count)
    filled(series[:10], 3)  # imports and caches that all series share
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    engine, _ = filled(series, RING + 22)
    engine.freeze()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(engine) == count
    return {"name": "memory", "ring_buckets": RING, "bytes_per_series": round((after - before) / count)}


def snapshot() -> dict[str, object]:
    count = 1_000
    engine, _ = filled(keys(count), RING + 22)
    started = time.process_time()
    snapshots = engine.freeze()
    frozen = time.process_time()
    other = make_engine()
    for key, value in snapshots:
        other.restore(key, value)
    other.apply(())
    restored = time.process_time()
    assert other.digest() == engine.digest()
    return {
        "name": "snapshot",
        "bytes_per_series": round(sum(len(value) for _, value in snapshots) / count),
        "us_to_freeze": round((frozen - started) / count * 1e6, 1),
        "us_to_restore": round((restored - frozen) / count * 1e6, 1),
    }


BENCHMARKS: dict[str, Callable[[], dict[str, object]]] = {
    "set_500": lambda: per_fact("set_500", 500, 300_000, Fold.SET),
    "add_500": lambda: per_fact("add_500", 500, 300_000, Fold.ADD),
    "set_100k": lambda: per_fact("set_100k", 100_000, 300_000, Fold.SET),
    "add_100k": lambda: per_fact("add_100k", 100_000, 300_000, Fold.ADD),
    "close": close,
    "refold": refold,
    "memory": memory,
    "snapshot": snapshot,
}


def main(names: list[str]) -> None:
    for name in names or BENCHMARKS:
        print(json.dumps(BENCHMARKS[name]()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
