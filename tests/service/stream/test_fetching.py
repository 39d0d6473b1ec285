"""Runs of real record batches; how they are fetched is tested with a broker: tests/integration/test_stream_*.py."""

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from service.stream.fetching import Run

_HEADER_BYTES = 61


def packed(
    base_offset: int, values: Sequence[bytes], *, compression: int = 0, timestamp: int = 1_700_000_000_000
) -> Any:
    """A record batch as it lies in the log: the broker writes its offset over the producer's, which is 0."""
    builder: Any = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for place, value in enumerate(values):
        builder.append(place, value=value, key=b"k", timestamp=timestamp, headers=[])
    data = bytearray(builder.build())
    assert len(data) > _HEADER_BYTES
    data[:8] = base_offset.to_bytes(8, "big")
    return DefaultRecordBatch(bytes(data))


def values_from(first: int, after: int) -> list[bytes]:
    return [f"v{offset}".encode() for offset in range(first, after)]


def read(run: Run) -> list[tuple[int, bytes | None]]:
    return [(record.offset, record.value) for record in run]


def expected(first: int, after: int) -> list[tuple[int, bytes]]:
    return list(zip(range(first, after), values_from(first, after), strict=True))


def test_run_says_what_it_holds_before_it_is_read() -> None:
    run = Run([packed(10, values_from(10, 15), timestamp=5), packed(15, values_from(15, 40), timestamp=7)])
    assert (run.first, run.last, len(run), run.timestamp) == (10, 39, 30, 7)
    assert read(run) == expected(10, 40)


def test_records_before_the_offset_that_was_asked_for_are_left_out() -> None:
    """The broker sends whole batches."""
    run = Run([packed(10, values_from(10, 15)), packed(15, values_from(15, 20))], first=13)
    assert (run.first, run.last, len(run)) == (13, 19, 7)
    assert read(run) == expected(13, 20)


def test_run_begins_where_its_first_batch_does_after_a_hole() -> None:
    run = Run([packed(10, values_from(10, 15))], first=4)
    assert (run.first, len(run)) == (10, 5)


@pytest.mark.parametrize("offset", [10, 12, 15, 19])
def test_rest_of_a_run_begins_at_its_offset(offset: int) -> None:
    rest = Run([packed(10, values_from(10, 15)), packed(15, values_from(15, 20))]).since(offset)
    assert (rest.first, rest.last, len(rest)) == (offset, 19, 20 - offset)
    assert read(rest) == expected(offset, 20)


@pytest.mark.parametrize("compression", [DefaultRecordBatch.CODEC_NONE, DefaultRecordBatch.CODEC_GZIP])
def test_compressed_batches_are_unpacked(compression: int) -> None:
    assert read(Run([packed(7, values_from(7, 300), compression=compression)])) == expected(7, 300)
