"""Plain text as an Atlassian Document: text nodes are shown as they are, so nothing needs escaping. Pure.

Source: https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
"""

from collections.abc import Sequence

from service.delivery.message import Message
from service.delivery.texts import fits

MAX_TEXT = 30_000
"""Below Jira's 32,767 characters of text."""


def of_message(message: Message, *more: str) -> dict[str, object]:
    """One paragraph a line; the link can be followed. more: lines at the end."""
    lines = message.lines() if message.text is not None else _without_link(message)
    document = of_lines([*fits(lines, MAX_TEXT - sum(map(len, more))).split("\n"), *more])
    content = document["content"]
    if message.link is not None and isinstance(content, list):
        content.append({"type": "paragraph", "content": [_link("Details", message.link)]})
    return document


def of_lines(lines: Sequence[str]) -> dict[str, object]:
    # A text node must not be empty; a paragraph may.
    paragraphs = [{"type": "paragraph", **({"content": [_text(line)]} if line.strip() else {})} for line in lines]
    return {"type": "doc", "version": 1, "content": paragraphs}


def _without_link(message: Message) -> list[str]:
    lines = message.lines()
    return lines if message.link is None else lines[:-2]


def _text(text: str) -> dict[str, object]:
    return {"type": "text", "text": text}


def _link(text: str, href: str) -> dict[str, object]:
    return {**_text(text), "marks": [{"type": "link", "attrs": {"href": href}}]}
