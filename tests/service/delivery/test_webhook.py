"""What is sent to a Standard Webhooks endpoint, and what its answers mean."""

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from service.delivery import http as module
from service.delivery.calls import MAX_ERROR_BYTES
from service.delivery.receivers.factory import make_receivers
from service.delivery.receivers.receiver import Delivered, FailureReason, Rejected, Retry
from service.delivery.receivers.webhook import Webhook
from service.delivery.signing import parse_secrets, verify
from service.errors import ConfigError
from service.receiver_settings import WebhookReceiver
from service.settings import Settings
from tests.clock import NOON
from tests.service.delivery.fakes import SECRET, FakeResolver, make_delivery

URL = "https://user:hunter22@desk.example/services/T0KENPART/abc?sig=hunter23&x=1"
RESOLVER = FakeResolver(desk_example=["93.184.215.14"])
BASIC = base64.b64encode(b"user:hunter22").decode()
SECRETS = ("hunter22", BASIC, "hunter23", "T0KENPART", SECRET, SECRET.removeprefix("whsec_"))


def make_config(**changes: object) -> WebhookReceiver:
    fields: dict[str, object] = {"name": "desk", "url": URL, "secret": SECRET, **changes}
    return WebhookReceiver.model_validate(fields)


def make_webhook(answer: Callable[[httpx.Request], httpx.Response], **changes: object) -> Webhook:
    return Webhook(
        make_config(**changes),
        public_url="https://spendwatch.example.com",
        transport=httpx.MockTransport(answer),
        resolver=RESOLVER,
    )


async def test_the_message_is_signed_and_complete() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(204)

    delivery = make_delivery()
    later = NOON + timedelta(minutes=7)
    webhook = make_webhook(answer)
    assert await webhook.send(delivery, now=NOON) == Delivered()
    assert await webhook.send(delivery, now=later) == Delivered()
    for request, at in zip(requests, (NOON, later), strict=True):
        assert request.method == "POST"
        assert request.url.raw_path == b"/services/T0KENPART/abc?sig=hunter23&x=1"
        assert request.headers["host"] == "desk.example"
        assert request.headers["content-type"] == "application/json"
        assert request.headers["user-agent"].startswith("Spendwatch/")
        assert request.headers["authorization"].startswith("Basic ")
        assert request.headers["webhook-id"] == delivery.id
        assert request.headers["webhook-timestamp"] == str(int(at.timestamp()))
        verify(parse_secrets(SECRET), request.headers, request.content, now=at)
    assert requests[0].content == requests[1].content
    body = json.loads(requests[0].content)
    assert body["type"] == "cost.anomaly.opened"
    assert body["data"]["link"] == "https://spendwatch.example.com/alerts/a1"
    await webhook.close()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_delivered(status: int) -> None:
    assert await make_webhook(lambda _: httpx.Response(status)).send(make_delivery(), now=NOON) == Delivered()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (408, FailureReason.TIMEOUT),
        (425, FailureReason.CLIENT_ERROR),
        (429, FailureReason.RATE_LIMITED),
        (500, FailureReason.SERVER_ERROR),
        (502, FailureReason.SERVER_ERROR),
        (503, FailureReason.SERVER_ERROR),
        (504, FailureReason.SERVER_ERROR),
        (302, FailureReason.REDIRECT),
        (307, FailureReason.REDIRECT),
    ],
)
async def test_what_may_pass_is_tried_again(status: int, reason: FailureReason) -> None:
    calls = 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        return httpx.Response(status, headers={"location": "https://elsewhere.example/"}, text="busy")

    outcome = await make_webhook(answer).send(make_delivery(), now=NOON)
    assert outcome == Retry(reason=reason, detail=f"https://desk.example answered {status}: busy")
    assert calls == 1, "redirects are not followed"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, FailureReason.CLIENT_ERROR),
        (401, FailureReason.CLIENT_ERROR),
        (404, FailureReason.CLIENT_ERROR),
        (410, FailureReason.GONE),
        (413, FailureReason.CLIENT_ERROR),
    ],
)
async def test_what_will_never_work_is_rejected(status: int, reason: FailureReason) -> None:
    outcome = await make_webhook(lambda _: httpx.Response(status)).send(make_delivery(), now=NOON)
    assert outcome == Rejected(reason=reason, detail=f"https://desk.example answered {status}")


@pytest.mark.parametrize(
    ("text", "after"),
    [("120", timedelta(seconds=120)), ("Wed, 18 Sep 2024 12:01:00 GMT", timedelta(minutes=1)), ("soon", None)],
)
async def test_retry_after_is_passed_on(text: str, after: timedelta | None) -> None:
    webhook = make_webhook(lambda _: httpx.Response(429, headers={"retry-after": text}))
    outcome = await webhook.send(make_delivery(), now=NOON)
    assert isinstance(outcome, Retry)
    assert outcome.after == after


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ConnectError(f"cannot reach {URL}"), FailureReason.NETWORK),
        (httpx.RemoteProtocolError("Server disconnected"), FailureReason.NETWORK),
        (httpx.ReadError(""), FailureReason.NETWORK),
        (httpx.ReadTimeout("slow"), FailureReason.TIMEOUT),
        (httpx.ConnectTimeout("slow"), FailureReason.TIMEOUT),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_a_broken_connection_is_tried_again(error: Exception, reason: FailureReason) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    outcome = await make_webhook(answer).send(make_delivery(), now=NOON)
    assert isinstance(outcome, Retry)
    assert outcome.reason is reason
    assert outcome.detail.startswith("https://desk.example")
    assert not any(secret in outcome.detail for secret in SECRETS)


