"""The JSON API of alerts."""

from datetime import timedelta

import pytest

from connectors.facts import Basis
from service.core.alerts import AlertStatus, EventType, Severity
from service.errors import UnavailableError
from service.store.store import Delivery
from tests.builders import make_alert, make_history
from tests.clock import NOON
from tests.service.web.builders import World
from tests.service.web.conftest import Client


async def _three(world: World) -> None:
    """search (high, firing), data (critical, acknowledged), mobile (low, resolved), an hour apart."""
    await world.store.record([make_alert("a1", severity=Severity.HIGH)])
    world.clock.move(timedelta(hours=1))
    await world.store.record([make_alert("a2", team="data", severity=Severity.CRITICAL, reason="backfill of 2023")])
    await world.store.acknowledge("a2", actor="dana", comment="", at=world.clock.now())
    world.clock.move(timedelta(hours=1))
    mobile = make_alert("a3", team="mobile", severity=Severity.LOW, tenant="acme", status=AlertStatus.RESOLVED)
    await world.store.record([mobile])


async def test_listing_shows_newest_activity_first(world: World, client: Client) -> None:
    await _three(world)
    body = (await client.get("/api/v1/alerts")).json()
    assert [item["alert"]["id"] for item in body["items"]] == ["a3", "a2", "a1"]
    assert body["total"] == 3
    assert body["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=firing", ["a1"]),
        ("state=firing&state=acknowledged", ["a2", "a1"]),
        ("severity=critical&severity=low", ["a3", "a2"]),
        ("label=team:search", ["a1"]),
        ("label=team:search&label=grain:1d", ["a1"]),
        ("label=team:search&label=grain:1h", []),
        ("tenant=acme", ["a3"]),
        ("text=BACKFILL", ["a2"]),
        ("text=team%3Dmob", ["a3"]),
        ("since=2024-09-18T13:00:00Z", ["a3", "a2"]),
        ("since=2024-09-18T15:00:00%2B01:00", ["a3"]),
        ("since=2024-09-18T14:00:00", ["a3"]),
        ("state=withdrawn", []),
        ("tenant=&text=&inhibited_by=&assigned_to=", ["a3", "a2", "a1"]),
    ],
)
async def test_filters_narrow_the_listing(world: World, client: Client, query: str, expected: list[str]) -> None:
    await _three(world)
    body = (await client.get(f"/api/v1/alerts?{query}")).json()
    assert [item["alert"]["id"] for item in body["items"]] == expected
    assert body["total"] == len(expected)


async def test_pages_follow_one_another_without_overlap(world: World, client: Client) -> None:
    await world.store.record([make_alert(f"a{number}") for number in range(7)])
    found, cursor = [], ""
    while cursor is not None:
        body = (await client.get("/api/v1/alerts", params={"limit": 3, "cursor": cursor})).json()
        found += [item["alert"]["id"] for item in body["items"]]
        cursor = body["next_cursor"]
        assert body["total"] == 7
    assert found == [f"a{number}" for number in reversed(range(7))]


async def test_listing_leaves_the_history_to_the_single_alert(world: World, client: Client) -> None:
    await world.store.record([make_alert(history=make_history(days_before=20))])
    listed = (await client.get("/api/v1/alerts")).json()["items"][0]["alert"]
    single = (await client.get("/api/v1/alerts/a1")).json()["alert"]
    assert listed["history"] == []
    assert len(single["history"]) == 21
    assert single["history"][-1]["abnormal"] is True
    assert sum(driver["change"] for driver in single["drivers"]) == single["impact"]


async def test_audit_trail_tells_who_did_what(world: World, client: Client) -> None:
    await world.store.record([make_alert()])
    await client.post("/api/v1/alerts/a1/acknowledge", json={"actor": "dana", "comment": "on it"})
    await world.store.record([make_alert(version=2, impact=900.0, basis=Basis.BILLED)])
    entries = (await client.get("/api/v1/alerts/a1/events")).json()["items"]
    assert [(entry["type"], entry["actor"], entry["state"]) for entry in entries] == [
        ("opened", "detection", "firing"),
        ("acknowledged", "dana", "acknowledged"),
        ("updated", "detection", "acknowledged"),
    ]
    assert entries[1]["comment"] == "on it"
    assert entries[2]["impact"] == 900.0


async def test_deliveries_tell_what_became_of_each_message(world: World, client: Client) -> None:
    (event,) = await world.store.record([make_alert()])
    world.store.add_delivery(
        Delivery(
            id="msg_1",
            receiver="desk",
            event=event,
            attempts=2,
            created_at=NOON,
            next_attempt_at=NOON + timedelta(minutes=1),
            state="pending",
            last_error="answered 503",
        )
    )
    (entry,) = (await client.get("/api/v1/alerts/a1/deliveries")).json()["items"]
    assert (entry["id"], entry["receiver"], entry["event"], entry["seq"]) == ("msg_1", "desk", "opened", 1)
    assert (entry["state"], entry["attempts"], entry["last_error"]) == ("pending", 2, "answered 503")


