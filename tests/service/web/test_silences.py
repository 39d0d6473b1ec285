"""Silences over HTTP and on their page."""

from datetime import timedelta

import pytest
from litestar.testing import AsyncTestClient

from service.core.silences import SilenceState
from tests.builders import make_alert
from tests.clock import NOON
from tests.service.web.builders import BASE_URL, World
from tests.service.web.conftest import Client

PATH = "/api/v1/silences"
BODY = {"matchers": ['team="search"'], "created_by": "ada", "ends_at": "2024-09-18T20:00:00Z"}


async def test_a_silence_is_made_listed_changed_and_ended(world: World, client: Client) -> None:
    made = await client.post(PATH, json=BODY)
    assert made.status_code == 201
    assert (made.json()["state"], made.json()["silence"]["created_by"]) == ("active", "ada")
    silence_id = made.json()["silence"]["id"]
    [listed] = (await client.get(PATH, params={"state": "active"})).json()["items"]
    assert listed == made.json()
    change = {"ends_at": "2024-09-18T12:30:00Z", "comment": "shorter"}
    changed = (await client.put(f"{PATH}/{silence_id}", json=change)).json()
    assert (changed["silence"]["comment"], changed["expires_soon"]) == ("shorter", True)
    ended = (await client.delete(f"{PATH}/{silence_id}")).json()
    assert ended["state"] == "expired"
    assert (await client.delete(f"{PATH}/{silence_id}")).json() == ended
    refused = await client.put(f"{PATH}/{silence_id}", json=change)
    assert (refused.status_code, refused.json()["errors"][0]["what"]) == (400, "it has expired; make a new one")
    assert (await client.get(f"{PATH}/{silence_id}")).json() == ended


async def test_an_end_is_kept_in_utc_whatever_offset_it_comes_with(client: Client) -> None:
    made = (await client.post(PATH, json={**BODY, "ends_at": "2024-09-18T16:00:00+02:00"})).json()["silence"]
    assert made["ends_at"] == "2024-09-18T14:00:00Z"
    change = {"ends_at": "2024-09-18T17:00:00+02:00", "comment": ""}
    changed = (await client.put(f"{PATH}/{made['id']}", json=change)).json()["silence"]
    assert changed["ends_at"] == "2024-09-18T15:00:00Z"
    for end in ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"):
        refused = await client.post(PATH, json={**BODY, "ends_at": end})
        assert (refused.status_code, refused.json()["errors"][0]["where"]) == (400, "body ends_at")


async def test_how_soon_is_soon_is_configured() -> None:
    world = World(expires_soon_seconds=8 * 3600)
    async with AsyncTestClient(world.app, base_url=BASE_URL) as client:
        assert (await client.post(PATH, json=BODY)).json()["expires_soon"] is True
        assert "ends soon" in (await client.get("/silences")).text
        later = {**BODY, "ends_at": "2024-09-18T20:00:01Z"}
        assert (await client.post(PATH, json=later)).json()["expires_soon"] is False


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        ({**BODY, "matchers": []}, "body matchers", "length >= 1"),
        ({**BODY, "matchers": ['team=~".*"']}, "body matchers", "these match everything"),
        ({**BODY, "matchers": ["team"]}, "body matchers[0]", "expected"),
        ({**BODY, "ends_at": "2024-09-18T11:00:00Z"}, "body ends_at", "after starts_at"),
        ({**BODY, "kind": "planned_spend"}, "body amount_per_day", "how much more"),
        ({**BODY, "recurrence": [{"location": "Mars"}]}, "body recurrence[0]", "IANA"),
        ({**BODY, "colour": "red"}, "body", "colour"),
        ({**BODY, "created_by": "detection"}, "body actor", "stands for us"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_its_place(
    client: Client, body: dict[str, object], where: str, what: str
) -> None:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 400
    [mistake] = answer.json()["errors"]
    assert mistake["where"].startswith(where)
    assert what in mistake["what"]


async def test_an_unknown_silence_is_not_found(client: Client) -> None:
    for answer in (await client.get(f"{PATH}/nope"), await client.delete(f"{PATH}/nope")):
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:spendwatch:problem:silence-not-found")


async def test_a_preview_says_what_it_would_keep_and_makes_nothing(world: World, client: Client) -> None:
    await world.store.record([make_alert("a1"), make_alert("a2", team="ads")])
    items = (await client.post(f"{PATH}/preview", json=BODY)).json()["items"]
    assert [item["alert_id"] for item in items] == ["a1"]
    plan = {
        **BODY,
        "kind": "planned_spend",
        "amount_per_day": 300.0,
        "unit": "USD",
        "starts_at": "2024-09-18T00:00:00Z",
    }
    assert len((await client.post(f"{PATH}/preview", json=plan)).json()["items"]) == 1
    assert world.silences.kept == {}


async def test_the_page_fills_its_form_previews_and_silences(world: World, client: Client) -> None:
    await world.store.record([make_alert(labels={"team": 'se"arch'})])
    alert = (await client.get("/alerts/a1", headers={"Accept": "text/html"})).text
    assert "Silence this" in alert
    shown = await client.get("/silences", params={"matcher": 'team="se\\"arch"'})
    assert "team=&#34;se\\&#34;arch&#34;" in shown.text
    form = {"matchers": 'team="se\\"arch"', "created_by": "ada", "hours": "8", "comment": "<b>we know</b>"}
    preview = await client.post("/silences", data={**form, "action": "preview"})
    assert "It would keep 1 open alert now" in preview.text
    assert world.silences.kept == {}
    answer = await client.post("/silences", data=form, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/silences")
    page = (await client.get("/silences")).text
    assert "&lt;b&gt;we know&lt;/b&gt;" in page
    [made] = world.silences.kept.values()
    await client.post(f"/silences/{made.id}/extend", data={"hours": "1.5"})
    longer = world.silences.kept[made.id]
    assert (longer.ends_at - made.ends_at, longer.comment) == (timedelta(hours=1.5), "<b>we know</b>")
    await client.post(f"/silences/{made.id}/expire")
    assert world.silences.kept[made.id].expired_at == NOON
    refused = await client.post(f"/silences/{made.id}/extend", data={"hours": "8"})
    assert "it has expired; make a new one" in refused.text


async def test_a_mistake_in_the_form_is_said_and_what_was_written_stays(client: Client) -> None:
    form = {"matchers": "team", "created_by": "ada", "hours": "8", "comment": "mine"}
    answer = await client.post("/silences", data=form)
    assert answer.status_code == 200
    assert "matchers[0]: " in answer.text
    assert 'value="mine"' in answer.text


def test_every_state_has_a_name() -> None:
    assert {state.value for state in SilenceState} == {"pending", "active", "expired"}
