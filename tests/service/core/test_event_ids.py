"""Which events were counted already, within bounds."""

from service.core.event_ids import ID_BYTES, KEPT_IDS, EventHash, forget_older_half, restore_ids
from tests.service.core.support import SEARCH, Feed, make_engine, make_event


def test_ids_of_two_origins_are_two_ids() -> None:
    first, second = EventHash("meter:a"), EventHash("meter:b")
    assert first("1") == EventHash("meter:a")("1")
    assert len({first("1"), second("1"), first("2"), EventHash("meter:a1")("")}) == 4
    assert len(first("1")) == ID_BYTES


def test_the_older_half_is_forgotten() -> None:
    digests = [EventHash("meter:a")(str(number)) for number in range(10)]
    seen, log = set(digests), bytearray(b"".join(digests))
    assert forget_older_half(seen, log) == 5
    assert seen == set(digests[5:]) == restore_ids(bytes(log))


def test_the_latest_events_count_once_however_many_came() -> None:
    feed = Feed(make_engine())
    events = [make_event(0, 1.0, str(number)) for number in range(KEPT_IDS * 2)]
    feed.send(*events)
    feed.send(*events[-KEPT_IDS // 2 :])
    assert feed.engine.month_to_date(SEARCH) == ("2024-09", float(len(events)))
    assert feed.engine.stats.repeated == KEPT_IDS // 2
    assert feed.engine.stats.forgotten_ids > 0


def test_ids_survive_a_restart() -> None:
    feed = Feed(make_engine())
    feed.send(make_event(0, 1.0, "a"))
    other = make_engine()
    for key, snapshot in feed.engine.freeze():
        other.restore(key, snapshot)
    Feed(other, offset=feed.offset).send(make_event(0, 1.0, "a"), make_event(0, 1.0, "b"))
    assert other.month_to_date(SEARCH) == ("2024-09", 2.0)
