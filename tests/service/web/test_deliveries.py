"""The JSON API of messages to receivers."""

from datetime import timedelta
from typing import get_args

from service.store.store import DeliveryState
from tests.builders import everyone, make_alert
from tests.clock import NOON
from tests.service.web.builders import World
from tests.service.web.conftest import Client


async def _given_up(world: World, *receivers: str) -> list[str]:
    """One message to each receiver, all given up; their ids."""
    world.store._routes = everyone(*receivers)
    await world.store.record([make_alert()])
    rows = await world.store.deliveries_of("a1")
    for row in rows:
        await world.store.dead(row.id, error="answered 400: no such project", at=NOON)
    return [row.id for row in rows]


async def test_what_was_given_up_is_listed_with_its_reason(world: World, client: Client) -> None:
    ids = await _given_up(world, "desk")
    await world.store.record([make_alert("a2")])
    (item,) = (await client.get("/api/v1/deliveries?state=dead")).json()["items"]
    assert (item["id"], item["alert_id"], item["receiver"], item["state"]) == (ids[0], "a1", "desk", "dead")
    assert item["last_error"] == "answered 400: no such project"
    assert len((await client.get("/api/v1/deliveries")).json()["items"]) == 2
    assert (await client.get("/api/v1/deliveries?receiver=pager")).json() == {"items": [], "next_cursor": None}


async def test_paging_shows_each_message_once(world: World, client: Client) -> None:
    world.store._routes = everyone("desk", "pager")
    await world.store.record([make_alert(f"a{number}") for number in range(4)])
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await client.get(f"/api/v1/deliveries?limit=3{cursor}")).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen)) == 8


async def test_one_is_sent_again_with_a_new_deadline(world: World, client: Client) -> None:
    (id_,) = await _given_up(world, "desk")
    world.clock.move(timedelta(days=9))
    answer = await client.post(f"/api/v1/deliveries/{id_}/resend")
    assert (answer.status_code, answer.json()) == (200, {"count": 1})
    (row,) = await world.store.deliveries_of("a1")
    assert (row.state, row.attempts, row.created_at) == ("pending", 0, NOON + timedelta(days=9))
    again = await client.post(f"/api/v1/deliveries/{id_}/resend")
    assert again.status_code == 404
    assert again.json()["type"] == "urn:spendwatch:problem:delivery-not-found"


async def test_a_receivers_are_sent_again_or_all(world: World, client: Client) -> None:
    await _given_up(world, "desk", "pager", "chat")
    assert (await client.post("/api/v1/deliveries/resend", json={"receiver": "pager"})).json() == {"count": 1}
    assert (await client.post("/api/v1/deliveries/resend", json={"all": True})).json() == {"count": 2}
    for body in ({}, {"receiver": "desk", "all": True}, {"receiverr": "desk"}):
        assert (await client.post("/api/v1/deliveries/resend", json=body)).status_code == 400
    for query in ("state=lost", "limit=0", "cursor=x"):
        assert (await client.get(f"/api/v1/deliveries?{query}")).status_code == 400


async def test_a_state_that_is_none_is_refused_by_the_name_that_clients_know(client: Client) -> None:
    response = await client.get("/api/v1/deliveries?state=odd")
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {
            "where": "query state",
            "what": f"Invalid enum value 'odd'; expected one of {', '.join(get_args(DeliveryState))}",
        }
    ]


async def test_no_body_at_all_is_said_to_be_none(client: Client) -> None:
    response = await client.post("/api/v1/deliveries/resend", headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["detail"]) == (400, "body: expected a JSON object, got nothing")
