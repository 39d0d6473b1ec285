"""Silences in a terminal."""

import io
import json
from datetime import timedelta

import httpx
import pytest
from rich.console import Console

from service import silences
from service.api_client import ApiClient
from service.errors import ConfigError
from tests.clock import FakeClock

ENTRY = {
    "silence": {
        "id": "s1",
        "kind": "planned_spend",
        "matchers": ['team="search"'],
        "created_by": "ada",
        "comment": "launch \x1b[2Jday",
        "amount_per_day": 500.0,
        "ends_at": "2024-09-19T12:00:00Z",
        "expired_at": None,
    },
    "state": "active",
    "expires_soon": True,
    "fixed": False,
}


def client(answer: httpx.Response) -> tuple[ApiClient, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer

    return ApiClient("http://api", token=None, transport=httpx.MockTransport(reply)), asked


@pytest.mark.parametrize(
    ("kind", "starts_at"), [("silence", "2024-09-18T12:00:00+00:00"), ("planned_spend", "2024-09-18T00:00:00+00:00")]
)
def test_a_plan_begins_with_today_and_a_silence_now(kind: str, starts_at: str) -> None:
    body = silences.body_of(
        ['team="search"'],
        owner="ada",
        lasting=timedelta(hours=8),
        comment="launch",
        kind=kind,
        amount_per_day=None,
        unit=None,
        clock=FakeClock(),
    )
    assert (body["starts_at"], body["ends_at"]) == (starts_at, "2024-09-18T20:00:00+00:00")


def test_what_is_asked_of_the_api() -> None:
    api, asked = client(httpx.Response(201, json=ENTRY))
    assert silences.add(api, {"matchers": ["a=b"]}) == ENTRY
    assert silences.expire(api, "s/1") == ENTRY
    assert [(one.method, one.url.raw_path) for one in asked] == [
        ("POST", b"/api/v1/silences"),
        ("DELETE", b"/api/v1/silences/s%2F1"),
    ]
    assert json.loads(asked[0].content) == {"matchers": ["a=b"]}


def test_a_silence_is_extended_from_its_own_end() -> None:
    api, asked = client(httpx.Response(200, json=ENTRY))
    assert silences.extend(api, "s/1", timedelta(hours=8)) == ENTRY
    assert [(one.method, one.url.raw_path) for one in asked] == [
        ("GET", b"/api/v1/silences/s%2F1"),
        ("PUT", b"/api/v1/silences/s%2F1"),
    ]
    assert json.loads(asked[1].content) == {
        "ends_at": "2024-09-19T20:00:00+00:00",
        "comment": "launch \x1b[2Jday",
        "amount_per_day": 500.0,
    }


def test_what_is_refused_is_said() -> None:
    api, _ = client(httpx.Response(400, json={"detail": "body matchers: these match everything"}))
    with pytest.raises(ConfigError, match="these match everything"):
        silences.preview(api, {})


def test_a_silence_is_a_line_and_moves_no_cursor() -> None:
    console = Console(file=io.StringIO(), width=200)
    silences.show([ENTRY], as_json=False, console=console)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert 'active   s1 planned spend team="search" by ada until 2024-09-19T12:00:00Z  ends soon' in text
    assert "\x1b" not in text


def test_what_it_would_keep_is_counted() -> None:
    console = Console(file=io.StringIO(), width=200)
    item = {"alert_id": "a1", "series": "default/x", "state": "firing", "impact": 292.5, "unit": "USD"}
    silences.show_kept([item], console)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "firing       default/x  +292.50 USD" in text
    assert "it would keep 1 open alerts now" in text


def test_json_is_the_data_as_it_is() -> None:
    console = Console(file=io.StringIO(), width=40)
    entry = {"silence": {"comment": ":key: [red]"}}
    silences.show([entry], as_json=True, console=console)
    assert json.loads(console.file.getvalue()) == entry  # type: ignore[attr-defined]  # a StringIO
