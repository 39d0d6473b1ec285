"""What every receiver promises: the life of an alert told, once; which answers are tried again; no secret shown;
untrusted text stays text; nowhere into our own network.

Subclass them with a fixture `kind`.
"""

import contextlib
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from msgspec.structs import replace

from service.core.alerts import AlertEvent, AlertState, DriverChange, EventType
from service.delivery.receivers.over_http import HttpReceiver, Wiring
from service.delivery.receivers.receiver import Delivered, FailureReason, Outcome, Rejected, Retry
from service.store.store import Delivery
from tests.builders import event_of, make_alert, make_event
from tests.clock import NOON
from tests.remotes.kinds import Kind
from tests.remotes.remote import Fault, Remote, Reply
from tests.service.delivery.fakes import FakeResolver

ELSEWHERE = ["93.184.215.14"]
HOSTILE = (
    "<!channel> <script>alert(1)</script> <https://evil.example|click> [~accountid:5b10] {{ticket.requester.email}} "
    "[code]<b>x</b>[/code] @[Ada:681ccaf9] [evil](https://evil.example)\r\nBcc: victim@example.com\r\n\r\n \x00\u202e"
    "& \" ' \\ ^ 'or'1'='1"
)
RESOLVER = FakeResolver(desk_example=ELSEWHERE)
WIRES: Wiring = {"resolver": RESOLVER}


def told(event: EventType, id_: str | None = None, remote_id: str | None = None, **alert: object) -> Delivery:
    """A message of alert a1."""
    return message(event_of(make_alert(**alert), event), id_=id_ or f"msg_{event.value}", remote_id=remote_id)  # type: ignore[arg-type]  # any field of an alert


def message(event: AlertEvent, *, id_: str = "msg_1", attempts: int = 1, remote_id: str | None = None) -> Delivery:
    return Delivery(
        id=id_,
        receiver="desk",
        event=event,
        attempts=attempts,
        created_at=NOON,
        next_attempt_at=NOON,
        state="pending",
        remote_id=remote_id,
    )


def remote_id_of(outcome: Outcome) -> str | None:
    return outcome.remote_id


class Talking:
    """What the suites share."""

    @pytest.fixture
    async def remote(self, kind: Kind) -> AsyncIterator[Remote]:
        async with kind.remote() as remote:
            yield remote

    @pytest.fixture
    async def receiver(self, kind: Kind, remote: Remote) -> AsyncIterator[HttpReceiver]:
        receiver = kind.on_loopback(remote.url)
        yield receiver
        await receiver.close()

    async def tell(self, receiver: HttpReceiver, *events: EventType) -> str | None:
        """Deliver them in turn, each knowing what the ones before learned; returns the remote id."""
        remote_id: str | None = None
        for number, event in enumerate(events):
            outcome = await receiver.send(told(event, id_=f"msg_{number}", remote_id=remote_id), now=NOON)
            assert isinstance(outcome, Delivered), f"{event}: {outcome}"
            remote_id = outcome.remote_id or remote_id
        return remote_id


