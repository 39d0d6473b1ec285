"""An alert as Slack's Block Kit: mrkdwn, every text escaped and within the limits. Pure.

Source: https://api.slack.com/reference/block-kit/blocks (50 blocks; header 150, section 3000, 10 fields of 2000).
"""

from service.core.alerts import AlertState, Severity
from service.delivery.message import Message
from service.delivery.texts import cut, fits, mrkdwn
from service.digests.page import Cell, Page, Section

_HEADER = 150
_SECTION = 3000
_FIELD = 2000
_FIELDS = 10
_TEXT = 3000
_VALUE = 2000
_SIGNS = {
    Severity.CRITICAL: ":red_circle:",
    Severity.HIGH: ":large_orange_circle:",
    Severity.MEDIUM: ":large_yellow_circle:",
    Severity.LOW: ":white_circle:",
}


def fallback(message: Message) -> str:
    """What notifications show."""
    return cut(mrkdwn(f"{message.title} - {message.news}"), _TEXT)


def blocks(message: Message, *, buttons: bool = False) -> list[dict[str, object]]:
    """buttons: with those that come back to us (service/inbound/slack.py)."""
    found: list[dict[str, object]] = [
        # Plain text is shown as it is; emoji names in it would not be.
        {"type": "header", "text": {"type": "plain_text", "text": cut(message.title, _HEADER), "emoji": False}},
        _context(f"{_sign(message)} {mrkdwn(message.news)}"),
    ]
    if message.text is not None:
        found.append(_section(message.text.split("\n")))
    else:
        found += _ours(message)
    elements = _buttons(message) if buttons else []
    if message.link is not None:
        elements.append(_button("spendwatch_details", "Details") | {"url": cut(message.link, 3000)})
    if elements:
        found.append({"type": "actions", "elements": elements})
    return found


def _buttons(message: Message) -> list[dict[str, object]]:
    """What may be said of it as it is; a value that would be cut would name another alert."""
    if message.is_over or len(message.alert_id) > _VALUE:
        return []
    offered = {"acknowledge": "Acknowledge", "resolve": "Resolve", "expected": "Expected"}
    if message.state is AlertState.ACKNOWLEDGED:
        del offered["acknowledge"]
    return [_button(f"spendwatch_{name}", said) | {"value": message.alert_id} for name, said in offered.items()]


def _button(action_id: str, said: str) -> dict[str, object]:
    return {"type": "button", "action_id": action_id, "text": {"type": "plain_text", "text": said}}


def _ours(message: Message) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    if message.reason:
        found.append(_section([mrkdwn(message.reason)]))
    fields = [
        {"type": "mrkdwn", "text": fits([f"*{mrkdwn(name)}*", mrkdwn(value)], _FIELD)} for name, value in message.facts
    ]
    places = range(0, len(fields), _FIELDS)
    found += [{"type": "section", "fields": fields[place : place + _FIELDS]} for place in places]
    if message.drivers:
        found.append(_section(["*What changed*", *(f"• {mrkdwn(driver)}" for driver in message.drivers)]))
    if message.action:
        found.append(_section([f"*What to do:* {mrkdwn(message.action)}"]))
    return found


def _sign(message: Message) -> str:
    if message.is_over:
        return ":white_check_mark:"
    if message.state is AlertState.SILENCED:
        return ":no_bell:"
    return ":eyes:" if message.state is AlertState.ACKNOWLEDGED else _SIGNS[message.severity]


def _section(lines: list[str]) -> dict[str, object]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": fits(lines, _SECTION)}}


def _context(text: str) -> dict[str, object]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": fits(text.split("\n"), _FIELD)}]}


def letter_fallback(page: Page) -> str:
    """What notifications show of a letter."""
    return cut(mrkdwn(page.title), _TEXT)


def letter_blocks(page: Page) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(page.title, _HEADER), "emoji": False}},
        _section([mrkdwn(line) for line in page.lead]),
    ]
    for section in page.sections:
        lines = [f"*{mrkdwn(section.title)}*", *(_row(row, section) for row in section.rows)]
        found.append(_section([*lines, *(f"_{mrkdwn(note)}_" for note in section.notes)]))
    foot = mrkdwn(page.foot) if page.link is None else f"{mrkdwn(page.foot)} {_link(page.link, 'Dashboard')}"
    return [*found, _context(foot)]


def _row(row: tuple[Cell, ...], section: Section) -> str:
    first, *others = row
    name = mrkdwn(first.text) if first.link is None else _link(first.link, first.text)
    rest = [mrkdwn(cell.text) for cell in others if cell.text]
    return f"• {name}\n    {', '.join(rest)}" if section.wide else f"• *{name}*  {'  ·  '.join(rest)}"


def _link(url: str, text: str) -> str:
    """Only to pages of ours: what a link shows is escaped, and where it leads is not a tag's."""
    return f"<{mrkdwn(url)}|{mrkdwn(text)}>"
