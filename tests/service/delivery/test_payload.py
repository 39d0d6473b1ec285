"""What receivers parse: the golden files are a promise to them."""

import json
import os
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace

from service.core.alerts import AlertEvent, AlertState, DriverChange, EventType
from service.core.notices import Member
from service.delivery.payload import MAX_BYTES, alert_link, body_of
from service.schemas import print_schema
from tests.builders import make_event
from tests.clock import NOON

GOLDEN = Path(__file__).parent / "golden"


def resolved_by_hand() -> AlertEvent:
    event = make_event(EventType.RESOLVED, seq=9, version=3, ends_at=NOON)
    record = replace(
        event.record,
        state=AlertState.RESOLVED,
        acknowledged_by="ada",
        acknowledged_at=NOON,
        resolved_by="bob",
        resolved_at=NOON + timedelta(minutes=5),
    )
    return replace(event, actor="bob", comment="planned migration", record=record, at=NOON + timedelta(minutes=5))


def acknowledged_for_a_while() -> AlertEvent:
    event = make_event(EventType.ACKNOWLEDGED, seq=8)
    record = replace(
        event.record,
        acknowledged_by="ada",
        acknowledged_at=NOON,
        acknowledged_until=NOON + timedelta(hours=4),
        assigned_to="Bob Fischer",
    )
    return replace(event, actor="ada", comment="on it", record=record)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("opened", make_event()),
        ("acknowledged", acknowledged_for_a_while()),
        ("resolved_by_hand", resolved_by_hand()),
    ],
    ids=["opened", "acknowledged for a while", "resolved by hand"],
)
def test_the_body_is_the_golden_one(name: str, event: AlertEvent) -> None:
    body = json.loads(body_of(event, "https://spendwatch.example.com/"))
    path = GOLDEN / f"webhook_{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
    # As text: receivers see the order of the fields, too.
    assert json.dumps(body, indent=2, ensure_ascii=False) + "\n" == path.read_text()


def test_the_body_is_what_its_schema_says() -> None:
    schema = json.loads(print_schema("anomaly"))
    jsonschema.Draft202012Validator.check_schema(schema)
    members = (Member(alert_id="a2", text="the total of default"), Member(alert_id="", text="and 3 more"))
    untyped = make_event(drivers=(DriverChange(labels={}, change=1.0, before=0.0, now=1.0),))
    for event in (make_event(), acknowledged_for_a_while(), resolved_by_hand(), untyped):
        for link in ("https://spendwatch.example.com", None):
            body = json.loads(body_of(event, link, members))
            jsonschema.validate(body, schema)
            data = schema["$defs"]["AnomalyData"]["properties"]
            assert list(body["data"]) == list(data), "nothing is sent that the schema does not tell of"


def test_all_attempts_send_the_same_bytes() -> None:
    assert body_of(make_event(), None) == body_of(make_event(), None)


def test_without_a_public_address_there_is_no_link() -> None:
    assert json.loads(body_of(make_event(), None))["data"]["link"] is None


def test_a_link_takes_any_id() -> None:
    assert alert_link("https://x.example/sw", "a/../b?c#d") == "https://x.example/sw/alerts/a%2F..%2Fb%3Fc%23d"


@pytest.mark.parametrize("filler", ["x", "🦊", "\x01", '"'], ids=["letters", "emoji", "control", "quotes"])
def test_the_body_stays_small_whatever_the_alert_holds(filler: str) -> None:
    labels = {f"{filler * 300}{n}": filler * 3000 for n in range(200)}
    event = make_event(
        labels=labels,
        reason=filler * 100_000,
        action=filler * 100_000,
        series=filler * 2000,
        drivers=tuple(DriverChange(labels=labels, change=1.0, before=0.0, now=1.0) for _ in range(500)),
    )
    record = replace(event.record, assigned_to=filler * 5000)
    event = replace(event, actor=filler * 5000, comment=filler * 50_000, record=record)
    body = body_of(event, "https://spendwatch.example.com")
    assert len(body) < MAX_BYTES
    data = json.loads(body)["data"]
    assert (data["id"], data["actual"]) == ("a1", 412.5)
    assert data["reason"].endswith("…")


def test_noise_of_binary_fractions_is_not_sent() -> None:
    assert json.loads(body_of(make_event(impact=0.1 + 0.2), None))["data"]["impact"] == 0.3
