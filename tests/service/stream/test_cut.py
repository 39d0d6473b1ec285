from service.stream.cut import Cut


def test_snapshots_count_when_their_checkpoint_is_complete() -> None:
    cut = Cut()
    cut.add(b"a", b"1")
    cut.add(b"b", b"1")
    assert cut.take(9) == []
    cut.complete()
    cut.add(b"a", b"2")
    assert cut.take(9) == [(b"b", b"1"), (b"a", b"1")]
    assert cut.left == [(b"a", b"2")]


def test_the_latest_comes_first_over_several_checkpoints_and_turns() -> None:
    cut = Cut()
    for number in (b"1", b"2", b"3"):
        cut.add(b"a", number)
        cut.complete()
    assert [cut.take(2), cut.take(2), cut.take(2)] == [[(b"a", b"3"), (b"a", b"2")], [(b"a", b"1")], []]