class ReceiverContract(Talking):
    """Of every receiver."""

    @pytest.mark.parametrize("end", [EventType.RESOLVED, EventType.EXPECTED, EventType.WITHDRAWN])
    async def test_either_end_is_told(self, kind: Kind, remote: Remote, receiver: HttpReceiver, end: EventType) -> None:
        await self.tell(receiver, EventType.OPENED, end)
        if kind.tickets:
            assert remote.states() == {kind.key("a1"): ["resolved"]}
        assert end.value in b"".join(request.body for request in remote.requests).decode().lower() or kind.tickets

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 302, 307])
    async def test_what_may_pass_is_tried_again(self, kind: Kind, status: int) -> None:
        calls = 0

        def answer(_: httpx.Request) -> httpx.Response:
            nonlocal calls
            calls += 1
            headers = {"location": "https://elsewhere.example/", "retry-after": "77"}
            return httpx.Response(status, headers=headers, text="busy")

        receiver = kind.answered(answer, WIRES)
        outcome = await receiver.send(told(EventType.OPENED), now=NOON)
        assert isinstance(outcome, Retry)
        assert outcome.after is not None
        assert outcome.after >= timedelta(seconds=77)
        assert f"answered {status}: busy" in outcome.detail
        assert calls == 1, "a redirect is not followed, and nothing goes on after a failure"
        if status == 429:
            assert outcome.reason is FailureReason.RATE_LIMITED
        assert not outcome.got_somewhere

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
    async def test_what_will_never_work_is_rejected(self, kind: Kind, status: int) -> None:
        receiver = kind.answered(lambda _: httpx.Response(status, text="no such thing"), WIRES)
        outcome = await receiver.send(told(EventType.OPENED), now=NOON)
        assert isinstance(outcome, Rejected)
        assert "no such thing" in outcome.detail

    async def test_a_remote_that_hangs_is_given_up_in_time(self, kind: Kind, remote: Remote) -> None:
        remote.always = Fault.HANG
        receiver = kind.on_loopback(remote.url, timeout_seconds=0.05)
        outcome = await receiver.send(told(EventType.OPENED), now=NOON)
        assert isinstance(outcome, Retry)
        assert outcome.reason is FailureReason.TIMEOUT
        await receiver.close()

    @pytest.mark.parametrize("breaks", ["ConnectError", "ReadError", "RemoteProtocolError"])
    async def test_nothing_secret_is_shown(self, kind: Kind, caplog: pytest.LogCaptureFixture, breaks: str) -> None:
        caplog.set_level(logging.DEBUG)
        shown = []

        def echo(request: httpx.Request) -> httpx.Response:
            headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
            return httpx.Response(500, text=f"{request.url} {headers} {request.content.decode()}")

        def fail(request: httpx.Request) -> httpx.Response:
            raise getattr(httpx, breaks)(f"cannot reach {request.url} with {request.headers}")

        for answer in (echo, fail):
            receiver = kind.answered(answer, WIRES)
            outcome = await receiver.send(told(EventType.OPENED), now=NOON)
            shown.append(f"{outcome} {receiver!r} {receiver.address}")
        text = caplog.text + " ".join(shown)
        assert [secret for secret in kind.secrets if secret in text] == []
        assert "Basic YW" not in text

    async def test_untrusted_text_stays_text_and_within_the_limits(
        self, kind: Kind, remote: Remote, receiver: HttpReceiver
    ) -> None:
        """The remote enforces its limits; here: no markup of a tag's making reaches it."""
        for filler in (HOSTILE, HOSTILE * 400, "🦊" * 40_000, "\n" * 5000, "a" * 50_000):
            await self._untrusted(kind, remote, receiver, filler)

    async def _untrusted(self, kind: Kind, remote: Remote, receiver: HttpReceiver, filler: str) -> None:
        labels = {"team": filler, "resource_id": filler, filler[:200]: filler}
        opened = make_event(
            alert_id=f"hostile-{len(remote.requests)}",
            labels=labels,
            series=f"default/effective_cost/USD/1d/tag:team={filler}",
            reason=filler,
            action=filler,
            tenant=filler,
            unit=filler[:50],
            drivers=tuple(DriverChange(labels=labels, change=1.0, before=0.0, now=1.0) for _ in range(20)),
        )
        over = replace(opened, type=EventType.RESOLVED, comment=filler, actor=filler)
        over = replace(over, record=replace(over.record, state=AlertState.RESOLVED))
        before = len(remote.requests)
        first = await receiver.send(message(opened, id_="msg_h1"), now=NOON)
        assert isinstance(first, Delivered), first
        last = await receiver.send(message(over, id_="msg_h2", remote_id=first.remote_id), now=NOON)
        assert isinstance(last, Delivered), last
        for request in remote.requests[before:]:
            assert not [name for name, value in request.headers.items() if "\n" in value or name == "bcc"]
            text = _texts(request.body)
            if kind.type.startswith("slack"):
                assert [one for one in _mrkdwn(request.body) if "<" in one] == []
            if kind.type in ("zendesk", "freshdesk"):
                assert "{{" not in text
            if kind.type == "servicenow":
                assert "[code]" not in text.replace(" code]", "")
            if kind.type != "webhook":
                assert "\x00" not in text
                assert "\u202e" not in text

    async def test_an_address_in_our_network_is_refused_also_after_a_change_of_names(self, kind: Kind) -> None:
        resolver = FakeResolver(desk_example=[ELSEWHERE, ["10.0.0.1"], ["169.254.169.254"]])
        receiver = kind.answered(lambda _: httpx.Response(503), {"resolver": resolver})
        assert isinstance(await receiver.send(told(EventType.OPENED), now=NOON), Retry)
        for _ in range(2):
            outcome = await receiver.send(told(EventType.OPENED), now=NOON)
            assert isinstance(outcome, Rejected)
            assert outcome.reason is FailureReason.REFUSED_ADDRESS

    async def test_a_link_local_address_is_refused_even_if_private_ones_are_allowed(self, kind: Kind) -> None:
        resolver = FakeResolver(desk_example=["169.254.169.254"])
        receiver = kind.answered(lambda _: httpx.Response(200), {"resolver": resolver}, allow_private=True)
        outcome = await receiver.send(told(EventType.OPENED), now=NOON)
        assert isinstance(outcome, Rejected)
        assert outcome.reason is FailureReason.REFUSED_ADDRESS

    async def test_the_body_says_what_it_is_about(self, kind: Kind, remote: Remote, receiver: HttpReceiver) -> None:
        drivers = (
            DriverChange(
                labels={"service_name": "Amazon EC2", "resource_id": "i-0abc"}, change=260.0, before=80.0, now=340.0
            ),
        )
        outcome = await receiver.send(told(EventType.OPENED, drivers=drivers), now=NOON)
        assert isinstance(outcome, Delivered)
        text = _texts(b" ".join(request.body for request in remote.requests))
        link = "https://spendwatch.example.com/alerts/a1"
        wanted = ["i-0abc", "412.5", "120", "292.5", "260", "Look at the instances", link]
        with contextlib.suppress(KeyError):
            wanted[-1:] = {"alertmanager": [], "jira_service_management": ["spendwatch.example.com"]}[kind.type]
        plain = text.replace("\\", "")
        assert [part for part in wanted if part not in plain] == []


