"""The words of an alert's event, the same for every receiver that has none of its own."""

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from service.core.alerts import AlertEvent, EventType
from service.core.notices import Member
from service.delivery.message import Message, message_of
from service.delivery.receivers.slack_blocks import blocks
from tests.builders import make_event
from tests.clock import NOON

ALSO = (Member(alert_id="a2", text="the total of default"),)


def assigned(event: AlertEvent, to: str) -> AlertEvent:
    return replace(event, record=replace(event.record, assigned_to=to))


def message(event: AlertEvent) -> Message:
    return message_of(event, None, ALSO)


def test_whose_task_it_is_stands_beside_the_state() -> None:
    lines = message(assigned(make_event(), "Bob\nFischer")).lines()
    assert lines[lines.index("State: firing") + 1] == "Assigned to: Bob Fischer"


def test_nothing_is_said_of_what_is_nobodys_task() -> None:
    assert not [line for line in message(make_event()).lines() if line.startswith("Assigned")]


def test_an_acknowledgement_says_until_when_it_is() -> None:
    event = replace(make_event(EventType.ACKNOWLEDGED), actor="ada", comment="on it")
    assert message(event).news == "Acknowledged by ada: on it"
    record = replace(event.record, acknowledged_until=NOON + timedelta(hours=4))
    until = message(replace(event, record=record)).news
    assert until == "Acknowledged by ada until 2024-09-18T16:00:00Z: on it"


def test_slack_shows_every_fact_in_sections_of_as_many_fields_as_it_takes() -> None:
    told = message(assigned(make_event(labels={"team": "search", "resource_id": "i-0abc"}), "bob"))
    found: list[dict[str, Any]] = blocks(told)
    sections = [block["fields"] for block in found if "fields" in block]
    assert [len(fields) for fields in sections] == [10, 1]
    texts = [field["text"] for fields in sections for field in fields]
    assert "*Assigned to*\nbob" in texts
    assert texts[-1] == "*Also*\nthe total of default"