async def test_an_error_page_is_cut_and_stripped_of_our_secrets() -> None:
    page = f"no hook at {URL}, /services/T0KENPART/abc, hunter23 or hunter22! Basic {BASIC} " + "x" * 100_000
    outcome = await make_webhook(lambda _: httpx.Response(404, text=page)).send(make_delivery(), now=NOON)
    assert isinstance(outcome, Rejected)
    assert len(outcome.detail) <= MAX_ERROR_BYTES + 100
    assert not any(secret in outcome.detail for secret in SECRETS)
    assert "no hook at ***" in outcome.detail


async def test_an_address_in_our_network_is_rejected() -> None:
    webhook = Webhook(make_config(), resolver=FakeResolver(desk_example=["10.0.0.1"]))
    outcome = await webhook.send(make_delivery(), now=NOON)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is FailureReason.REFUSED_ADDRESS
    assert outcome.detail.startswith("desk.example: 10.0.0.1 is on this machine or in a private network")
    await webhook.close()


async def test_a_name_that_does_not_exist_is_tried_again() -> None:
    webhook = Webhook(make_config(), resolver=FakeResolver())
    outcome = await webhook.send(make_delivery(), now=NOON)
    assert isinstance(outcome, Retry)
    assert "cannot resolve desk.example" in outcome.detail
    await webhook.close()


async def test_nothing_secret_is_logged_or_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    webhook = make_webhook(lambda _: httpx.Response(500, text=URL))
    outcome = await webhook.send(make_delivery(), now=NOON)
    shown = f"{caplog.text} {webhook!r} {webhook.address} {outcome}"
    assert not any(secret in shown for secret in SECRETS)
    assert repr(webhook) == "Webhook('desk', https://desk.example)"


@contextlib.asynccontextmanager
async def answering(beginning: bytes, *, breaks: bool = False) -> AsyncIterator[Webhook]:
    """Sends to a server that begins an answer, and then breaks the connection or drips bytes for ever."""
    closing = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(beginning)
            while not closing.is_set() and not breaks:
                writer.write(b"x")
                await writer.drain()
                await asyncio.wait({asyncio.ensure_future(closing.wait())}, timeout=0.01)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/"
        webhook = Webhook(make_config(url=url, allow_http=True, allow_private=True, timeout_seconds=1))
        async with asyncio.timeout(5):
            yield webhook
        await webhook.close()
        closing.set()


async def test_a_server_that_drips_is_given_up_in_time() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nServer: ") as webhook:
        outcome = await webhook.send(make_delivery(), now=datetime.now(UTC))
        expected = f"{webhook.address} did not answer within 1 s"
        assert outcome == Retry(reason=FailureReason.TIMEOUT, detail=expected)


@pytest.mark.parametrize("breaks", [False, True], ids=["hangs", "breaks"])
async def test_an_accepted_message_is_delivered_whatever_becomes_of_the_body(
    breaks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BODY_SECONDS", 0.1)
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", breaks=breaks) as webhook:
        assert await webhook.send(make_delivery(), now=datetime.now(UTC)) == Delivered()


@pytest.mark.parametrize("breaks", [False, True], ids=["hangs", "breaks"])
async def test_a_refusal_is_one_whatever_becomes_of_the_body(breaks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BODY_SECONDS", 0.1)
    async with answering(b"HTTP/1.1 410 Gone\r\nContent-Length: 1000\r\n\r\nmoved", breaks=breaks) as webhook:
        outcome = await webhook.send(make_delivery(), now=datetime.now(UTC))
        assert isinstance(outcome, Rejected)
        assert outcome.reason is FailureReason.GONE
        assert outcome.detail.startswith(f"{webhook.address} answered 410: moved")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"secret": "hunter22!"}, "receiver 'desk': a signing secret must be whsec_ and base64"),
        ({"url": "http://desk.example/hunter22"}, "url must begin with https://; `allow_http: true` permits http"),
        ({"url": "ftp://desk.example/hunter22", "allow_http": True}, "url must begin with https:// or http://"),
        ({"url": "https://desk.example:hunter22/"}, "url is not a URL"),
        ({"url": "https:///hunter22"}, "url must begin with"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Webhook(make_config(**changes))
    assert message in str(caught.value)
    assert "hunter22" not in str(caught.value)


async def test_all_mistakes_of_all_receivers_are_named_at_once() -> None:
    good = make_config(name="good")
    settings = Settings(receivers=(make_config(name="a", url="x"), good, make_config(name="b", secret="short")))
    with pytest.raises(ConfigError, match=r"receiver 'a': url must begin with .*; receiver 'b': a signing secret"):
        make_receivers(settings)
    [receiver] = make_receivers(Settings(receivers=(good,)))
    assert (receiver.name, receiver.timeout, receiver.deadline) == (
        "good",
        timedelta(seconds=15),
        timedelta(days=3),
    )
    await receiver.close()


def test_the_url_may_end_with_a_line_break_of_its_file() -> None:
    webhook = Webhook(make_config(url=SecretStr("https://desk.example/x\n")), resolver=RESOLVER)
    assert webhook.address == "https://desk.example"
