"""Every kind of bad record has a defined result, and the partition goes on."""

import random

import msgspec
import pytest

from connectors.facts import Fact, Fold, Watermark, encode
from service.core.registers import MAX_SOURCES
from service.core.rejects import Rejected, RejectReason
from tests.service.core.support import SEARCH, Feed, Record, day, make_driver, make_engine, make_event, make_fact

KEY = SEARCH.encode()
GOOD = encode(make_fact(3, 1.0))


def reject(key: bytes | None, value: bytes | None) -> Rejected:
    """Refused in the same way as the first fact of its series and as a later one."""
    found = []
    for known in (False, True):
        feed = Feed(make_engine())
        if known:
            feed.send(make_fact(3, 1.0))
        before = feed.engine.month_to_date(SEARCH)
        feed.engine.apply([Record(offset=77, key=key, value=value)])
        (rejected,) = feed.engine.take_rejects()
        assert feed.engine.take_rejects() == []
        assert feed.engine.month_to_date(SEARCH) == before
        assert feed.engine.stats.rejected == {rejected.reason: 1}
        found.append(rejected)
    assert found[0] == found[1]
    assert (found[0].offset, found[0].key, found[0].value) == (77, key, value)
    return found[0]


def fact_with(**changes: object) -> bytes:
    return encode(msgspec.structs.replace(make_fact(3, 1.0), **changes))


@pytest.mark.parametrize(
    ("value", "reason", "field", "message"),
    [
        (b"", RejectReason.UNDECODABLE, None, "truncated"),
        (None, RejectReason.UNDECODABLE, None, "truncated"),
        (b"\x00\xff", RejectReason.UNDECODABLE, None, "malformed"),
        (GOOD.replace(b"cur:", b"\xed\xa0\x80:"), RejectReason.UNDECODABLE, None, "can't decode"),
        (GOOD.replace(b"cur:", b"\\ud800:"), RejectReason.UNDECODABLE, None, "JSON is malformed"),
        (GOOD.replace(b":1.0", b":1e999"), RejectReason.UNDECODABLE, "value", "out of range"),
        (b"[]", RejectReason.UNDECODABLE, None, "Expected `object`, got `array`"),
        (
            GOOD.replace(b'"value":1.0', b'"value":"1"'),
            RejectReason.UNDECODABLE,
            "value",
            "Expected `float`, got `str`",
        ),
        (GOOD.replace(b'"value":1.0', b'"value":NaN'), RejectReason.UNDECODABLE, None, "malformed"),
        (GOOD.replace(b'"value":1.0,', b""), RejectReason.UNDECODABLE, None, "missing required field `value`"),
        (GOOD.replace(b"}", b',"fold":"sum"}'), RejectReason.UNDECODABLE, "fold", "Invalid enum value 'sum'"),
        (fact_with(series=SEARCH + "x"), RejectReason.KEY_MISMATCH, "series", "expected the series to be the key"),
        (fact_with(charge_period_start="2024-09-18"), RejectReason.BAD_TIME, "charge_period_start", "2024-09-18"),
        (
            fact_with(charge_period_start="2024-09-18T00:00+02"),
            RejectReason.BAD_TIME,
            "charge_period_start",
            "UTC",
        ),
        (fact_with(charge_period_start="2024-13-01T00:00:00Z"), RejectReason.BAD_TIME, "charge_period_start", "month"),
        (fact_with(charge_period_start="1999-12-31T23:59:59Z"), RejectReason.FAR_PAST, "charge_period_start", "1999"),
        (fact_with(charge_period_start="2100-01-01T00:00:00Z"), RejectReason.FAR_FUTURE, "charge_period_start", "2100"),
        (fact_with(value=1.1e12), RejectReason.BAD_VALUE, "value", "within +-1e+12, got 1100000000000.0"),
        (fact_with(value=-1.1e12), RejectReason.BAD_VALUE, "value", "got -1100000000000.0"),
        (fact_with(value=1e308), RejectReason.BAD_VALUE, "value", "got 1e+308"),
        (fact_with(origin=""), RejectReason.BAD_ORIGIN, "origin", "expected <source>:<delivery>, got ''"),
        (fact_with(origin=":2024"), RejectReason.BAD_ORIGIN, "origin", "got ':2024'"),
        (fact_with(fold=Fold.ADD), RejectReason.MISSING_EVENT_ID, "event_id", "needs an event_id"),
        (
            fact_with(drivers=(make_driver(1e13, "EC2"),)),
            RejectReason.BAD_VALUE,
            "drivers[0].cost",
            "got 10000000000000.0",
        ),
    ],
    ids=lambda value: value.value if isinstance(value, RejectReason) else "",
)
def test_bad_fact_is_refused(value: bytes | None, reason: RejectReason, field: str | None, message: str) -> None:
    rejected = reject(KEY, value)
    assert (rejected.reason, rejected.field) == (reason, field)
    assert message in rejected.message


@pytest.mark.parametrize("text", ["", "no-series", "a/b/c", "default/m/USD/1w/tag:team=x", "def ault/m/USD/1d/tag:a=x"])
def test_bad_series_is_refused(text: str) -> None:
    rejected = reject(text.encode() or b"?", encode(make_fact(3, 1.0, series=text or "?")))
    assert (rejected.reason, rejected.field) == (RejectReason.BAD_SERIES, "series")


@pytest.mark.parametrize("key", [None, b""], ids=["none", "empty"])
def test_message_without_key_is_refused(key: bytes | None) -> None:
    assert reject(key, GOOD).reason is RejectReason.KEY_MISMATCH


