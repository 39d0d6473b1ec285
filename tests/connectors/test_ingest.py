import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.facts import Basis, Driver, Fact, Fold, encode
from connectors.ingest import Parsed, parse, validate
from tests.builders import make_fact

JSON = "application/json; charset=utf-8"
GOOD = make_fact()


def body(**changes: object) -> bytes:
    """A good fact as JSON with fields changed; None leaves one out."""
    fields: dict[str, object] = json.loads(encode(GOOD)) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def event(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "specversion": "1.0",
        "type": "dev.spendwatch.fact",
        "source": "https://billing.example/export",
        "id": "42",
        "datacontenttype": "application/json",
        "traceparent": "an extension",
        "data": json.loads(body()),
    }
    return fields | changes


@pytest.mark.parametrize(
    ("content", "content_type", "count"),
    [
        (encode(GOOD), JSON, 1),
        (b"  \n" + encode(GOOD) + b"\n", JSON, 1),
        (b"[" + encode(GOOD) + b"," + encode(GOOD) + b"]", JSON, 2),
        (b'{"facts": [' + encode(GOOD) + b"]}", JSON, 1),
        (encode(GOOD) + b"\n\n" + encode(GOOD) + b"\r\n", "application/x-ndjson", 2),
        (encode(GOOD), "", 1),
        (b"[]", JSON, 0),
        (b'{"facts": []}', JSON, 0),
        (b"\n", "application/x-ndjson", 0),
    ],
    ids=["one", "space around", "array", "facts", "ndjson", "no type", "empty array", "no facts", "empty ndjson"],
)
def test_every_form_gives_its_facts(content: bytes, content_type: str, count: int) -> None:
    assert parse(content, content_type, {}) == Parsed(facts=[GOOD] * count)


def test_all_fields_are_taken() -> None:
    fact = Fact(
        series="acme/tokens/1/1h/service_name=Amazon Bedrock/batch",
        charge_period_start="2024-09-18T08:00:00.250000Z",
        value=-3,
        origin="meter",
        fold=Fold.ADD,
        basis=Basis.ESTIMATED,
        event_id="e-1",
        drivers=(Driver(labels={"resource_id": "i-1"}, cost=-2.0, quantity=4.0, unit="Hours"),),
    )
    assert parse(encode(fact), JSON, {}).facts == [fact]


@pytest.mark.parametrize(
    "text", ["2024-09-18T00:00:00+00:00", "2024-09-18T02:00:00+02:00", "2024-09-17T18:30:00-05:30"]
)
def test_an_instant_of_another_offset_is_put_into_utc(text: str) -> None:
    assert parse(body(charge_period_start=text), JSON, {}).facts == [GOOD]


def test_unknown_fields_are_ignored() -> None:
    assert parse(body(comment="for later"), JSON, {}).facts == [GOOD]


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"value": "12.4"}, "value", "Expected `float`, got `str`"),
        ({"value": None}, "", "Object missing required field `value`"),
        ({"value": 1e13}, "value", "expected a finite number within +-1e+12, got 10000000000000.0"),
        ({"series": "default/effective_cost/USD/1d"}, "series", "expected tenant/metric/unit/grain/dimension=value"),
        ({"series": "default/effective_cost/USD/2d/total="}, "series", "grain must be one of"),
        ({"series": "a" * 600}, "series", "at most 512 characters, got 600"),
        ({"charge_period_start": "2024-09-18"}, "charge_period_start", "expected a UTC time such as"),
        ({"charge_period_start": "2024-09-18T00:00:00"}, "charge_period_start", "expected a UTC time such as"),
        ({"charge_period_start": "2024-09-31T00:00:00Z"}, "charge_period_start", "expected a UTC time such as"),
        ({"charge_period_start": "1999-12-31T00:00:00Z"}, "charge_period_start", "in the years 2000 to 2099"),
        ({"charge_period_start": "2099-12-31T23:00:00-02:00"}, "charge_period_start", "in the years 2000 to 2099"),
        ({"charge_period_start": "2024-09-18T00:00:00+99:00"}, "charge_period_start", "expected a UTC time such as"),
        ({"charge_period_start": "0001-01-01T00:00:00+01:00"}, "charge_period_start", "expected a UTC time such as"),
        ({"origin": ""}, "origin", "expected `<source>:<delivery>`"),
        ({"origin": ":2024-09"}, "origin", "expected `<source>:<delivery>`"),
        ({"fold": "add"}, "event_id", "an `add` fact needs an event_id"),
        ({"fold": "subtract"}, "fold", "Invalid enum value 'subtract'"),
        ({"event_id": "x" * 1025}, "event_id", "Expected `str` of length <= 1024"),
        ({"revision": -1}, "revision", "Expected `int` >= 0"),
        ({"revision": 2**63}, "revision", "Expected `int` <= 9223372036854775807"),
        ({"origin": "x" * 1025}, "origin", "Expected `str` of length <= 1024"),
        ({"drivers": [{"labels": {}, "cost": 1}] * 21}, "drivers", "Expected `array` of length <= 20"),
        ({"drivers": [{"labels": {"a": "x" * 1025}, "cost": 1}]}, "drivers[0].labels[...]", "length <= 1024"),
        ({"drivers": [{"labels": {f"{n}": "" for n in range(9)}, "cost": 1}]}, "drivers[0].labels", "length <= 8"),
        ({"drivers": [{"labels": {}, "cost": 1}, {"labels": {}, "cost": 1e13}]}, "drivers[1].cost", "finite number"),
        ({"drivers": [{"labels": {"a": 1}, "cost": 1}]}, "drivers[0].labels[...]", "Expected `str`, got `int`"),
    ],
)  # fmt: skip
def test_a_bad_fact_names_its_field_and_the_others_are_taken(
    changes: dict[str, object], path: str, message: str
) -> None:
    parsed = parse(b"[" + b",".join((body(), body(**changes), body())) + b"]", JSON, {})
    assert parsed.facts == [GOOD, GOOD]
    ((index, where, what),) = parsed.rejected
    assert (index, where) == (1, path)
    assert message in what


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_number_that_is_none_is_rejected(value: bytes) -> None:
    content = body(value=1.0).replace(b": 1.0", b": " + value)
    assert value in content
    parsed = parse(content, JSON, {})
    assert (parsed.facts, len(parsed.rejected)) == ([], 1)


