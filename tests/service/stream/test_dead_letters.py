import pytest

from service.stream.batch import TopicPartition
from service.stream.dead_letters import DeadLetter, DeadLetterLimit, DeadLetterLimitError, Limits
from tests.service.stream.fakes import FakeRecord

TP = TopicPartition("spendwatch.facts", 3)


def test_key_says_where_the_record_is() -> None:
    letter = DeadLetter.of(TP, FakeRecord(17, value=b"x"), reason="undecodable", field="", message="m")
    assert letter.key == b"spendwatch.facts/3/17"
    assert letter.value == b"x"


def test_headers_are_short_bytes_whatever_the_message() -> None:
    letter = DeadLetter.of(TP, FakeRecord(1), reason="bad_value", field="value", message="\ud800" + "x" * 5_000)
    headers = dict(letter.headers)
    assert headers["reason"] == b"bad_value"
    assert headers["field"] == b"value"
    assert len(headers["message"]) == 1_000


def test_value_that_is_too_large_to_be_sent_on_is_cut_and_says_so() -> None:
    letter = DeadLetter.of(TP, FakeRecord(1, value=b"x" * 1_048_000), reason="undecodable", field="", message="m")
    assert letter.value == b"x" * 500_000
    assert dict(letter.headers)["size"] == b"1048000"


def batch(limit: DeadLetterLimit, first: int, after: int, rejected: list[int]) -> None:
    limit.count(last=after - 1, records=after - first, rejected=rejected)


def test_scattered_rejects_never_stop_a_partition() -> None:
    limit = DeadLetterLimit(TP, Limits(consecutive=10, ratio=0.5, window=100))
    for first in range(0, 10_000, 100):
        batch(limit, first, first + 100, list(range(first, first + 100, 3)))


def test_rejects_in_a_row_stop_it_over_the_edges_of_batches() -> None:
    limit = DeadLetterLimit(TP, Limits(consecutive=10, window=1_000))
    batch(limit, 0, 10, [6, 7, 8, 9])
    batch(limit, 10, 13, [10, 11, 12])
    with pytest.raises(DeadLetterLimitError, match=r"facts/3: 10 records in a row are unreadable up to offset 15"):
        batch(limit, 13, 16, [13, 14, 15])


def test_readable_record_at_the_end_begins_the_row_anew() -> None:
    limit = DeadLetterLimit(TP, Limits(consecutive=10, window=1_000))
    batch(limit, 0, 9, list(range(9)))
    batch(limit, 9, 10, [])
    batch(limit, 10, 19, list(range(10, 19)))


def test_large_part_of_the_window_stops_it() -> None:
    limit = DeadLetterLimit(TP, Limits(consecutive=1_000, ratio=0.5, window=200))
    batch(limit, 0, 100, list(range(80)))
    with pytest.raises(DeadLetterLimitError, match="160 of the last 200 records are unreadable"):
        batch(limit, 100, 200, list(range(100, 180)))


def test_few_records_do_not_make_a_ratio() -> None:
    limit = DeadLetterLimit(TP, Limits(consecutive=1_000, ratio=0.5, window=200))
    batch(limit, 0, 100, list(range(90)))


def test_old_rejects_leave_the_window() -> None:
    limit = DeadLetterLimit(TP, Limits(consecutive=1_000, ratio=0.5, window=200))
    batch(limit, 0, 100, list(range(90)))
    for first in range(100, 2_000, 100):
        batch(limit, first, first + 100, [])
    batch(limit, 2_000, 2_100, list(range(2_000, 2_090)))
