"""Every kind of bad record has a defined result, and the partition goes on."""

import random
from datetime import UTC, datetime

import msgspec
import pytest

from connectors.facts import Fact, Fold, Watermark, encode, key_of
from service.core.registers import MAX_SOURCES
from service.core.rejects import Rejected, RejectReason
from tests.service.core.support import ADS, SEARCH, Feed, Record, day, make_driver, make_engine, make_event, make_fact

KEY = SEARCH.encode()
OTHER = "default/effective_cost/USD/1d/tag:team=__other__.0"
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
        (GOOD.replace(b"}", b',"revision":-1}'), RejectReason.UNDECODABLE, "revision", "`int` >= 0"),
        (GOOD.replace(b"}", b',"revision":9223372036854775808}'), RejectReason.UNDECODABLE, "revision", "`int` <="),
        (GOOD.replace(b"}", b',"revision":1.5}'), RejectReason.UNDECODABLE, "revision", "Expected `int`"),
        (GOOD.replace(b":1.0", b":1" + b"0" * 400), RejectReason.UNDECODABLE, "value", "out of range"),
        (GOOD.replace(b":1.0", b":null"), RejectReason.UNDECODABLE, "value", "got `null`"),
        (GOOD.replace(b":1.0", b":true"), RejectReason.UNDECODABLE, "value", "got `bool`"),
        (fact_with(origin="x" * 1025), RejectReason.UNDECODABLE, "origin", "length <= 1024"),
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


def test_a_key_of_a_megabyte_is_refused() -> None:
    assert reject(b"k" * 1_000_000, GOOD).reason is RejectReason.KEY_MISMATCH
    name = "default/effective_cost/USD/1d/tag:team=" + "x" * 1_000_000
    assert reject(name.encode(), fact_with(series=name)).reason is RejectReason.BAD_SERIES


def test_bad_bytes_in_the_key_are_refused() -> None:
    assert reject(b"\xff\xfe", GOOD).reason is RejectReason.KEY_MISMATCH


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"~cur", b"{}", RejectReason.UNDECODABLE),
        (b"~other", encode(Watermark(source="cur", complete_until=day(1))), RejectReason.KEY_MISMATCH),
        (b"~cur", encode(Watermark(source="cur", complete_until="soon")), RejectReason.BAD_TIME),
        (b"~cur", encode(Watermark(source="cur", complete_until="2999-01-01T00:00:00Z")), RejectReason.FAR_FUTURE),
        (b"~cur", encode(Watermark(source="cur", complete_until="9999-12-31T23:59:59Z")), RejectReason.FAR_FUTURE),
        (b"~cur", encode(Watermark(source="cur", complete_until="1970-01-01T00:00:00Z")), RejectReason.FAR_PAST),
        (b"~", encode(Watermark(source="", complete_until=day(1))), RejectReason.BAD_ORIGIN),
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


def sent(offset: int, message: Fact | Watermark, *, year: int) -> Record:
    """A record of the first of January of that year."""
    timestamp = int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000
    return Record(offset=offset, key=key_of(message), value=encode(message), timestamp=timestamp)


@pytest.mark.parametrize("known", [False, True], ids=["first of its series", "of a known series"])
def test_not_even_the_first_fact_of_a_source_is_believed_when_it_was_sent_years_before(known: bool) -> None:
    """Believed, it would make all that is right ten years too old."""
    engine = make_engine()
    engine.apply([sent(1, make_fact(0, 1.0), year=2025)] if known else [])
    engine.apply([sent(2, make_fact(0, 5.0, origin="new:1", charge_period_start="2039-01-01T00:00:00Z"), year=2025)])
    (rejected,) = engine.take_rejects()
    assert (rejected.reason, rejected.field) == (RejectReason.FAR_FUTURE, "charge_period_start")
    assert "expected at most 400 days after it was sent, got 5113 days" in rejected.message
    engine.apply([sent(3, make_fact(0, 7.0, origin="new:1"), year=2025)])
    assert engine.take_rejects() == []
    assert engine.month_to_date(SEARCH) == ("2024-09", 8.0 if known else 7.0)


def test_a_watermark_about_years_to_come_is_refused() -> None:
    engine = make_engine()
    engine.apply([sent(1, Watermark(source="cur", complete_until="2039-01-01T00:00:00Z"), year=2025)])
    (rejected,) = engine.take_rejects()
    assert (rejected.reason, rejected.field) == (RejectReason.FAR_FUTURE, "complete_until")