class TicketContract(Talking):
    """Of those whose other side keeps one thing per alert."""

    async def test_the_life_of_an_alert_is_one_ticket(self, kind: Kind, remote: Remote, receiver: HttpReceiver) -> None:
        remote_id = await self.tell(receiver, EventType.OPENED)
        assert remote_id
        assert remote.states() == {kind.key("a1"): ["open"]}
        for event, state in (
            (EventType.UPDATED, "open"),
            (EventType.ACKNOWLEDGED, "acknowledged" if kind.acknowledges else "open"),
            (EventType.RESOLVED, "resolved"),
        ):
            outcome = await receiver.send(told(event, remote_id=remote_id), now=NOON + timedelta(minutes=1))
            assert isinstance(outcome, Delivered), outcome
            assert remote.states() == {kind.key("a1"): [state]}, event

    async def test_the_end_of_an_acknowledgement_is_told_and_ends_nothing(
        self, kind: Kind, remote: Remote, receiver: HttpReceiver
    ) -> None:
        remote_id = await self.tell(receiver, EventType.OPENED, EventType.ACKNOWLEDGED)
        before = len(remote.requests)
        outcome = await receiver.send(told(EventType.ACK_EXPIRED, remote_id=remote_id), now=NOON)
        assert isinstance(outcome, Delivered), outcome
        (state,) = remote.states()[kind.key("a1")]
        returns = kind.type in ("jira", "jira_service_management", "freshdesk", "opsgenie", "slack_bot")
        assert state == ("open" if returns or not kind.acknowledges else "acknowledged")
        said = _texts(b" ".join(request.body for request in remote.requests[before:]))
        # An event of Event Management has no place for it, and PagerDuty none for what happened.
        if kind.type not in ("servicenow_event", "pagerduty"):
            assert "no longer acknowledged" in said.lower()

    async def test_an_end_of_an_acknowledgement_reopens_no_closed_ticket(
        self, kind: Kind, remote: Remote, receiver: HttpReceiver
    ) -> None:
        """Closed by a person on the other side: our state says nothing new about that."""
        if kind.has_our_key or kind.type == "slack_bot":
            pytest.skip("opened under our key, or never closed")
        remote_id = await self.tell(receiver, EventType.OPENED, EventType.RESOLVED)
        outcome = await receiver.send(told(EventType.ACK_EXPIRED, remote_id=remote_id), now=NOON)
        assert isinstance(outcome, Delivered), outcome
        assert remote.states() == {kind.key("a1"): ["resolved"]}

    async def test_what_comes_back_is_open_again(self, kind: Kind, remote: Remote, receiver: HttpReceiver) -> None:
        await self.tell(receiver, EventType.OPENED, EventType.RESOLVED, EventType.REOPENED)
        states = remote.states()[kind.key("a1")]
        assert states[-1] != "resolved"
        assert [state for state in states[:-1] if state != "resolved"] == []

    async def test_an_end_without_a_beginning_opens_nothing(
        self, kind: Kind, remote: Remote, receiver: HttpReceiver
    ) -> None:
        await self.tell(receiver, EventType.RESOLVED)
        assert [state for states in remote.states().values() for state in states if state != "resolved"] == []

    async def test_an_acknowledgement_that_came_with_an_update_is_told(
        self, kind: Kind, remote: Remote, receiver: HttpReceiver
    ) -> None:
        remote_id = await self.tell(receiver, EventType.OPENED)
        event = make_event(EventType.UPDATED)
        both = replace(event, record=replace(event.record, state=AlertState.ACKNOWLEDGED))
        outcome = await receiver.send(message(both, remote_id=remote_id), now=NOON)
        assert isinstance(outcome, Delivered)
        assert remote.states() == {kind.key("a1"): ["acknowledged" if kind.acknowledges else "open"]}

    async def test_a_lost_answer_makes_no_second_ticket(
        self, kind: Kind, remote: Remote, receiver: HttpReceiver
    ) -> None:
        """The create is done, its answer lost: at every request of the conversation in turn."""
        for lost in range(6):
            remote.faults.extend([*[None] * lost, Fault.LOSE])
            alert = f"lost-{lost}"
            for attempt in range(1, 4):
                delivery = message(make_event(EventType.OPENED, alert_id=alert), id_=f"msg_{lost}", attempts=attempt)
                outcome = await receiver.send(delivery, now=NOON)
                if isinstance(outcome, Delivered):
                    break
                assert isinstance(outcome, Retry)
                assert outcome.got_somewhere == (lost > 0), "it answered before the one that was lost"
            assert isinstance(outcome, Delivered)
            remote.faults.clear()
            assert remote.states()[kind.key(alert)] == ["open"]

    async def test_what_was_opened_is_known_though_the_rest_failed(
        self, kind: Kind, remote: Remote, receiver: HttpReceiver
    ) -> None:
        remote_id = await self.tell(receiver, EventType.OPENED)
        remote.faults.append(Reply(503))
        outcome = await receiver.send(told(EventType.RESOLVED, remote_id=remote_id), now=NOON)
        assert isinstance(outcome, Retry)
        assert outcome.remote_id == remote_id or kind.has_our_key