@pytest.mark.parametrize(
    ("content", "content_type", "message"),
    [
        (b"", JSON, "Input data was truncated"),
        (b'{"series": ', JSON, "Input data was truncated"),
        (encode(GOOD) + b"garbage", JSON, "JSON is malformed"),
        (b'"text"', JSON, "Expected `object`, got `str`"),
        (b'{"facts": 3}', JSON, "Expected `array`, got `int`"),
        (b"[1", JSON, "Input data was truncated"),
        (b"\xff\xfe", JSON, "JSON is malformed"),
        (b'{"series": "\xff"}', JSON, "utf-8"),
        (b"[" * 100_000, JSON, ""),
    ],
    ids=["empty", "truncated", "trailing", "text", "facts is a number", "open array", "utf-16", "bad utf-8", "deep"],
)
def test_a_body_that_is_no_json_is_one_rejection(content: bytes, content_type: str, message: str) -> None:
    parsed = parse(content, content_type, {})
    assert parsed.facts == []
    ((index, _, what),) = parsed.rejected
    assert index == 0
    assert message.lower() in what.lower()


def test_a_bad_line_names_its_number() -> None:
    parsed = parse(encode(GOOD) + b"\n\n{oops}\n" + encode(GOOD), "application/x-ndjson", {})
    assert len(parsed.facts) == 2
    assert parsed.rejected[0][0] == 2


def test_a_structured_event_carries_a_fact() -> None:
    content = json.dumps(event()).encode()
    (fact,) = parse(content, "application/cloudevents+json; charset=utf-8", {}).facts
    assert fact == msgspec.structs.replace(GOOD, event_id="https://billing.example/export#42")


def test_an_event_gives_origin_and_event_id_to_a_fact_without() -> None:
    content = json.dumps(event(data=json.loads(body(origin=None, fold="add")))).encode()
    (fact,) = parse(content, "application/cloudevents+json", {}).facts
    assert fact.origin == "https%3A//billing.example/export:events"
    assert fact.event_id == "https://billing.example/export#42"


def test_a_fact_keeps_its_own_event_id() -> None:
    content = json.dumps(event(data=json.loads(body(fold="add", event_id="mine")))).encode()
    (fact,) = parse(content, "application/cloudevents+json", {}).facts
    assert (fact.origin, fact.event_id) == (GOOD.origin, "mine")


def test_a_batch_of_events_is_taken_one_by_one() -> None:
    content = json.dumps([event(), event(id="43", type="com.other"), event(id="44")]).encode()
    parsed = parse(content, "application/cloudevents-batch+json", {})
    assert [fact.event_id.rpartition("#")[2] for fact in parsed.facts] == ["42", "44"]
    assert parsed.rejected == [(1, "type", "expected 'dev.spendwatch.fact', got 'com.other'")]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"source": ""}, "source"),
        ({"source": "x" * 1024, "data": json.loads(body(origin=None))}, "source"),
        ({"id": "x" * 1024}, "id"),
        ({"data": json.loads(body(origin="x" * 1025))}, "data.origin"),
        ({"data": {"series": 1}}, "data.series"),
        ({"data": None}, "data"),
    ],
)
def test_a_bad_event_names_what_is_wrong(changes: dict[str, object], path: str) -> None:
    parsed = parse(json.dumps(event(**changes)).encode(), "application/cloudevents+json", {})
    assert [where for _, where, _ in parsed.rejected] == [path]


HEADERS = {"CE-SpecVersion": "1.0", "ce-type": "dev.spendwatch.fact", "ce-source": "/meters/gpu%20a", "ce-id": "7"}


def test_binary_mode_reads_the_headers() -> None:
    (fact,) = parse(body(origin=None, fold="gauge"), JSON, HEADERS).facts
    assert (fact.origin, fact.event_id) == ("/meters/gpu a:events", "/meters/gpu a#7")


@pytest.mark.parametrize(
    ("header", "value"), [("CE-SpecVersion", "2.0"), ("ce-type", "other"), ("ce-source", ""), ("ce-id", "")]
)
def test_binary_mode_names_a_bad_header(header: str, value: str) -> None:
    parsed = parse(body(), JSON, HEADERS | {header: value})
    assert [path for _, path, _ in parsed.rejected] == [header.lower()]


@given(st.binary(max_size=200), st.sampled_from([JSON, "application/x-ndjson", "application/cloudevents+json", "x"]))
def test_no_body_ever_raises(content: bytes, content_type: str) -> None:
    parse(content, content_type, {})


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_json_ever_raises(value: object) -> None:
    for content_type in (JSON, "application/cloudevents-batch+json"):
        parse(json.dumps(value).encode(), content_type, {})


def test_a_sound_fact_has_nothing_wrong() -> None:
    assert validate(GOOD) is None
