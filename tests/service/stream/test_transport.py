"""What can be told of the overrides without a broker; with one: tests/integration/test_stream_*.py."""

import pytest
from faust.transport.drivers import aiokafka as driver

from service.stream import compatible
from service.stream.batch import TopicPartition
from service.stream.compatible import IncompatibleFaustError, check_compatible
from service.stream.owner import Position, Progress

TP = TopicPartition("spendwatch.facts", 0)


def test_installed_faust_is_the_one_the_overrides_were_written_for() -> None:
    check_compatible()


def test_changed_signature_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver.Consumer, "perform_seek", lambda self, partitions: None)
    with pytest.raises(IncompatibleFaustError, match=r"perform_seek takes \('self', 'partitions'\), not \('self',\)"):
        check_compatible()


def test_missing_method_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(driver.Consumer, "_to_message")
    monkeypatch.setitem(compatible._SIGNATURES, (driver.Consumer, "_to_message_of_old"), ("self",))
    with pytest.raises(IncompatibleFaustError, match="_to_message_of_old takes None"):
        check_compatible()


def test_other_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(compatible._VERSIONS, "aiokafka", "0.10.0")
    with pytest.raises(IncompatibleFaustError, match=r"aiokafka is 0\.14\.0, not 0\.10\.0"):
        check_compatible()


@pytest.mark.parametrize(
    ("committed", "start", "offset"),
    [(None, 0, 0), (None, 40, 40), (0, 0, 0), (50, 0, 50), (50, 90, 90)],
    ids=["new group", "new group on an old log", "committed at zero", "went on", "expired"],
)
def test_reading_begins_where_the_group_has_committed_or_at_the_start(
    committed: int | None, start: int, offset: int
) -> None:
    assert Position(committed, start).offset == offset


def test_lag_is_counted_from_what_is_finished() -> None:
    assert Progress(TP, applied=90, committed=80, end=100, in_flight=2).lag == 10
    assert Progress(TP, applied=90, committed=80, end=None, in_flight=0).lag == 0
