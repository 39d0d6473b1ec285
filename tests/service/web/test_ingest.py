"""Facts over HTTP."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from connectors.publisher import PublishError
from service.errors import UnavailableError
from service.web import ingest
from tests.service.web.builders import World
from tests.service.web.conftest import Client
from tests.service.web.streaming import running
from tests.waiting import until

PATH = "/api/v1/facts"


def fact(**changes: object) -> dict[str, object]:
    return {
        "series": "default/effective_cost/USD/1d/tag:team=search",
        "charge_period_start": "2024-09-18T00:00:00Z",
        "value": 12.4,
        "origin": "export:2024-09",
        **changes,
    }


def event(**changes: object) -> dict[str, object]:
    return {"specversion": "1.0", "type": "dev.spendwatch.fact", "source": "meter", "id": "1", "data": fact(**changes)}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", json.dumps(fact())),
        ("application/json; charset=utf-8", json.dumps([fact()])),
        ("application/json", json.dumps({"facts": [fact()]})),
        ("application/x-ndjson", json.dumps(fact()) + "\n"),
        ("application/cloudevents+json", json.dumps(event())),
        ("application/cloudevents-batch+json", json.dumps([event()])),
    ],
    ids=["single", "array", "object", "ndjson", "event", "events"],
)
async def test_each_form_is_published(world: World, client: Client, content_type: str, body: str) -> None:
    answer = await client.post(PATH, content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"accepted": 1, "rejected": 0, "errors": []}
    assert [one.value for one in world.facts] == [12.4]


async def test_good_facts_are_taken_and_bad_ones_named(world: World, client: Client) -> None:
    bad_series, bad_value = fact(series="nonsense"), fact(value="12.4")
    answer = await client.post(PATH, json=[fact(), bad_series, fact(value=2.0), bad_value])
    assert answer.status_code == 207
    body = answer.json()
    assert (body["accepted"], body["rejected"]) == (2, 2)
    assert [(error["index"], error["path"]) for error in body["errors"]] == [(1, "series"), (3, "value")]
    assert "expected tenant/metric" in body["errors"][0]["message"]
    assert [one.value for one in world.facts] == [12.4, 2.0]


async def test_nothing_good_is_refused_with_places(world: World, client: Client) -> None:
    answer = await client.post(PATH, json=[fact(series="nonsense"), fact(fold="add")])
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["where"] for error in answer.json()["errors"]] == ["facts[0].series", "facts[1].event_id"]
    assert world.published == []


@pytest.mark.parametrize("body", ["[]", "", "not json", '{"facts": []}'])
async def test_body_without_a_fact_is_refused(client: Client, body: str) -> None:
    answer = await client.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


async def test_many_rejections_are_counted_and_the_first_shown(client: Client) -> None:
    body = (await client.post(PATH, json=[fact()] + [fact(series="x")] * 150)).json()
    assert body["rejected"] == 150
    assert len(body["errors"]) == 100


@pytest.mark.parametrize(
    "error",
    [
        PublishError(retryable=True, topic="spendwatch.facts", reason="no broker"),
        UnavailableError("the broker is not connected"),
    ],
    ids=["publish", "unavailable"],
)
async def test_broker_away_asks_to_try_again(world: World, client: Client, error: Exception) -> None:
    world.publish_error = error
    answer = await client.post(PATH, json=fact())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["type"] == "urn:spendwatch:problem:unavailable"


async def test_broker_that_refuses_for_good_is_no_reason_to_retry(world: World, client: Client) -> None:
    world.publish_error = PublishError(retryable=False, topic="spendwatch.facts", reason="message too large")
    answer = await client.post(PATH, json=fact())
    assert answer.status_code == 400
    assert "retry-after" not in answer.headers


async def test_body_beyond_the_limit_is_refused(world: World, client: Client) -> None:
    answer = await client.post(PATH, content=b" " * (ingest.MAX_BODY_BYTES + 1))
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:spendwatch:problem:too-large"
    assert world.published == []


async def test_too_many_facts_are_refused(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "MAX_FACTS", 2)
    answer = await client.post(PATH, json=[fact()] * 3)
    assert answer.status_code == 413
    assert answer.json()["detail"] == "at most 2 facts at once, got 3"
    assert world.published == []


async def test_compressed_body_is_refused(client: Client) -> None:
    answer = await client.post(PATH, content=b"x", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415


async def test_same_key_gets_the_same_answer_without_publishing_again(world: World, client: Client) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = await client.post(PATH, json=[fact(), fact(series="x")], headers=headers)
    again = await client.post(PATH, json=[fact(), fact(series="x")], headers=headers)
    assert (first.status_code, again.status_code) == (207, 207)
    assert first.content == again.content
    assert len(world.published) == 1


async def test_key_used_for_another_body_is_refused(world: World, client: Client) -> None:
    headers = {"Idempotency-Key": "k1"}
    await client.post(PATH, json=fact(), headers=headers)
    answer = await client.post(PATH, json=fact(value=13.0), headers=headers)
    assert answer.status_code == 422
    assert len(world.published) == 1


async def test_failed_publishing_is_not_remembered(world: World, client: Client) -> None:
    headers = {"Idempotency-Key": "k1"}
    world.publish_error = PublishError(retryable=True, topic="spendwatch.facts", reason="no broker")
    assert (await client.post(PATH, json=fact(), headers=headers)).status_code == 503
    world.publish_error = None
    assert (await client.post(PATH, json=fact(), headers=headers)).status_code == 202
    assert len(world.published) == 1


async def test_facts_are_counted(world: World, client: Client) -> None:
    await client.post(PATH, json=[fact(), fact(series="x")])
    value = world.registry.get_sample_value
    assert value("spendwatch_ingest_facts_total", {"result": "accepted"}) == 1
    assert value("spendwatch_ingest_facts_total", {"result": "rejected"}) == 1


async def test_body_that_is_broken_off_is_no_failure_of_ours(world: World) -> None:
    async with running(world) as server:
        address = urlsplit(server.url)
        with capture_logs() as logs:
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            head = f"POST {PATH} HTTP/1.1\r\nHost: {address.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head.encode() + b'5\r\n{"ser\r\n')
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            labels = {"method": "POST", "route": PATH, "status": "400"}
            count = world.registry.get_sample_value
            await until(lambda: count("spendwatch_http_requests_total", labels) == 1)
    assert logs == []
    assert world.published == []
