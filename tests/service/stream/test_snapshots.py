"""The proof that a load has read what it must; reading itself is tested with a broker."""

import msgspec
import pytest

from service.settings import Kafka
from service.stream.batch import TopicPartition
from service.stream.owner import Position
from service.stream.snapshots import (
    Marker,
    SnapshotLoader,
    StateLostError,
    StateMismatchError,
    StateUnreadableError,
)
from service.stream.topics import Topics

TOPICS = Topics.of(Kafka())
TP = TopicPartition(TOPICS.facts, 2)


def prove(position: Position, marker: Marker | None, *, start_cold: bool = False) -> None:
    SnapshotLoader("127.0.0.1:1", TOPICS, partitions=4, start_cold=start_cold)._prove(TP, position, marker)


def marker_at(offset: int, *, topic: str = TOPICS.facts, partitions: int = 4) -> Marker:
    return Marker(topic=topic, partitions=partitions, offset=offset)


@pytest.mark.parametrize(
    ("position", "marker"),
    [
        (Position(None, 0), None),
        (Position(500, 500), None),
        (Position(500, 0), marker_at(500)),
        (Position(500, 0), marker_at(700)),
        (Position(None, 0), marker_at(700)),
    ],
    ids=["new", "all facts expired", "reaches", "ahead after a crash", "group forgotten"],
)
def test_state_that_reaches_the_committed_offset_is_taken(position: Position, marker: Marker | None) -> None:
    prove(position, marker)


def test_nothing_found_though_something_was_committed_is_refused() -> None:
    with pytest.raises(StateLostError, match=r"facts/2: offsets up to 500 are committed, .* holds no checkpoint"):
        prove(Position(500, 0), None)


def test_state_that_ends_before_the_committed_offset_is_refused() -> None:
    with pytest.raises(StateLostError, match="ends at the checkpoint of offset 499"):
        prove(Position(500, 0), marker_at(499))


def test_cold_start_may_be_asked_for() -> None:
    prove(Position(500, 0), None, start_cold=True)


def test_state_of_another_topic_or_layout_is_refused_also_cold() -> None:
    with pytest.raises(StateMismatchError, match=r"written for spendwatch\.facts with 8 partitions"):
        prove(Position(5, 0), marker_at(5, partitions=8), start_cold=True)
    with pytest.raises(StateMismatchError, match=r"written for other\.facts with 4"):
        prove(Position(5, 0), marker_at(5, topic="other.facts"))


def marked(*values: bytes, start_cold: bool = False) -> Marker | None:
    markers: dict[TopicPartition, Marker] = {}
    loader = SnapshotLoader("127.0.0.1:1", TOPICS, partitions=4, start_cold=start_cold)
    for value in values:
        loader._mark(markers, TP, value)
    return markers.get(TP)


def test_highest_checkpoint_counts_in_any_order() -> None:
    values = [msgspec.msgpack.encode(marker_at(offset)) for offset in (3, 500, 7)]
    assert marked(*values) == marker_at(500)


JUNK = pytest.mark.parametrize(
    "value",
    [b"", b"junk", b"\x93\xa1\xff\x04\x05", b"\x91" * 100_000, msgspec.msgpack.encode(["t", 4])],
    ids=["empty", "text", "bad UTF-8", "endless nesting", "too short"],
)


@JUNK
def test_unreadable_checkpoint_is_refused(value: bytes) -> None:
    with pytest.raises(StateUnreadableError, match="facts/2: the checkpoint is unreadable") as caught:
        marked(value)
    assert caught.value.exit_code == 2


@JUNK
def test_unreadable_checkpoint_is_left_out_of_a_cold_start(value: bytes) -> None:
    assert marked(value, start_cold=True) is None
    assert marked(msgspec.msgpack.encode(marker_at(5)), value, start_cold=True) == marker_at(5)
