"""What people say of an alert goes to the engine, by the facts topic, and into the audit trail."""

import httpx
import pytest

from connectors.facts import Feedback, FeedbackVerdict
from connectors.publisher import PublishError
from service.api_client import ApiClient
from service.errors import ConfigError, UnavailableError
from service.opinion import give_feedback
from tests.builders import make_alert
from tests.service.web.builders import World
from tests.service.web.conftest import Client

PATH = "/api/v1/alerts/a1/feedback"
SAID = {"verdict": "new_normal", "actor": "dana", "comment": "the launch"}


async def test_it_is_published_for_the_series_and_written_down(world: World, client: Client) -> None:
    await world.store.record([make_alert("a1", buckets=2)])
    response = await client.post(PATH, json=SAID)
    assert response.status_code == 202
    (sent,) = world.published
    assert isinstance(sent, Feedback)
    assert (sent.series, sent.kind) == ("default/effective_cost/USD/1d/tag:team=search", "spike")
    assert (sent.starts_at, sent.through) == ("2024-09-18T00:00:00Z", "2024-09-19T00:00:00Z")
    assert (sent.verdict, sent.deviation) == (FeedbackVerdict.NEW_NORMAL, 292.5)
    assert sent.revision == int(world.clock.now().timestamp() * 1000)
    trail = (await client.get("/api/v1/alerts/a1/events")).json()["items"]
    assert [(entry["type"], entry["actor"], entry["comment"]) for entry in trail[1:]] == [
        ("feedback", "dana", "new_normal: the launch")
    ]


async def test_what_the_broker_did_not_take_is_not_written_down(world: World, client: Client) -> None:
    await world.store.record([make_alert("a1")])
    world.publish_error = PublishError(retryable=True, topic="spendwatch.facts", reason="away")
    response = await client.post(PATH, json=SAID)
    assert response.status_code == 503
    assert len(world.store.events) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**SAID, "verdict": "odd"}, 400),
        ({**SAID, "actor": " "}, 400),
        ({**SAID, "actor": "detection"}, 400),
        ({"verdict": "expected"}, 400),
    ],
    ids=["verdict", "nobody", "detection", "no-actor"],
)
async def test_a_body_that_is_wrong_is_refused(world: World, client: Client, body: object, status: int) -> None:
    await world.store.record([make_alert("a1")])
    assert (await client.post(PATH, json=body)).status_code == status
    assert world.published == []


async def test_an_unknown_alert_is_not_found(world: World, client: Client) -> None:
    assert (await client.post(PATH, json=SAID)).status_code == 404
    assert world.published == []


async def test_the_dashboard_has_a_button_for_each(world: World, client: Client) -> None:
    await world.store.record([make_alert("a1")])
    page = (await client.get("/alerts/a1")).text
    for verdict in FeedbackVerdict:
        assert f'name="verdict" value="{verdict.value}"' in page
    form = {"actor": "dana", "comment": "", "verdict": "expected"}
    response = await client.post("/alerts/a1/feedback", data=form, follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "/alerts/a1")
    assert [message.verdict for message in world.published if isinstance(message, Feedback)] == ["expected"]


def test_the_command_line_sends_the_same() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.url.path, request.headers["authorization"]) == (PATH, "Bearer t")
        assert request.read() == b'{"verdict":"expected","actor":"dana","comment":""}'
        return httpx.Response(202, json={})

    transport = httpx.MockTransport(answer)
    with ApiClient("http://api", token="t", transport=transport) as api:
        give_feedback(api, "a1", FeedbackVerdict.EXPECTED, actor="dana")


@pytest.mark.parametrize(
    ("status", "error"), [(404, ConfigError), (401, ConfigError), (503, UnavailableError)], ids=str
)
def test_the_command_line_tells_what_the_api_refuses(status: int, error: type[Exception]) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, json={"detail": "because"}))
    api = ApiClient("http://api", token=None, transport=transport)
    with api, pytest.raises(error, match=f"http://api answered {status}: because"):
        give_feedback(api, "a1", FeedbackVerdict.EXPECTED, actor="dana")
