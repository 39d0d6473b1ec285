"""Untrusted text in other people's markup: tag values may hold anything. Pure.

Each function takes plain text and gives text that the other side shows as exactly that: no links, mentions, headers or
placeholders of a tag's making.
"""

import html
import re
from collections.abc import Callable

Escape = Callable[[str], str]

_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Control characters but tab and newline, and what turns the direction of writing: `gnp.exe` shown as `exe.png`."""
_BLANK = re.compile(r"\s+")
_WIKI = re.compile(r"[\[\]{}|!*_~^+?@-]")
_JOURNAL = re.compile(r"\[(/?)code\]", re.IGNORECASE)


def clean(text: str) -> str:
    """Without characters that no terminal, page or mail should be given."""
    return _INVISIBLE.sub("", text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """For subjects and titles, where a line break would begin another field."""
    return _BLANK.sub(" ", clean(text)).strip()


def cut(text: str, length: int) -> str:
    """At most *length* characters, the last an ellipsis if any are missing.

    >>> cut("ten letters", 4)
    'ten…'
    """
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"[:length]


def plain(text: str) -> str:
    """For fields that know no markup."""
    return clean(text)


def mrkdwn(text: str) -> str:
    """Slack's own: `<!channel>` and `<https://...|text>` are what a tag must not say.

    Source: https://api.slack.com/reference/surfaces/formatting#escaping
    """
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_html(text: str) -> str:
    return html.escape(clean(text)).replace("\n", "<br>")


def no_placeholders(text: str) -> str:
    """For a help desk, where `{{ticket.requester.email}}` would be filled in."""
    return text.replace("{{", "{ {").replace("{%", "{ %")


def desk_html(text: str) -> str:
    """HTML in a help desk."""
    return no_placeholders(as_html(text))


def wiki(text: str) -> str:
    """Jira's wiki markup, which plain fields of a customer request are read as: `[~user]` would notify."""
    escaped = clean(text).replace("\\", "&#92;")
    return _WIKI.sub(lambda match: "\\" + match[0], escaped)


def journal(text: str) -> str:
    """ServiceNow's journal fields show HTML between `[code]` marks, and `@[name]` notifies."""
    return _JOURNAL.sub(r"[\1 code]", clean(text)).replace("@[", "@ [")


def fits(parts: list[str], length: int) -> str:
    """Lines from the front as far as they fit into *length* characters; markup is never cut in the middle.

    The first is cut if it does not fit by itself.
    """
    kept: list[str] = []
    size = 0
    for part in parts:
        size += len(part) + 1
        if size > length - 2:
            return "\n".join([*kept, "…"]) if kept else cut(part, length)
        kept.append(part)
    return "\n".join(kept)
