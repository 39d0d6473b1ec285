"""A Microsoft Teams workflow: an Adaptive Card for every message, as a workflow can neither edit nor find one.

It answers 202 before the flow has run: what fails inside the flow is not seen here. Texts are TextRuns, which know no
Markdown, so that a tag value is no link. The message stays below the 21 kB above which a project measured trouble.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Unpack

import msgspec

from service.core.alerts import AlertState, Severity
from service.delivery.calls import Call
from service.delivery.message import Message
from service.delivery.receivers.over_http import HttpLetters, Steps, Wiring, wording
from service.delivery.receivers.receiver import Outcome
from service.delivery.texts import cut
from service.digests.letter import page_of
from service.digests.page import Page, Section
from service.receiver_settings import TeamsReceiver
from service.store.store import Delivery, LetterDelivery

MAX_BYTES = 20_000
_COLORS = {
    Severity.CRITICAL: "attention",
    Severity.HIGH: "attention",
    Severity.MEDIUM: "warning",
    Severity.LOW: "default",
}
_LIMITS = (2000, 500, 120, 40)


class Teams(HttpLetters):
    def __init__(self, config: TeamsReceiver, **wiring: Unpack[Wiring]) -> None:
        assert config.url is not None
        super().__init__(config, [config.url], wiring)
        self._wording = wording(config, wiring)
        self._public_url = wiring.get("public_url")

    def talk(self, delivery: Delivery, now: datetime) -> Steps[Outcome]:
        message = self._wording.message(delivery.event, delivery.members)
        answer = yield Call(content=_body(lambda limit: _card(message, limit)))
        return answer.outcome

    def tell(self, delivery: LetterDelivery, now: datetime) -> Steps[Outcome]:
        page = page_of(delivery.letter.content, self._public_url)
        answer = yield Call(content=_body(lambda limit: _letter(page, limit)))
        return answer.outcome


def _body(card: Callable[[int], dict[str, object]]) -> bytes:
    """Within MAX_BYTES: texts are cut shorter until they fit. card: with texts of so many characters."""
    for limit in _LIMITS:
        attachment = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": card(limit),
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
    return _of(paragraphs, "Details", message.link)


def _letter(page: Page, limit: int) -> dict[str, object]:
    paragraphs = [[_run(cut(page.title, limit), weight="bolder", size="large")]]
    paragraphs += [[_run(cut(line, limit))] for line in page.lead]
    for section in page.sections:
        paragraphs += _rows(section, limit)
    return _of([*paragraphs, [_run(page.foot, subtle=True)]], "Dashboard", page.link)


def _rows(section: Section, limit: int) -> list[list[dict[str, object]]]:
    found = [[_run(cut(section.title, limit), weight="bolder", size="medium")]]
    for first, *others in section.rows:
        name = _run(f"• {cut(first.text, limit)}", weight=None if section.wide else "bolder")
        if first.link is not None:
            name["selectAction"] = {"type": "Action.OpenUrl", "url": first.link}
        rest = " · ".join(cut(cell.text, limit) for cell in others if cell.text)
        found.append([name, _run(f"  {rest}")])
    return found + [[_run(cut(note, limit), subtle=True)] for note in section.notes]


def _of(paragraphs: list[list[dict[str, object]]], label: str, link: str | None) -> dict[str, object]:
    card: dict[str, object] = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "msteams": {"width": "full"},
        "body": [{"type": "RichTextBlock", "inlines": inlines} for inlines in paragraphs],
    }
    if link is not None:
        card["actions"] = [{"type": "Action.OpenUrl", "title": label, "url": link}]
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
