"""What people do to alerts over HTTP: the bodies, what is refused, and what goes on to the store and the engine."""

import pytest

from connectors.facts import Feedback
from service.core.alerts import EventType
from service.core.transitions import inhibited
from tests.builders import make_alert, resolved
from tests.clock import NOON
from tests.service.web.builders import World
from tests.service.web.conftest import Client

PATH = "/api/v1/alerts/a1"
ADA = {"actor": "ada"}


async def fold(world: World) -> None:
    """m1 and m2 are told as part of a1; m2 is over."""
    await world.store.record([make_alert("a1"), make_alert("m1", team="ads"), make_alert("m2"), resolved("m2")])
    for one in ("m1", "m2"):
        record = inhibited(await world.store.get(one), by="a1", at=NOON)
        if record is not None:
            world.store.put(EventType.INHIBITED, record, at=NOON)


@pytest.mark.parametrize(
    ("body", "until"),
    [
        ({}, None),
        ({"for_seconds": 3600}, "2024-09-18T13:00:00Z"),
        ({"expires_at": "2024-09-18T15:00:00+02:00"}, "2024-09-18T13:00:00Z"),
    ],
    ids=["for good", "seconds", "time"],
)
async def test_an_acknowledgement_may_have_an_end(
    world: World, client: Client, body: dict[str, object], until: str | None
) -> None:
    await world.store.record([make_alert()])
    answer = await client.post(f"{PATH}/acknowledge", json={**ADA, **body})
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["acknowledged_until"]) == ("acknowledged", until)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("acknowledge", {"for_seconds": 1, "expires_at": "2024-09-18T15:00:00Z"}, "got both"),
        ("acknowledge", {"expires_at": "2024-09-18T12:00:00Z"}, "within a year from now"),
        ("acknowledge", {"expires_at": "9999-12-31T23:59:59-12:00"}, "within a year from now"),
        ("acknowledge", {"expires_at": "2024-09-18T15:00:00"}, "expires_at"),
        ("acknowledge", {"for_seconds": 0}, "for_seconds"),
        ("acknowledge", {"for_seconds": 10**12}, "for_seconds"),
        ("acknowledge", {"actor": "time"}, "stands for us"),
        ("assign", {}, "to"),
        ("assign", {"to": " "}, "to"),
        ("comment", {}, "comment"),
        ("comment", {"comment": " "}, "comment"),
        ("reopen", {"actor": "detection"}, "stands for us"),
        ("resolve", {"actor": "Dispatch"}, "stands for us"),
        ("comment", {"actor": "detec\u200btion\u00ad", "comment": "x"}, "stands for us"),
        ("comment", {"actor": "\u200b time", "comment": "x"}, "stands for us"),
        ("resolve", {"cascade": "no"}, "cascade"),
    ],
)
async def test_a_body_that_is_wrong_is_refused(
    world: World, client: Client, path: str, body: dict[str, object], said: str
) -> None:
    await world.store.record([make_alert()])
    answer = await client.post(f"{PATH}/{path}", json={**ADA, **body})
    assert answer.status_code == 400
    assert said in answer.text
    assert len(world.store.events) == 1


async def test_it_is_assigned_commented_on_resolved_and_reopened(world: World, client: Client) -> None:
    await world.store.record([make_alert()])
    said = {**ADA, "comment": "see SP-1"}
    assert (await client.post(f"{PATH}/assign", json={**said, "to": " bob "})).json()["assigned_to"] == "bob"
    assert (await client.post(f"{PATH}/comment", json=said)).json()["state"] == "firing"
    assert (await client.post(f"{PATH}/resolve", json=said)).json()["state"] == "resolved"
    assert (await client.post(f"{PATH}/reopen", json=said)).json()["state"] == "firing"
    found = (await client.get("/api/v1/alerts", params={"assigned_to": "bob"})).json()
    assert [item["alert"]["id"] for item in found["items"]] == ["a1"]
    assert (await client.get("/api/v1/alerts", params={"unassigned": True})).json()["total"] == 0
    both = await client.get("/api/v1/alerts", params={"assigned_to": "bob", "unassigned": True})
    assert (both.status_code, both.json()["errors"]) == (
        400,
        [{"where": "query unassigned", "what": "expected it without assigned_to, which asks for 'bob'"}],
    )
    assert (await client.post(f"{PATH}/assign", json={**ADA, "to": None})).json()["assigned_to"] is None
    trail = (await client.get(f"{PATH}/events")).json()["items"]
    assert [entry["type"] for entry in trail] == ["opened", "assigned", "commented", "resolved", "reopened", "assigned"]
    assert {(entry["actor"], entry["comment"]) for entry in trail[1:5]} == {("ada", "see SP-1")}


@pytest.mark.parametrize("deed", ["acknowledge", "resolve", "reopen", "assign", "comment", "feedback"])
async def test_an_unknown_alert_is_not_found(client: Client, deed: str) -> None:
    more = {"assign": {"to": "bob"}, "comment": {"comment": "x"}, "feedback": {"verdict": "expected"}}.get(deed, {})
    assert (await client.post(f"{PATH}/{deed}", json={**ADA, **more})).status_code == 404


async def test_feedback_on_a_head_is_published_for_each_open_series(world: World, client: Client) -> None:
    await fold(world)
    body = {**ADA, "verdict": "expected"}
    assert (await client.post(f"{PATH}/feedback", json=body)).status_code == 202
    sent = [message for message in world.published if isinstance(message, Feedback)]
    assert [one.series.rsplit("=", 1)[1] for one in sent] == ["search", "ads"]
    assert {one.verdict for one in sent} == {"expected"}
    trail = (await client.get("/api/v1/alerts/m1/events")).json()["items"]
    assert trail[-1]["comment"] == "expected: together with team=search (a1)"


async def test_a_head_is_answered_for_alone_when_asked_to(world: World, client: Client) -> None:
    await fold(world)
    await client.post(f"{PATH}/feedback", json={**ADA, "verdict": "expected", "cascade": False})
    await client.post(f"{PATH}/resolve", json={**ADA, "cascade": False})
    assert len(world.published) == 1
    assert (await world.store.get("m1")).state == "firing"


async def test_a_folded_list_shows_the_head_and_the_head_names_the_rest(world: World, client: Client) -> None:
    await fold(world)
    found = (await client.get("/api/v1/alerts?folded=true&state=firing")).json()
    assert [item["alert"]["id"] for item in found["items"]] == ["a1"]
    found = (await client.get("/api/v1/alerts", params={"inhibited_by": "a1"})).json()
    assert [item["alert"]["id"] for item in found["items"]] == ["m1"]
