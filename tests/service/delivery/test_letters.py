"""What is sent of a letter, and that it goes the way of every message: what each receiver that carries one promises.

`UPDATE_GOLDEN=1 python -m pytest tests/service/delivery/test_letters.py` writes the golden files anew.
"""

import base64
import hashlib
import hmac
import json
import os
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import httpx
import jsonschema
import pytest
from prometheus_client import CollectorRegistry

from service.delivery.letter_payload import letter_body
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.delivery.payload import MAX_BYTES
from service.delivery.receivers.over_http import HttpLetters
from service.delivery.receivers.receiver import (
    CarriesLetters,
    Delivered,
    FailureReason,
    Outcome,
    Rejected,
    Retry,
)
from service.digests.html import html_of
from service.digests.page import lines_of
from service.digests.words import page_of
from service.schemas import print_schema
from service.store.sql import SqlStore
from service.store.store import DeliveryQuery, LetterDelivery
from tests.builders import everyone, make_alert
from tests.clock import FakeClock
from tests.contracts.receiver import HOSTILE, WIRES
from tests.remotes.chats import SlackRemote
from tests.remotes.kinds import BY_TYPE, KINDS, WEBHOOK_SECRET, Kind
from tests.remotes.mail import MailRemote
from tests.remotes.remote import Fault
from tests.service.delivery.fakes import FakeResolver, RecordingReceiver, running
from tests.service.delivery.letters import make_digest, make_letter
from tests.service.delivery.test_email import make as make_email
from tests.service.delivery.test_email import text_of
from tests.service.digests.builders import MONDAY
from tests.service.store.test_letters import make_letter as stored_letter
from tests.waiting import until

GOLDEN = Path(__file__).parent / "golden"
CARRIERS = tuple(kind for kind in KINDS if kind.config("https://desk.example").carries_letters)
FILLERS = (HOSTILE, HOSTILE * 40, "🦊" * 500, "\n" * 500, "a" * 512)
LINK = "https://spendwatch.example.com"

carriers = pytest.mark.parametrize("kind", CARRIERS, ids=lambda kind: kind.name)


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text


def letters_of(receiver: object) -> HttpLetters:
    assert isinstance(receiver, HttpLetters)
    return receiver


@pytest.fixture
async def mails() -> AsyncIterator[MailRemote]:
    async with MailRemote() as remote:
        yield remote


@carriers
async def test_what_is_sent(kind: Kind) -> None:
    async with kind.remote() as remote:
        receiver = letters_of(kind.on_loopback(remote.url))
        assert isinstance(await receiver.send_letter(make_letter(), now=MONDAY), Delivered)
        await receiver.close()
        [request] = remote.requests
    shown = {name: value for name, value in request.headers.items() if name == "webhook-id" or name[:3] == "ce-"}
    text = json.dumps({"headers": shown, "body": request.json}, indent=1, ensure_ascii=False)
    golden(f"letter-{kind.name}.json", text + "\n")


def test_what_a_mail_looks_like() -> None:
    for name, value in (("overview", None), ("value", "search")):
        page = page_of(make_digest(value), LINK)
        golden(f"letter-{name}.html", html_of(page) + "\n")
        golden(f"letter-{name}.txt", "\n".join([page.title, "", *lines_of(page)]) + "\n")


def test_a_webhook_is_sent_what_its_schema_says() -> None:
    schema = json.loads(print_schema("digest"))
    jsonschema.Draft202012Validator.check_schema(schema)
    for value in (None, "search", "nobody"):
        body = json.loads(letter_body(make_letter(make_digest(value)).letter, LINK))
        jsonschema.validate(body, schema)
        assert (body["type"], body["data"]["value"], body["data"]["link"]) == ("cost.digest", value, LINK)


