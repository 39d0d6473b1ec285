"""Messages to receivers in a terminal."""

import io
import json

import httpx
import pytest
from rich.console import Console

from service.api_client import ApiClient
from service.deliveries import listed, resend, show
from service.errors import ConfigError, UnavailableError

DEAD = {
    "id": "msg_1",
    "alert_id": "a1",
    "receiver": "desk",
    "event": "opened",
    "state": "dead",
    "attempts": 3,
    "last_error": "answered 400: \x1b[2Jno such project",
}


def client(*answers: httpx.Response) -> tuple[ApiClient, list[httpx.Request]]:
    asked: list[httpx.Request] = []
    waiting = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if not waiting:
            raise httpx.ConnectError("refused")
        return waiting.pop(0)

    return ApiClient("http://api", token="t0ken", transport=httpx.MockTransport(answer)), asked


def test_all_pages_are_listed() -> None:
    pages = [{"items": [DEAD], "next_cursor": "7.msg_1"}, {"items": [DEAD], "next_cursor": None}]
    listing, asked = client(*(httpx.Response(200, json=page) for page in pages))
    assert listed(listing, state="dead", receiver=None, limit=50) == [DEAD, DEAD]
    assert asked[0].headers["authorization"] == "Bearer t0ken"
    assert asked[1].url.params["cursor"] == "7.msg_1"


@pytest.mark.parametrize(
    ("delivery_id", "receiver", "path", "body"),
    [
        ("msg_1", None, "/api/v1/deliveries/msg_1/resend", None),
        (None, "desk", "/api/v1/deliveries/resend", {"receiver": "desk"}),
        (None, None, "/api/v1/deliveries/resend", {"all": True}),
    ],
)
def test_what_is_asked_to_be_sent_again(
    delivery_id: str | None, receiver: str | None, path: str, body: dict[str, object] | None
) -> None:
    resending, asked = client(httpx.Response(200, json={"count": 2}))
    assert resend(resending, delivery_id=delivery_id, receiver=receiver) == 2
    assert asked[0].url.path == path
    assert (json.loads(asked[0].content) if body else None) == body


def test_a_refusal_and_an_absence_are_told_apart() -> None:
    refusing, _ = client(httpx.Response(404, json={"detail": "no message that was given up has the id 'x'"}))
    with pytest.raises(ConfigError, match="http://api answered 404: no message that was given up has the id 'x'"):
        resend(refusing, delivery_id="x", receiver=None)
    with pytest.raises(UnavailableError, match="http://api does not answer: ConnectError"):
        resend(refusing, delivery_id="x", receiver=None)


def test_a_page_that_is_not_the_apis_is_named_and_an_id_stays_one_segment() -> None:
    elsewhere, asked = client(httpx.Response(200, text="<html>"))
    with pytest.raises(ConfigError, match="http://api did not answer with JSON: is that where the API is"):
        resend(elsewhere, delivery_id="../alerts/a1", receiver=None)
    assert asked[0].url.raw_path == b"/api/v1/deliveries/..%2Falerts%2Fa1/resend"


def test_a_listing_shows_the_reason_and_no_control_characters() -> None:
    out = io.StringIO()
    show([DEAD], as_json=False, console=Console(file=out, width=120))
    assert "dead       desk opened of a1, 3 attempts, msg_1" in out.getvalue()
    assert "answered 400: ?[2Jno such project" in out.getvalue()


def test_a_message_about_a_digest_or_the_end_of_a_silence_says_so() -> None:
    of = {**DEAD, "event": None, "alert_id": None, "last_error": None}
    digest = {"digest": "weekly", "silence": None, "value": "search", "due_at": "2026-11-23T07:00:00Z"}
    silence = {"digest": None, "silence": "5f2c\x1b", "value": None, "due_at": "2026-11-23T07:00:00Z"}
    out = io.StringIO()
    show([{**of, "letter": digest}, {**of, "letter": silence}], as_json=False, console=Console(file=out, width=120))
    assert "desk digest weekly of search, due 2026-11-23T07:00:00Z, 3 attempts" in out.getvalue()
    assert "desk end of silence 5f2c?, 3 attempts" in out.getvalue()


def test_json_is_the_data_as_it_is() -> None:
    out = io.StringIO()
    item = {**DEAD, "last_error": "answered 400: :key: [red] is no project"}
    show([item], as_json=True, console=Console(file=out, width=40))
    assert (json.loads(out.getvalue()), out.getvalue().count("\n")) == (item, 1)
