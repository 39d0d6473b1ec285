"""What is answered with 202 is folded: the HTTP ingest and the engine say yes and no to the same facts."""

import json

from hypothesis import given
from hypothesis import strategies as st

from connectors.facts import Basis, Fact, Fold, encode, key_of
from connectors.ingest import parse
from tests.service.core.support import Record, make_engine

INSTANTS = st.one_of(
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    st.from_regex(
        r"(1999|20\d\d|2100)-[01]\d-[0-3]\dT[0-2]\d:[0-6]\d:[0-6]\d(\.\d{1,10})?(Z|z|[+-]\d\d:\d\d)?", fullmatch=True
    ),
    st.sampled_from(
        [
            "2000-01-01T00:00:00Z",
            "2000-01-01T00:00:00+02:00",
            "1999-12-31T23:00:00-02:00",
            "2099-12-31T23:59:59.999999999Z",
            "2099-12-31T23:00:00-02:00",
            "2100-01-01T00:00:00Z",
            "2024-W38-3T00:00:00Z",
            "2024-09-18T00Z",
        ]
    ),
    st.text(max_size=30),
)
AMOUNTS = st.floats() | st.floats(-2e12, 2e12) | st.integers(-(10**13), 10**13) | st.sampled_from([1e12, -1e12])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20) | st.just("x" * 1_100)
SERIES = st.builds(
    "{}/{}/{}/{}/{}={}".format,
    st.sampled_from(["default", "acme", "~", "a b", ""]),
    st.sampled_from(["effective_cost", "tokens", "a/b"]),
    st.sampled_from(["USD", "1", ""]),
    st.sampled_from(["1m", "5m", "1h", "1d", "2d"]),
    st.sampled_from(["tag:team", "service_name", "total", ""]),
    TEXTS,
)
DRIVERS = st.lists(
    st.fixed_dictionaries({"labels": st.just({"service_name": "EC2"}), "cost": AMOUNTS, "quantity": AMOUNTS}),
    max_size=2,
)
FACTS = st.fixed_dictionaries(
    {
        "series": st.just("default/effective_cost/USD/1d/tag:team=search") | SERIES,
        "charge_period_start": st.just("2024-09-18T00:00:00Z") | INSTANTS,
        "value": st.just(12.4) | AMOUNTS,
        "origin": st.just("billing:2024-09") | TEXTS,
    },
    optional={
        "revision": st.integers(-1, 2**63),
        "fold": st.sampled_from([*Fold, "other"]),
        "basis": st.sampled_from(list(Basis)),
        "event_id": TEXTS,
        "drivers": DRIVERS,
    },
)


def refusals(fact: Fact) -> list[str]:
    """What an engine that has seen nothing yet says against a fact."""
    engine = make_engine()
    engine.apply([Record(offset=1, key=key_of(fact), value=encode(fact))])
    return [reject.message for reject in engine.take_rejects()]


@given(FACTS)
def test_what_ingest_accepts_an_engine_accepts(fields: dict[str, object]) -> None:
    for fact in parse(json.dumps(fields).encode(), "application/json", {}).facts:
        assert refusals(fact) == []


@given(INSTANTS)
def test_what_is_no_time_for_an_engine_is_none_for_ingest(text: str) -> None:
    """The other way round, for times: ingest takes offsets besides, and nothing less than the engine does."""
    fact = Fact(series="default/cost/USD/1d/total=", charge_period_start=text, value=1.0, origin="meter:1")
    if not refusals(fact):
        assert parse(encode(fact), "application/json", {}).facts == [fact]