def test_infinite_amount_is_refused() -> None:
    rejected = reject(KEY, GOOD.replace(b'"value":1.0', b'"value":1e999'))
    assert rejected.reason in (RejectReason.UNDECODABLE, RejectReason.BAD_VALUE)


def test_bad_bytes_in_the_key_are_refused() -> None:
    assert reject(b"\xff\xfe", GOOD).reason is RejectReason.KEY_MISMATCH


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"~cur", b"{}", RejectReason.UNDECODABLE),
        (b"~other", encode(Watermark(source="cur", complete_until=day(1))), RejectReason.KEY_MISMATCH),
        (b"~cur", encode(Watermark(source="cur", complete_until="soon")), RejectReason.BAD_TIME),
        (b"~cur", encode(Watermark(source="cur", complete_until="2999-01-01T00:00:00Z")), RejectReason.FAR_FUTURE),
        (b"~cur", GOOD, RejectReason.UNDECODABLE),
        (b"~cur", b'{"source":"\xff"}', RejectReason.UNDECODABLE),
    ],
)
def test_bad_watermark_is_refused(key: bytes, value: bytes, reason: RejectReason) -> None:
    assert reject(key, value).reason is reason


def test_a_mistaken_year_does_not_close_all_buckets() -> None:
    feed = Feed(make_engine())
    feed.days([100.0] * 10)
    feed.send(make_fact(10, 1.0, charge_period_start="2034-09-12T00:00:00Z"))
    (rejected,) = feed.engine.take_rejects()
    assert rejected.reason is RejectReason.FAR_FUTURE
    assert "expected at most 400 days after the newest of source 'cur', got 3653 days" in rejected.message
    assert feed.send(make_fact(9, 120.0, revision=1)) == []
    assert feed.engine.take_rejects() == []


def test_ten_years_behind_its_source_is_refused() -> None:
    feed = Feed(make_engine())
    feed.send(make_fact(0, 1.0))
    feed.send(make_fact(0, 1.0, charge_period_start="2014-01-01T00:00:00Z"))
    assert [rejected.reason for rejected in feed.engine.take_rejects()] == [RejectReason.FAR_PAST]


def test_a_source_that_was_silent_for_years_begins_again_with_a_watermark() -> None:
    feed = Feed(make_engine())
    feed.send(make_fact(0, 1.0))
    feed.send(Watermark(source="cur", complete_until=day(800)))
    feed.send(make_fact(801, 1.0))
    assert feed.engine.take_rejects() == []


def test_sources_of_different_years_do_not_disturb_each_other() -> None:
    feed = Feed(make_engine())
    for year, source in ((2014, "nab"), (2026, "synthetic"), (2023, "cur"), (2024, "focus")):
        feed.send(make_fact(0, 1.0, origin=f"{source}:x", charge_period_start=f"{year}-05-01T00:00:00Z"))
    assert feed.engine.take_rejects() == []


def test_too_many_sources_are_refused() -> None:
    feed = Feed(make_engine())
    feed.send(*(make_event(0, 1.0, "x", origin=f"source-{number}:x") for number in range(MAX_SOURCES + 2)))
    assert [rejected.reason for rejected in feed.engine.take_rejects()] == [RejectReason.BAD_ORIGIN] * 2


def test_unknown_fields_are_ignored() -> None:
    feed = Feed(make_engine())
    feed.engine.apply([Record(offset=1, key=KEY, value=GOOD.replace(b"}", b',"new_field":[1]}'))])
    assert feed.engine.take_rejects() == []
    assert feed.engine.stats.facts == 1


def test_good_facts_around_a_bad_one_count() -> None:
    feed = Feed(make_engine())
    good: list[Fact] = [make_event(0, 1.0, str(number)) for number in range(4)]
    records = [feed.record(fact) for fact in good]
    records[2] = Record(offset=records[2].offset, key=KEY, value=b"garbage")
    feed.engine.apply(records)
    assert feed.engine.month_to_date(SEARCH) == ("2024-09", 3.0)


def test_messages_hold_at_most_a_little_of_what_came() -> None:
    rejected = reject(b"k" * 5000, encode(make_fact(3, 1.0, series="s" * 5000)))
    assert len(rejected.message) < 400


def test_endless_nesting_is_refused() -> None:
    nested = GOOD.replace(b"}", b',"extra":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert reject(KEY, nested).reason is RejectReason.UNDECODABLE


def test_no_bytes_whatever_raise() -> None:
    rng = random.Random(9)
    feed = Feed(make_engine())
    feed.send(make_fact(3, 1.0))
    samples = [
        GOOD,
        encode(make_event(3, 1.0, "é-1", drivers=(make_driver(0.5, "EC2", "i-1"),))),
        encode(make_fact(3, 1.0, fold=Fold.GAUGE)),
        encode(Watermark(source="cur", complete_until=day(1))),
    ]
    for number in range(3000):
        data = bytearray(rng.choice(samples))
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(data))
            change = rng.randrange(3)
            if change == 0:
                data[place] = rng.randrange(256)
            elif change == 1:
                del data[place : place + rng.randint(1, 9)]
            else:
                data[place:place] = rng.randbytes(rng.randint(1, 3))
            if not data:
                data += b"{"
        key = rng.choice((KEY, KEY, b"~cur", bytes(data[11:56]), None))
        feed.engine.apply([Record(offset=100 + number, key=key, value=bytes(data))])
    stats, rejects = feed.engine.stats, feed.engine.take_rejects()
    assert sum(stats.rejected.values()) == len(rejects)
    assert stats.facts + stats.watermarks + len(rejects) == 3001