class WordedContract(Talking):
    """Of those that people read."""

    async def test_words_can_be_overridden(self, kind: Kind, remote: Remote) -> None:
        templates = {"title": "Spend: {{ labels.team }}", "text": "*{{ resource }}* {{ impact | money(unit) }}"}
        receiver = kind.on_loopback(remote.url, templates=templates)
        labels = {"team": "<!here>\nsearch", "resource_id": "<i-0abc>"}
        outcome = await receiver.send(told(EventType.OPENED, labels=labels), now=NOON)
        assert isinstance(outcome, Delivered), outcome
        text = _texts(b" ".join(request.body for request in remote.requests))
        assert "292.50 USD" in text
        assert "Spend: " in text
        if kind.type.startswith("slack"):
            assert "*&lt;i-0abc&gt;* 292.50 USD" in text
        await receiver.close()


def _mrkdwn(body: bytes) -> list[str]:
    """What Slack reads as markup: not the header, which is plain text."""
    post = json.loads(body or b"{}")
    parts = [
        part
        for block in post.get("blocks", [])
        for part in (block, *block.get("fields", []), *block.get("elements", []))
    ]
    texts = [part["text"] for part in (*parts, *(part.get("text") for part in parts)) if _is_mrkdwn(part)]
    return [post.get("text", ""), *texts]


def _is_mrkdwn(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == "mrkdwn"


def _texts(body: bytes) -> str:
    """Every text in a body, one a line, as the other side reads it."""
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, int | float):
            found.append(f"{value:g}")

    decoder = json.JSONDecoder()
    text = body.decode().strip()
    while text:
        value, end = decoder.raw_decode(text)
        walk(value)
        text = text[end:].strip()
    return "\n".join(found)
