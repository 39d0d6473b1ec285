"""What one receiver does and no other: each against a remote that behaves as its reference says."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import httpx
import pytest
from msgspec.structs import replace

from service.core.alerts import AlertState, EventType, Severity
from service.delivery.receivers.over_http import HttpReceiver
from service.delivery.receivers.receiver import Delivered, FailureReason, Outcome, Rejected, Retry
from tests.builders import make_event
from tests.clock import NOON
from tests.contracts.receiver import WIRES, message, told
from tests.remotes.chats import SlackRemote, SlackWebhookRemote, TeamsRemote
from tests.remotes.freshdesk import FreshdeskRemote
from tests.remotes.jira import JiraRemote
from tests.remotes.kinds import BY_TYPE, WebhookRemote
from tests.remotes.pagerduty import PagerDutyRemote
from tests.remotes.pagers import AlertmanagerRemote, OpsgenieRemote
from tests.remotes.remote import Fault, Remote, Reply, opened
from tests.remotes.servicenow import ServiceNowRemote
from tests.remotes.zendesk import ZendeskRemote

R = TypeVar("R", bound=Remote)


@contextlib.asynccontextmanager
async def talking(name: str, kind: type[R], **changes: object) -> AsyncIterator[tuple[R, HttpReceiver]]:
    remote = kind()
    async with remote:
        receiver = BY_TYPE[name].on_loopback(remote.url, **changes)
        yield remote, receiver
        await receiver.close()


async def send(receiver: HttpReceiver, event: EventType, remote_id: str | None = None, **alert: object) -> Outcome:
    return await receiver.send(told(event, None, remote_id, **alert), now=NOON)


async def opened_id(receiver: HttpReceiver) -> str:
    outcome = await send(receiver, EventType.OPENED)
    assert isinstance(outcome, Delivered)
    assert outcome.remote_id is not None
    return outcome.remote_id


# -- webhook --------------------------------------------------------------------------------------------------------


async def test_a_cloudevent_has_the_attributes_that_tell_it_from_others() -> None:
    async with talking("webhook-cloudevents", WebhookRemote) as (remote, receiver):
        await send(receiver, EventType.OPENED)
    event = remote.requests[0].json
    assert remote.requests[0].headers["content-type"] == "application/cloudevents+json; charset=UTF-8"
    assert (event["specversion"], event["id"], event["source"]) == (
        "1.0",
        "msg_opened",
        "https://spendwatch.example.com",
    )
    assert event["type"] == "dev.spendwatch.cost.anomaly.opened"
    assert event["data"]["id"] == event["subject"] == "a1"


async def test_a_cloudevent_in_binary_mode_keeps_its_headers_printable() -> None:
    async with talking("webhook-cloudevents_binary", WebhookRemote) as (remote, receiver):
        await send(receiver, EventType.OPENED, alert_id='a "1" ü%')
    headers = remote.requests[0].headers
    assert headers["ce-subject"] == "a%20%221%22%20%C3%BC%25"
    assert headers["content-type"] == "application/json"
    assert remote.requests[0].json["id"] == 'a "1" ü%'


# -- Slack ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [("no_service", Rejected), ("invalid_blocks", Rejected), ("rollup_error", Retry), ("", Retry), ("<html>", Retry)],
)
async def test_slacks_200_that_is_not_ok_is_an_error(text: str, kind: type[Retry] | type[Rejected]) -> None:
    receiver = BY_TYPE["slack_webhook"].answered(lambda _: httpx.Response(200, text=text), WIRES)
    assert isinstance(await send(receiver, EventType.OPENED), kind)


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        ("ratelimited", Retry, FailureReason.RATE_LIMITED),
        ("internal_error", Retry, FailureReason.SERVER_ERROR),
        ("invalid_auth", Rejected, FailureReason.CLIENT_ERROR),
        ("channel_not_found", Rejected, FailureReason.CLIENT_ERROR),
    ],
)
async def test_slacks_errors_are_told_apart(
    error: str, kind: type[Retry] | type[Rejected], reason: FailureReason
) -> None:
    answer = {"ok": False, "error": error, "needed": "chat:write"}
    receiver = BY_TYPE["slack_bot"].answered(lambda _: httpx.Response(200, json=answer), WIRES)
    outcome = await send(receiver, EventType.OPENED)
    assert isinstance(outcome, kind)
    assert outcome.reason is reason
    assert f"{error} (needed: chat:write)" in outcome.detail or kind is Retry


async def test_a_slack_post_is_edited_and_its_thread_says_what_happened() -> None:
    async with talking("slack_bot", SlackRemote) as (remote, receiver):
        post = await opened_id(receiver)
        for event in (EventType.UPDATED, EventType.ACKNOWLEDGED, EventType.RESOLVED):
            assert isinstance(await send(receiver, event, post), Delivered)
        assert len(remote.posts) == 1
        assert [reply["text"].split(" ")[0] for reply in remote.replies] == ["Acknowledged", "Resolved"]
        assert {reply["thread_ts"] for reply in remote.replies} == {post.partition("/")[2]}


async def test_a_slack_post_that_somebody_deleted_is_made_again_while_it_matters() -> None:
    async with talking("slack_bot", SlackRemote) as (remote, receiver):
        post = await opened_id(receiver)
        remote.posts.clear()
        assert await send(receiver, EventType.RESOLVED, post) == Delivered(remote_id=post)
        assert remote.posts == {}
        again = await send(receiver, EventType.UPDATED, post)
        assert isinstance(again, Delivered)
        assert again.remote_id != post
        assert len(remote.posts) == 1


async def test_a_slack_bot_that_may_not_read_the_channel_posts_all_the_same() -> None:
    async with talking("slack_bot", SlackRemote) as (remote, receiver):
        remote.may_read = False
        await opened_id(receiver)
        assert len(remote.posts) == 1


async def test_a_slack_post_is_found_again_on_a_later_page_of_the_history() -> None:
    async with talking("slack_bot", SlackRemote) as (remote, receiver):
        post = await opened_id(receiver)
        for number in range(250):
            filler = {**next(iter(remote.posts.values())), "metadata": {"event_payload": {"alert": f"other-{number}"}}}
            remote.posts[f"19000{number:05}.0"] = filler
        assert await send(receiver, EventType.OPENED) == Delivered(remote_id=post)


async def test_a_slack_message_shows_severity_and_link() -> None:
    async with talking("slack_webhook", SlackWebhookRemote) as (remote, receiver):
        await send(receiver, EventType.OPENED, severity=Severity.CRITICAL)
    (post,) = remote.posts
    assert post["text"].startswith("[critical] team=search: 412.50 USD, 120.00 expected")
    assert post["blocks"][-1]["elements"][0]["url"] == "https://spendwatch.example.com/alerts/a1"


# -- Teams ----------------------------------------------------------------------------------------------------------


async def test_a_teams_card_leads_to_the_alert() -> None:
    async with talking("teams", TeamsRemote) as (remote, receiver):
        await send(receiver, EventType.OPENED)
    (card,) = remote.cards
    assert card["actions"] == [
        {"type": "Action.OpenUrl", "title": "Details", "url": "https://spendwatch.example.com/alerts/a1"}
    ]


# -- pagers ---------------------------------------------------------------------------------------------------------


async def test_pagerduty_gets_the_severity_and_opens_anew_after_a_resolve() -> None:
    async with talking("pagerduty", PagerDutyRemote) as (remote, receiver):
        for event in (EventType.OPENED, EventType.UPDATED, EventType.RESOLVED, EventType.REOPENED):
            await send(receiver, event, severity=Severity.HIGH)
    assert remote.states() == {"a1": ["resolved", "open"]}
    assert remote.events[0]["payload"]["severity"] == "error"
    assert [event["event_action"] for event in remote.events] == ["trigger", "trigger", "resolve", "trigger"]


async def test_opsgenie_shows_the_newest_texts_and_asks_its_teams() -> None:
    async with talking("opsgenie", OpsgenieRemote, teams=["finops"]) as (remote, receiver):
        await send(receiver, EventType.OPENED)
        await send(receiver, EventType.UPDATED, severity=Severity.CRITICAL)
    (alert,) = remote.alerts
    assert (alert["priority"], alert["message"].split(" ")[0]) == ("P1", "[critical]")
    assert alert["responders"] == [{"type": "team", "name": "finops"}]


async def test_jsm_operations_is_opsgenie_at_another_address() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url.raw_path.decode()))
        return httpx.Response(202)

    url = "https://desk.example/jsm/ops/integration"
    receiver = BY_TYPE["opsgenie"].make(url, {"transport": httpx.MockTransport(answer), **WIRES})
    await send(receiver, EventType.RESOLVED)
    assert asked == ["/jsm/ops/integration/v2/alerts/a1/close?identifierType=alias"]


async def test_alertmanager_keeps_its_labels_whatever_becomes_of_the_alert() -> None:
    async with talking("alertmanager", AlertmanagerRemote) as (remote, receiver):
        await send(receiver, EventType.OPENED)
        await send(receiver, EventType.UPDATED, severity=Severity.CRITICAL, impact=1e6, reason="other")
    ((labels, alert),) = remote.alerts.items()
    assert dict(labels)["team"] == "search"
    assert alert["annotations"]["severity"] == "critical"
    assert alert["endsAt"] == "2024-09-25T12:00:00Z", "kept for a week"


async def test_alertmanager_takes_tags_with_any_name() -> None:
    series = "default/effective_cost/USD/1d/tag:kind=batch"
    async with talking("alertmanager", AlertmanagerRemote) as (remote, receiver):
        await send(receiver, EventType.OPENED, series=series)
    ((labels, _),) = remote.alerts.items()
    assert (dict(labels)["tag_kind"], dict(labels)["kind"]) == ("batch", "spike")


async def test_one_member_of_an_alertmanager_cluster_is_enough() -> None:
    first, second = AlertmanagerRemote(), AlertmanagerRemote()
    async with opened(first, second):
        urls = {"urls": [first.url, second.url], "timeout_seconds": 0.5}
        receiver = BY_TYPE["alertmanager"].on_loopback("", **urls)
        assert isinstance(await send(receiver, EventType.OPENED), Delivered)
        assert len(first.alerts) == len(second.alerts) == 1
        first.always = Fault.HANG
        assert isinstance(await send(receiver, EventType.RESOLVED), Delivered)
        assert second.states() == {"a1": ["resolved"]}
        second.always = Reply(500)
        outcome = await send(receiver, EventType.RESOLVED)
        assert isinstance(outcome, Retry)
        first.always = Reply(503)
        outcome = await send(receiver, EventType.RESOLVED)
        assert isinstance(outcome, Retry)
        assert not outcome.got_somewhere, "two that are away are no sign that one works"
        await receiver.close()


async def test_an_event_for_servicenow_is_not_made_of_an_acknowledgement() -> None:
    receiver = BY_TYPE["servicenow_event"].answered(lambda _: httpx.Response(500), WIRES)
    assert isinstance(await send(receiver, EventType.ACKNOWLEDGED), Delivered)


# -- help desks -----------------------------------------------------------------------------------------------------


async def test_an_issue_that_a_person_closed_is_left_where_it_is() -> None:
    async with talking("jira", JiraRemote) as (remote, receiver):
        key = await opened_id(receiver)
        remote.tickets[key]["status"] = "5"
        for event in (EventType.ACKNOWLEDGED, EventType.RESOLVED):
            assert isinstance(await send(receiver, event, key), Delivered)
        assert remote.tickets[key]["comments"] == []
        assert remote.states()[BY_TYPE["jira"].key("a1")] == ["resolved"]


async def test_a_workflow_without_a_way_to_done_is_told_to_the_operator() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/transitions"):
            return httpx.Response(200, json={"transitions": []})
        status = {"name": "Waiting", "statusCategory": {"key": "new"}}
        return httpx.Response(200, json={"fields": {"status": status}})

    receiver = BY_TYPE["jira"].answered(answer, WIRES)
    outcome = await send(receiver, EventType.RESOLVED, "FINOPS-7")
    assert isinstance(outcome, Rejected)
    assert "issue FINOPS-7 has no transition to a status of category done from 'Waiting'" in outcome.detail
    assert outcome.remote_id == "FINOPS-7"


async def test_a_transition_is_said_once_though_its_answer_was_lost() -> None:
    async with talking("jira", JiraRemote, resolution="Fixed") as (remote, receiver):
        key = await opened_id(receiver)
        for lost in (3, 4):
            remote.faults.extend([*[None] * lost, Fault.LOSE])
            assert isinstance(await send(receiver, EventType.RESOLVED, key), Retry)
            assert isinstance(await send(receiver, EventType.RESOLVED, key), Delivered)
            assert len(remote.tickets[key]["comments"]) <= 1
            remote.tickets[key].update(status="1", comments=[])


async def test_more_fields_go_into_every_issue_and_blanks_out_of_labels() -> None:
    changes: dict[str, Any] = {
        "fields": {"components": [{"name": "cost"}]},
        "labels": ["cloud cost"],
        "priority": False,
    }
    async with talking("jira", JiraRemote, **changes) as (remote, receiver):
        key = await opened_id(receiver)
    issue = remote.tickets[key]
    assert issue["components"] == [{"name": "cost"}]
    assert issue["labels"] == ["cloud-cost", BY_TYPE["jira"].key("a1")]
    assert "priority" not in issue


async def test_customers_see_what_happens_only_if_asked_for() -> None:
    async with talking("jira_service_management", JiraRemote, public_comments=True) as (remote, receiver):
        key = await opened_id(receiver)
        await send(receiver, EventType.RESOLVED, key)
        assert "Resolved by detection" in remote.tickets[key]["comments"]


async def test_an_incident_that_is_closed_for_good_is_not_written_to() -> None:
    async with talking("servicenow", ServiceNowRemote) as (remote, receiver):
        sys_id = await opened_id(receiver)
        remote.tickets[sys_id]["state"] = "7"
        for event in (EventType.UPDATED, EventType.RESOLVED):
            assert isinstance(await send(receiver, event, sys_id), Delivered)
        assert remote.tickets[sys_id]["notes"] == []


async def test_an_incident_is_resolved_with_the_codes_that_the_instance_wants() -> None:
    changes: dict[str, Any] = {"close_code": "No resolution", "fields": {"assignment_group": "FinOps"}}
    async with talking("servicenow", ServiceNowRemote, **changes) as (remote, receiver):
        sys_id = await opened_id(receiver)
        await send(receiver, EventType.RESOLVED, sys_id)
    row = remote.tickets[sys_id]
    assert (row["assignment_group"], row["close_code"], row["close_notes"]) == (
        "FinOps",
        "No resolution",
        "Resolved by detection",
    )


async def test_a_closed_zendesk_ticket_gets_a_follow_up_when_the_alert_is_back() -> None:
    async with talking("zendesk", ZendeskRemote) as (remote, receiver):
        first = await opened_id(receiver)
        remote.tickets[first]["status"] = "closed"
        assert await send(receiver, EventType.RESOLVED, first) == Delivered(remote_id=first)
        back = await send(receiver, EventType.REOPENED, first)
        assert back == Delivered(remote_id="2")
        assert remote.tickets["2"]["via_followup_source_id"] == 1
        assert await send(receiver, EventType.REOPENED, first) == Delivered(remote_id="2")
        assert len(remote.tickets) == 2


async def test_zendesk_is_given_the_same_key_for_the_same_body_only() -> None:
    async with talking("zendesk", ZendeskRemote) as (remote, receiver):
        for alert_id in ("a1", "a1", "a2"):
            remote.created.clear()
            remote.tickets.clear()
            await send(receiver, EventType.OPENED, alert_id=alert_id)
    keys = [request.headers["idempotency-key"] for request in remote.requests if request.method == "POST"]
    assert keys[0] == keys[1] != keys[2]


async def test_a_freshdesk_ticket_is_found_by_a_custom_field_if_there_is_one() -> None:
    async with talking("freshdesk", FreshdeskRemote, marker_field="cf_alert") as (remote, receiver):
        number = await opened_id(receiver)
        assert remote.tickets[number]["tags"] == ["spendwatch"]
        assert await send(receiver, EventType.OPENED) == Delivered(remote_id=number)
        assert len(remote.tickets) == 1


@pytest.mark.parametrize("name", ["jira", "zendesk", "freshdesk", "servicenow"])
async def test_an_answer_without_the_ticket_waits_before_it_looks(name: str) -> None:
    kind = BY_TYPE[name]

    def answer(request: httpx.Request) -> httpx.Response:
        empty: dict[str, list[str]] = {"issues": [], "tickets": [], "results": [], "result": []}
        return httpx.Response(200, json=empty if b"fields" not in request.content[:12] else {})

    receiver = kind.answered(answer, WIRES, settle_seconds=20)
    outcome = await receiver.send(message(make_event()), now=NOON)
    assert isinstance(outcome, Retry)
    assert outcome.after is not None
    assert outcome.after.total_seconds() == 20


async def test_a_ticket_that_is_opened_late_is_acknowledged_at_once() -> None:
    """The opening was given up; what comes next opens the ticket and takes it where the alert stands."""
    event = make_event(EventType.ACKNOWLEDGED)
    late = replace(event, record=replace(event.record, state=AlertState.ACKNOWLEDGED))
    async with talking("jira", JiraRemote) as (remote, receiver):
        assert isinstance(await receiver.send(message(late), now=NOON), Delivered)
        assert remote.states() == {BY_TYPE["jira"].key("a1"): ["acknowledged"]}