async def test_a_webhook_is_signed_and_every_attempt_says_the_same() -> None:
    kind = BY_TYPE["webhook-standard_webhooks"]
    async with kind.remote() as remote:
        receiver = letters_of(kind.on_loopback(remote.url))
        for attempt in (1, 2):
            await receiver.send_letter(make_letter(attempts=attempt), now=MONDAY + timedelta(minutes=attempt))
        await receiver.close()
        one, two = remote.requests
    assert one.body == two.body
    assert one.headers["webhook-id"] == two.headers["webhook-id"] == "msg_1"
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    signed = f"msg_1.{one.headers['webhook-timestamp']}.".encode() + one.body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert one.headers["webhook-signature"] == f"v1,{expected}"


@carriers
@pytest.mark.parametrize(("status", "outcome"), [(503, Retry), (429, Retry), (302, Retry), (404, Rejected)])
async def test_an_answer_means_what_it_means_for_an_alert(kind: Kind, status: int, outcome: type[Outcome]) -> None:
    receiver = letters_of(kind.answered(lambda _: httpx.Response(status, text="no"), WIRES))
    assert isinstance(await receiver.send_letter(make_letter(), now=MONDAY), outcome)


@carriers
async def test_an_address_in_our_network_is_refused(kind: Kind) -> None:
    resolver = FakeResolver(desk_example=["10.0.0.1"])
    receiver = letters_of(kind.answered(lambda _: httpx.Response(200), {"resolver": resolver}))
    outcome = await receiver.send_letter(make_letter(), now=MONDAY)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is FailureReason.REFUSED_ADDRESS


@carriers
@pytest.mark.parametrize("filler", FILLERS, ids=range(len(FILLERS)))
async def test_untrusted_text_stays_text_and_within_the_limits(kind: Kind, filler: str) -> None:
    """The remote enforces its limits; here: no markup, link or mention of a tag's making reaches it."""
    for value in (None, filler):
        async with kind.remote() as remote:
            receiver = letters_of(kind.on_loopback(remote.url))
            letter = make_letter(make_digest(value, label=filler, texts=filler))
            assert isinstance(await receiver.send_letter(letter, now=MONDAY), Delivered)
            await receiver.close()
            [request] = remote.requests
        if kind.type != "slack_bot" and kind.type != "slack_webhook":
            assert len(request.body) <= MAX_BYTES
        if kind.type.startswith("slack"):
            markup = [one for text in mrkdwn_of(request.json) for one in re.findall(r"<[^>]*>?", text)]
            assert [one for one in markup if not one.startswith(f"<{LINK}")] == []
        if kind.type == "teams":
            links = re.findall(r'"url":"([^"]*)"', request.body.decode())
            assert {link.split("/alerts/")[0] for link in links} == {LINK}
        if kind.type != "webhook":
            assert "\\u202e" not in request.body.decode()
            assert "\u202e" not in request.body.decode()


@pytest.mark.parametrize("filler", FILLERS, ids=range(len(FILLERS)))
async def test_untrusted_text_in_a_mail_is_text(mails: MailRemote, filler: str) -> None:
    email = make_email(mails)
    for value in (None, filler):
        letter = make_letter(make_digest(value, label=filler, texts=filler))
        assert isinstance(await email.send_letter(letter, now=MONDAY), Delivered)
    await email.close()
    for _, mail in mails.mails:
        assert mail["Bcc"] is None
        assert "\n" not in mail["Subject"]
        found = Elements(text_of(mail, "html"))
        assert "script" not in found.names
        assert {link.split("/alerts/")[0] for link in found.links} == {LINK}