def test_a_watermark_that_goes_back_changes_nothing() -> None:
    feed = Feed(make_engine())
    feed.days([100.0] * 10)
    feed.complete(10)
    before = feed.engine.digest()
    assert feed.complete(3) == []
    assert feed.engine.digest() == before
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


def test_of_a_field_that_is_there_twice_the_last_counts() -> None:
    feed = Feed(make_engine())
    feed.engine.apply([Record(offset=1, key=KEY, value=GOOD.replace(b'"value":1.0', b'"value":1.0,"value":2.0'))])
    assert feed.engine.month_to_date(SEARCH) == ("2024-09", 2.0)


def test_amounts_below_a_billionth_are_zero() -> None:
    feed = Feed(make_engine())
    feed.send(
        make_event(0, 4e-10, "a"), make_event(0, 6e-10, "b"), make_event(0, 5e-324, "c"), make_event(0, -0.0, "d")
    )
    assert feed.engine.month_to_date(SEARCH) == ("2024-09", 1e-9)


def test_of_an_event_id_with_two_amounts_the_first_counts() -> None:
    feed = Feed(make_engine())
    feed.send(make_event(0, 3.0, "a"), make_event(0, 1e12, "a"), make_event(0, -1e12, "a"))
    assert feed.engine.month_to_date(SEARCH) == ("2024-09", 3.0)
    assert feed.engine.stats.repeated == 2


def test_sums_beyond_64_bits_are_exact_in_all_folds_and_come_back() -> None:
    gauge = SEARCH.replace("effective_cost/USD", "cpu/percent")
    feed = Feed(make_engine())
    for number in range(40):
        feed.send(
            make_event(0, 1e12, f"a{number}"),
            make_event(0, -1e12, f"b{number}", series=ADS),
            make_fact(0, 1e12 - number, series=gauge, fold=Fold.GAUGE, event_id=str(number)),
        )
    other = make_engine()
    for key, snapshot in feed.engine.freeze():
        other.restore(key, snapshot)
    other.apply(())
    for engine in (feed.engine, other):
        assert engine.month_to_date(SEARCH) == ("2024-09", 40e12)
        assert engine.month_to_date(ADS) == ("2024-09", -40e12)
        assert engine.month_to_date(gauge) == ("2024-09", 1e12 - 19.5)


@pytest.mark.parametrize("changed", ["/EUR/", "/hours/"], ids=["currency", "unit"])
def test_another_unit_is_another_series_and_nothing_is_added_up(changed: str) -> None:
    feed = Feed(make_engine())
    feed.days([100.0] * 10)
    other = SEARCH.replace("/USD/", changed)
    assert feed.send(*(make_fact(number, 90_000.0, series=other) for number in range(10, 12))) == []
    assert feed.engine.month_to_date(SEARCH) == ("2024-09", 1000.0)
    assert feed.engine.month_to_date(other) == ("2024-09", 180_000.0)


@pytest.mark.parametrize("value", ["", "a\0b", "\u202e", "a=b/c", "é" * 200, "<script>", "__proto__"])
def test_any_text_is_a_tag_value(value: str) -> None:
    feed = Feed(make_engine())
    series = f"default/effective_cost/USD/1d/tag:team={value}"
    raised = [
        alert
        for number in range(12)
        for alert in feed.send(make_fact(number, 900.0 if number == 11 else 10.0, series=series))
    ]
    assert feed.engine.take_rejects() == []
    assert [alert.labels["team"] for alert in raised] == [value]


def test_ten_thousand_new_tags_in_a_second_cost_what_the_cap_allows() -> None:
    """The others are counted, in one series, whose rise is an alert like any; the counter has a rule in Prometheus."""
    feed = Feed(make_engine(max_new_series=100))
    steady = [make_fact(number, 100.0, series=OTHER) for number in range(10)]
    feed.send(*steady)
    flood = [make_fact(9, 1.0, series=SEARCH.replace("search", f"pod-{number}")) for number in range(10_000)]
    raised = feed.send(*flood)
    assert len(feed.engine) == 101
    assert feed.engine.stats.capped == 9_900
    assert len(feed.engine.freeze()) == 101 + 1
    assert {alert.series for alert in raised} == {OTHER}


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
