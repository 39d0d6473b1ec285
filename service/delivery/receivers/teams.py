"""A Microsoft Teams workflow: an Adaptive Card for every message, as a workflow can neither edit nor find one.

It answers 202 before the flow has run: what fails inside the flow is not seen here. Texts are TextRuns, which know no
Markdown, so that a tag value is no link. The message stays below the 21 kB above which a project measured trouble.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Unpack

import msgspec

from service.core.alerts import AlertState, Severity
from service.delivery.calls import Call
from service.delivery.message import Message
from service.delivery.receivers.over_http import HttpReceiver, Steps, Wiring, wording
from service.delivery.receivers.receiver import Outcome
from service.delivery.texts import cut
from service.receiver_settings import TeamsReceiver
from service.store.store import Delivery

MAX_BYTES = 20_000
_COLORS = {
    Severity.CRITICAL: "attention",
    Severity.HIGH: "attention",
    Severity.MEDIUM: "warning",
    Severity.LOW: "default",
}
_LIMITS = (2000, 500, 120, 40)


class Teams(HttpReceiver):
    def __init__(self, config: TeamsReceiver, **wiring: Unpack[Wiring]) -> None:
        assert config.url is not None
        super().__init__(config, [config.url], wiring)
        self._wording = wording(config, wiring)

    def talk(self, delivery: Delivery, now: datetime) -> Steps[Outcome]:
        answer = yield Call(content=_body(self._wording.message(delivery.event, delivery.members)))
        return answer.outcome


def _body(message: Message) -> bytes:
    """Within MAX_BYTES: texts are cut shorter until they fit."""
    for limit in _LIMITS:
        attachment = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": _card(message, limit),
        }
        body = msgspec.json.encode({"type": "message", "attachments": [attachment]})
        if len(body) <= MAX_BYTES:
            break
    return body


def _card(message: Message, limit: int) -> dict[str, object]:
    over = message.state is not AlertState.FIRING
    title = _run(cut(message.title, limit), weight="bolder", size="large", color=None if over else _color(message))
    paragraphs = [[title], [_run(cut(message.news, limit), subtle=True)]]
    if message.text is not None:
        paragraphs += [[_run(cut(line, limit))] for line in message.text.split("\n") if line.strip()]
    else:
        paragraphs += _ours(message, limit)
    card: dict[str, object] = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "msteams": {"width": "full"},
        "body": [{"type": "RichTextBlock", "inlines": inlines} for inlines in paragraphs],
    }
    if message.link is not None:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Details", "url": message.link}]
    return card


def _ours(message: Message, limit: int) -> list[list[dict[str, object]]]:
    found = [[_run(cut(message.reason, limit))]] if message.reason else []
    found += [[_run(f"{name}: ", weight="bolder"), _run(cut(value, limit))] for name, value in message.facts]
    if message.drivers:
        found.append([_run("What changed", weight="bolder")])
        found += [[_run(f"• {cut(driver, limit)}")] for driver in message.drivers]
    if message.action:
        found.append([_run("What to do: ", weight="bolder"), _run(cut(message.action, limit))])
    return found


def _color(message: Message) -> str:
    return _COLORS[message.severity]


def _run(
    text: str, *, weight: str | None = None, size: str | None = None, color: str | None = None, subtle: bool = False
) -> dict[str, object]:
    style: Sequence[tuple[str, object]] = (("weight", weight), ("size", size), ("color", color), ("isSubtle", subtle))
    return {"type": "TextRun", "text": text or " ", **{name: value for name, value in style if value}}
