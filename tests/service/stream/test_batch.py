import random

import pytest

from service.stream.batch import Batch, Hole, Ledger, LostBatchError, Refetch, TopicPartition, TruncatedLogError
from service.stream.fetching import Run
from tests.service.stream.fakes import FakeRecord, run_of

TP = TopicPartition("spendwatch.facts", 0)


def run(first: int, after: int) -> Run:
    return run_of(*(FakeRecord(offset) for offset in range(first, after)))


def hand_out(ledger: Ledger, first: int, after: int) -> Batch:
    admitted = ledger.admit(run(first, after), end=None)
    assert isinstance(admitted, Run)
    return ledger.hand_out(admitted, generation=1)


def test_finished_batches_are_committed_up_to_the_first_unfinished() -> None:
    ledger = Ledger(tp=TP, expected=0)
    first, second, _third = hand_out(ledger, 0, 100), hand_out(ledger, 100, 150), hand_out(ledger, 150, 160)
    assert ledger.committable() is None
    first.finish()
    second.finish()
    assert ledger.committable() == 150
    assert len(ledger) == 1


def test_first_batch_of_a_new_group_is_committed() -> None:
    ledger = Ledger(tp=TP, expected=0, committed=None)
    hand_out(ledger, 0, 1).finish()
    assert ledger.committable() == 1


def test_what_is_committed_already_is_not_committed_again() -> None:
    ledger = Ledger(tp=TP, expected=100, committed=100)
    assert ledger.committable() is None
    hand_out(ledger, 100, 130).finish()
    assert ledger.committable() == 130
    ledger.committed = 130
    assert ledger.committable() is None


def test_unfinished_batch_before_a_finished_one_is_a_lost_batch() -> None:
    ledger = Ledger(tp=TP, expected=0)
    hand_out(ledger, 0, 10)
    hand_out(ledger, 10, 20).finish()
    with pytest.raises(LostBatchError, match="up to offset 19 is finished, the earlier one up to 9 is lost"):
        ledger.committable()


def test_records_handed_out_before_are_dropped() -> None:
    ledger = Ledger(tp=TP, expected=50)
    assert ledger.admit(run(30, 50), end=80) is None
    admitted = ledger.admit(run(40, 60), end=80)
    assert isinstance(admitted, Run)
    assert [record.offset for record in admitted] == list(range(50, 60))


def test_jump_is_asked_for_again_before_it_is_believed() -> None:
    ledger = Ledger(tp=TP, expected=50)
    assert ledger.admit(run(60, 70), end=70) == Refetch(50)
    assert hand_out(ledger, 50, 70).records.first == 50
    assert ledger.holes == []


def test_repeated_jump_is_a_hole_in_the_log() -> None:
    ledger = Ledger(tp=TP, expected=50)
    assert ledger.admit(run(60, 70), end=70) == Refetch(50)
    assert hand_out(ledger, 60, 70).records.first == 60
    assert ledger.holes == [Hole(50, 60)]
    assert ledger.expected == 70


def test_two_jumps_at_different_places_are_each_asked_for_again() -> None:
    ledger = Ledger(tp=TP, expected=0)
    assert ledger.admit(run(5, 6), end=20) == Refetch(0)
    hand_out(ledger, 0, 6)
    assert ledger.admit(run(10, 12), end=20) == Refetch(6)


def test_topic_made_again_is_refused() -> None:
    ledger = Ledger(tp=TP, expected=500)
    with pytest.raises(TruncatedLogError, match=r"spendwatch.facts/0: the next offset to read is 500, .* ends at 10"):
        ledger.admit(run(0, 10), end=10)


def test_old_records_of_an_intact_log_are_only_dropped() -> None:
    assert Ledger(tp=TP, expected=500).admit(run(0, 10), end=900) is None


def test_another_jump_than_the_first_is_asked_for_again() -> None:
    ledger = Ledger(tp=TP, expected=50)
    assert ledger.admit(run(60, 70), end=90) == Refetch(50)
    assert ledger.admit(run(70, 80), end=90) == Refetch(50)


def test_jump_after_dropped_records_is_asked_for_again() -> None:
    ledger = Ledger(tp=TP, expected=50)
    assert ledger.admit(run(60, 70), end=90) == Refetch(50)
    ledger.dropped()
    assert ledger.admit(run(60, 70), end=90) == Refetch(50)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_fetched_is_handed_out_once_and_in_order(seed: int) -> None:
    """A fetcher that drops runs, repeats runs and jumps, over a log with holes."""
    chance = random.Random(seed)
    log = [FakeRecord(offset) for offset in range(400) if chance.random() > 0.05]
    ledger, position, seen = Ledger(tp=TP, expected=0), 0, list[int]()
    while not seen or seen[-1] != log[-1].offset:
        fetched = [record for record in log if record.offset >= position][: chance.randint(1, 20)]
        if not fetched:
            position = ledger.expected
            continue
        position = fetched[-1].offset + 1
        if chance.random() < 0.2:
            ledger.dropped()  # lost on the way, while the position has moved on
            continue
        admitted = ledger.admit(run_of(*fetched), end=400)
        if isinstance(admitted, Refetch):
            position = admitted.offset
        elif admitted is not None:
            batch = ledger.hand_out(admitted, generation=1)
            seen += [record.offset for record in batch.records]
            batch.finish()
    assert seen == [record.offset for record in log]
    assert ledger.committable() == seen[-1] + 1
