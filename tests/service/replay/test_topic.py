"""A range of the facts topic, of which some may be gone."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition

from service.replay.errors import ReplayError
from service.replay.topic import TopicRange

NOON = datetime(2024, 9, 18, 12, tzinfo=UTC)
TP = TopicPartition("facts", 0)


class Consumed(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None = b"k"
    value: bytes | None = b"v"


class Consumer:
    """A partition that begins at *start*, a record a minute from noon on."""

    def __init__(self, start: int, end: int) -> None:
        self._records = [
            Consumed(offset, int((NOON + timedelta(minutes=offset)).timestamp() * 1000)) for offset in range(start, end)
        ]
        self._start = self._position = start
        self._end = end

    def assign(self, tps: list[Any]) -> None: ...

    def seek(self, tp: Any, offset: int) -> None:
        self._position = offset

    async def beginning_offsets(self, tps: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(tps, self._start)

    async def getmany(self, *tps: Any, timeout_ms: int, max_records: int) -> dict[Any, list[Consumed]]:
        found = [record for record in self._records if record.offset >= self._position][:2]
        self._position += len(found)
        return {TP: found} if found else {}

    def highwater(self, tp: Any) -> int:
        return self._end

    async def position(self, tp: Any) -> int:
        return self._position


class OnePartition(TopicRange):
    async def partitions(self) -> int:
        return 1


async def taken(consumer: Consumer, **how: Any) -> tuple[list[int], list[str]]:
    source = OnePartition("nowhere", "facts", **how)
    source._consumer = consumer
    offsets = [record.offset async for _, records in source.batches() for record in records]
    return offsets, source.notes


async def test_all_that_is_kept_is_read_and_what_is_gone_is_told() -> None:
    assert await taken(Consumer(0, 5)) == ([0, 1, 2, 3, 4], [])
    offsets, (note,) = await taken(Consumer(3, 5))
    assert offsets == [3, 4]
    assert note.startswith("partition 0 of topic 'facts' begins at 2024-09-18T12:03:00Z (offset 3): what was before is")


async def test_a_range_is_of_record_times() -> None:
    since, until = NOON + timedelta(minutes=1), NOON + timedelta(minutes=3)
    assert (await taken(Consumer(0, 5), since=since, until=until))[0] == [1, 2]


async def test_a_range_that_is_gone_is_one_clear_error() -> None:
    with pytest.raises(ReplayError, match=r"what was before is gone\. Begin with --from 2024-09-18T12:03:00Z"):
        await taken(Consumer(3, 5), since=NOON)


async def test_a_range_without_records_is_one_clear_error() -> None:
    since = NOON + timedelta(hours=1)
    with pytest.raises(ReplayError, match="topic 'facts' holds no record from 2024-09-18T13:00:00Z"):
        await taken(Consumer(0, 5), since=since)


def test_a_range_that_ends_before_it_begins_is_a_mistake() -> None:
    with pytest.raises(ReplayError, match="--to must be after --from"):
        TopicRange("nowhere", "facts", since=NOON, until=NOON)