@pytest.mark.parametrize("verb", ["acknowledge", "resolve"])
async def test_doing_it_again_changes_nothing(world: World, client: Client, verb: str) -> None:
    await world.store.record([make_alert()])
    first = await client.post(f"/api/v1/alerts/a1/{verb}", json={"actor": "dana"})
    again = await client.post(f"/api/v1/alerts/a1/{verb}", json={"actor": "lee"})
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert len(world.store.events) == 2


async def test_acknowledging_a_resolved_alert_leaves_it_resolved(world: World, client: Client) -> None:
    await world.store.record([make_alert()])
    await client.post("/api/v1/alerts/a1/resolve", json={"actor": "dana"})
    body = (await client.post("/api/v1/alerts/a1/acknowledge", json={"actor": "lee"})).json()
    assert (body["state"], body["resolved_by"], body["acknowledged_by"]) == ("resolved", "dana", None)
    assert world.store.events[-1].type is EventType.RESOLVED


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/alerts/nope"),
        ("GET", "/api/v1/alerts/nope/events"),
        ("GET", "/api/v1/alerts/nope/deliveries"),
        ("POST", "/api/v1/alerts/nope/acknowledge"),
        ("POST", "/api/v1/alerts/nope/resolve"),
    ],
)
async def test_unknown_alert_is_a_problem(client: Client, method: str, path: str) -> None:
    answer = await client.request(method, path, json={"actor": "dana"} if method == "POST" else None)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:spendwatch:problem:alert-not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "no alert has the id 'nope'",
        "instance": path,
    }


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("state=open", "query state"),
        ("limit=0", "query limit"),
        ("limit=501", "query limit"),
        ("label=team", "query label"),
        ("label=team:a&label=team:b", "query label"),
        ("since=yesterday", "query since"),
        ("since=0001-01-01T00:00:00%2B14:00", "query since"),
        ("since=9999-12-31T23:59:59-14:00", "query since"),
        ("cursor=elsewhere", "query cursor"),
    ],
)
async def test_bad_parameter_is_named(client: Client, query: str, where: str) -> None:
    answer = await client.get(f"/api/v1/alerts?{query}")
    assert answer.status_code == 400, answer.text
    assert [error["where"] for error in answer.json()["errors"]] == [where]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"actor": ""},
        {"actor": "  "},
        {"actor": "x" * 129},
        {"actor": "dana", "coment": "typo"},
        {"actor": 7},
        {"actor": "detection"},
        {"actor": " Detection "},
    ],
    ids=["missing", "empty", "blank", "too long", "unknown field", "wrong type", "our name", "nearly our name"],
)
async def test_action_without_a_sound_actor_is_refused(world: World, client: Client, body: dict[str, object]) -> None:
    await world.store.record([make_alert()])
    answer = await client.post("/api/v1/alerts/a1/acknowledge", json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(world.store.events) == 1


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"actor":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"actor":"\xff"}', b"\xff"],
    ids=["broken off", "endless nesting", "bad UTF-8 in a text", "bad UTF-8"],
)
@pytest.mark.parametrize("verb", ["acknowledge", "resolve"])
async def test_broken_json_is_a_problem(world: World, client: Client, verb: str, body: bytes) -> None:
    await world.store.record([make_alert()])
    headers = {"Content-Type": "application/json"}
    answer = await client.post(f"/api/v1/alerts/a1/{verb}", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:spendwatch:problem:invalid-request"
    assert [error["where"] for error in answer.json()["errors"]] == ["body"]
    assert len(world.store.events) == 1


async def test_store_away_asks_to_try_again(world: World, client: Client) -> None:
    world.store.problem = UnavailableError("the database at db:5432 does not answer")
    answer = await client.get("/api/v1/alerts")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["detail"] == "the database at db:5432 does not answer"


async def test_fault_of_ours_says_nothing_of_its_inside(world: World, client: Client) -> None:
    world.store.problem = RuntimeError("password=hunter2")
    answer = await client.get("/api/v1/alerts")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert answer.json()["type"] == "urn:spendwatch:problem:internal"


async def test_unknown_path_and_method_are_problems(client: Client) -> None:
    assert (await client.get("/api/v1/nope")).json()["type"] == "urn:spendwatch:problem:no-such-path"
    answer = await client.delete("/api/v1/alerts")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert "GET" in answer.headers["allow"]


async def test_summary_counts_what_is_open_and_its_money(world: World, client: Client) -> None:
    await _three(world)
    await world.store.record([make_alert("a4", unit="EUR", impact=-50.0, severity=Severity.LOW)])
    body = (await client.get("/api/v1/summary")).json()
    states = {"pending": 0, "firing": 2, "acknowledged": 1, "silenced": 0, "resolved": 1, "expected": 0, "withdrawn": 0}
    assert body["states"] == states
    assert body["severities"] == {"critical": 1, "high": 1, "medium": 0, "low": 1}
    assert body["impact"] == {"USD": 585.0}
    assert (await client.get("/api/v1/summary?tenant=acme")).json()["states"]["firing"] == 0


async def test_every_answer_carries_the_security_headers(client: Client) -> None:
    for path in ("/", "/api/v1/alerts", "/api/v1/nope", "/livez", "/static/app.css"):
        headers = (await client.get(path)).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
