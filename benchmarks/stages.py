"""Where the time of a fact goes: `python -m benchmarks.stages` prints one JSON object, in CPU microseconds per fact.

Each stage is run by itself on the facts of the throughput benchmark, without a broker: a profiler would cost more than
what it measures here. What a worker uses beyond their sum is the way: network, event loops, Faust, producer, commits.
"""

import gc
import json
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from benchmarks.workload import PADDING, Record, Workload, facts, states
from connectors.facts import Fact, encode, key_of
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.settings import Policy
from service.stream.fetching import Run

FACTS = 200_000
SERIES = 500
BATCH = 2_000
_NO_MIDNIGHT = FACTS // SERIES + 1
"""Reports a day so that no day ends among the facts."""


def cpu_microseconds(work: Callable[[], object]) -> float:
    """Of the best of three runs: the others were disturbed more."""
    best = float("inf")
    for _ in range(3):
        gc.collect()
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best * 1e6


def unpack(batches: Sequence[bytes]) -> None:
    """Bytes of a fetch to records, as the transport does it."""
    for packed_batch in batches:
        batch = DefaultRecordBatch(packed_batch)
        assert batch.validate_crc()
        for _ in Run([batch]):
            pass


def decode(records: Sequence[Record]) -> None:
    """One at a time, as an engine does: to keep them all would cost more than to make them."""
    one = msgspec.json.Decoder(Fact).decode
    for record in records:
        one(record.value)


def packed(messages: Sequence[Fact]) -> list[bytes]:
    """Record batches as they lie in the log."""
    found = []
    rest = iter(messages)
    while some := list(islice(rest, BATCH)):
        builder: Any = DefaultRecordBatchBuilder(
            magic=2,
            compression_type=0,
            is_transactional=0,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=-1,
            batch_size=1 << 24,
        )
        for place, fact in enumerate(some):
            builder.append(place, value=encode(fact), key=key_of(fact), timestamp=1_700_000_000_000, headers=[])
        found.append(bytes(builder.build()))
    return found


def make_engine(series: int = SERIES) -> Engine:
    engine = Engine(policies=PolicyBook((Policy(),)))
    for key, snapshot in states(series):
        engine.restore(key, snapshot)
    engine.apply(())
    return engine


def apply(engine: Engine, records: Sequence[Record]) -> None:
    for place in range(0, len(records), BATCH):
        engine.apply(records[place : place + BATCH])
        engine.take_alerts()
        engine.take_rejects()


def records_of(messages: Iterable[Fact]) -> list[Record]:
    return [Record(PADDING + place, fact) for place, fact in enumerate(messages)]


def measure() -> dict[str, object]:
    plain = list(facts(Workload(facts=FACTS, series=SERIES, reports_per_day=_NO_MIDNIGHT)))
    records = records_of(plain)
    batches = packed(plain)
    unpacking = cpu_microseconds(lambda: unpack(batches)) / FACTS
    decoding = cpu_microseconds(lambda: decode(records)) / FACTS
    engines = iter([make_engine() for _ in range(3)])
    folding = cpu_microseconds(lambda: apply(next(engines), records)) / FACTS
    with_midnights = records_of(facts(Workload(facts=FACTS, series=SERIES)))
    last = [make_engine() for _ in range(3)]
    engines = iter(last)
    closing = cpu_microseconds(lambda: apply(next(engines), with_midnights)) / FACTS - folding
    closed = last[0].stats.closed
    touched = iter([touched_engine() for _ in range(3)])
    freezing = cpu_microseconds(lambda: next(touched).freeze())
    return {
        "name": "stages",
        "us_unpack_record": round(unpacking, 2),
        "us_decode_json": round(decoding, 2),
        "us_fold_and_judge": round(folding - decoding, 2),
        "us_close_buckets": round(closing, 2),
        "us_per_closed_bucket": round(closing * FACTS / closed, 1),
        "us_per_snapshot": round(freezing / SERIES, 1),
        "us_sum": round(unpacking + folding + closing, 2),
    }


def touched_engine() -> Engine:
    """One whose series have all changed since the last checkpoint."""
    engine = make_engine()
    engine.apply(records_of(facts(Workload(facts=SERIES, series=SERIES))))
    return engine


if __name__ == "__main__":
    print(json.dumps(measure()))