class Elements(HTMLParser):
    """names: of all elements. links: where they lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


async def test_a_mail_has_an_id_of_its_own_and_both_forms(mails: MailRemote) -> None:
    email = make_email(mails)
    outcome = await email.send_letter(make_letter(), now=MONDAY)
    await email.close()
    [(recipients, mail)] = mails.mails
    assert recipients == ["ada@example.com", "ops@example.com"]
    assert outcome == Delivered(remote_id="<msg_1@example.com>")
    assert (mail["X-Spendwatch-Digest"], mail["In-Reply-To"]) == ("weekly", None)
    assert mail["Subject"].startswith("Weekly spend: 28.00 EUR, 0.0 % and ")
    for form in ("plain", "html"):
        for part in (
            "Spend by team",
            "Held back by the alert budget: 1",
            "Silences that end soon",
            f"{LINK}/alerts/a1",
        ):
            assert part in text_of(mail, form) or (form == "plain" and "/alerts/" in part)


async def test_a_post_in_slack_whose_answer_was_lost_is_not_made_twice() -> None:
    kind = BY_TYPE["slack_bot"]
    remote = SlackRemote()
    async with remote:
        receiver = letters_of(kind.on_loopback(remote.url))
        remote.faults.append(Fault.LOSE)
        first = await receiver.send_letter(make_letter(), now=MONDAY)
        assert isinstance(first, Retry)
        assert first.after == timedelta(seconds=2), "so long a post may escape the history"
        second = await receiver.send_letter(make_letter(attempts=2), now=MONDAY)
        assert isinstance(second, Delivered)
        assert len(remote.posts) == 1
        await receiver.close()


class LetterBox(RecordingReceiver, CarriesLetters):
    """letters: what it was sent."""

    def __init__(self, *outcomes: Outcome) -> None:
        super().__init__("desk")
        self.letters: list[LetterDelivery] = []
        self.answers = list(outcomes)

    async def send_letter(self, delivery: LetterDelivery, *, now: datetime) -> Outcome:
        self.letters.append(delivery)
        return self.answers.pop(0) if self.answers else Delivered(remote_id="m1")


async def test_the_deliverer_sends_letters_beside_alerts_and_again_what_was_given_up(tmp_path: Path) -> None:
    clock = FakeClock(MONDAY)
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}", routes=everyone("desk"), clock=clock)
    await store.migrate()
    await store.record([make_alert()])
    await store.post_by_hand([stored_letter()], at=MONDAY)
    box = LetterBox(Rejected(reason=FailureReason.CLIENT_ERROR, detail="too long"))
    metrics = DeliveryMetrics(CollectorRegistry(), ["desk"])
    async with running(Deliverer(store, [box], clock, metrics, poll_seconds=0.01)):
        await until(lambda: bool(box.letters and box.sent))

        async def is_given_up() -> bool:
            return bool((await store.deliveries(DeliveryQuery(state="dead"))).items)

        await until(is_given_up)
        assert await store.revive(at=MONDAY, delivery_id=box.letters[0].id) == 1
        clock.move(timedelta(minutes=1))
        await until(lambda: len(box.letters) == 2)
    [delivered] = [
        one
        for one in (await store.deliveries(DeliveryQuery(state="delivered"))).items
        if isinstance(one, LetterDelivery)
    ]
    assert (delivered.remote_id, delivered.letter.content) == ("m1", stored_letter().content)
    assert len(box.sent) == 1
    await store.close()


async def test_a_letter_for_one_that_carries_none_is_left_alone(tmp_path: Path) -> None:
    """The configuration was changed after it was written: it is kept, as messages for unknown receivers are."""
    clock = FakeClock(MONDAY)
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}", routes=everyone("desk"), clock=clock)
    await store.migrate()
    await store.post_by_hand([stored_letter()], at=MONDAY)
    await store.record([make_alert()])
    receiver = RecordingReceiver("desk")
    metrics = DeliveryMetrics(CollectorRegistry(), ["desk"])
    async with running(Deliverer(store, [receiver], clock, metrics, poll_seconds=0.01)):
        await until(lambda: bool(receiver.sent))
    assert (await store.counts())["desk"] == {"pending": 1, "delivered": 1, "dead": 0}
    await store.close()


def mrkdwn_of(post: dict[str, object]) -> list[str]:
    found: list[str] = [str(post["text"])]

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if value.get("type") == "mrkdwn":
                found.append(str(value["text"]))
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(post["blocks"])
    return found
