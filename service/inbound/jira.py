"""Jira Cloud and Jira Service Management: webhooks of the administration, and automation rules that send the same.

A webhook with a secret is signed: `X-Hub-Signature: sha256=<hex of HMAC-SHA256 over the body>`. An automation rule
signs nothing and sends the secret along. Of neither a time is signed but the body's `timestamp`, by which what is too
old is told apart. Source: https://developer.atlassian.com/cloud/jira/platform/webhooks/
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from service.core.inbound import Action, Inbound
from service.core.markers import marker_in
from service.inbound.reading import (
    MalformedError,
    digest_of,
    digests,
    from_milliseconds,
    inner,
    items,
    json_object,
    require_match,
    require_shared,
    text,
)
from service.inbound.tickets import Desk
from service.inbound_settings import InboundTickets

SIGNATURE_HEADER = "x-hub-signature"
CATEGORIES = {"new": Action.OPEN, "indeterminate": Action.ACKNOWLEDGE, "done": Action.CLOSE}
"""Status categories: names of statuses are localised and differ by project."""


class Jira:
    """The Sender protocol."""

    def __init__(self, config: InboundTickets) -> None:
        self._desk = Desk(config, CATEGORIES)

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        del now
        signature = headers.get(SIGNATURE_HEADER)
        if signature is None:
            require_shared(headers, self._desk.secrets)
            return
        require_match([signature], [f"sha256={digest.hex()}".encode() for digest in digests(self._desk.secrets, body)])

    def parse(self, body: bytes) -> Sequence[Inbound]:
        event = json_object(body)
        issue = inner(event, "issue")
        key = text(issue, "key")
        read = {
            "jira:issue_created": _created,
            "jira:issue_updated": self._updated,
            "comment_created": self._commented,
        }.get(text(event, "webhookEvent"))
        if read is None:
            return []
        at = from_milliseconds(inner(event, "timestamp"))
        if not key or at is None:
            raise MalformedError("issue.key and timestamp")
        fields = inner(issue, "fields")
        said = Inbound(
            event_id=digest_of(body),
            action=Action.COMMENT,
            at=at,
            actor=text(event, "user", "displayName"),
            ours=self._desk.is_ours(text(event, "user", "accountId")),
            remote_ids=(key,),
            marker=marker_in(_json([inner(fields, "labels"), inner(fields, "description")])),
        )
        found = read(event, said)
        return [msgspec.structs.replace(one, event_id=f"{said.event_id}.{number}") for number, one in enumerate(found)]

    def _updated(self, event: object, said: Inbound) -> Iterator[Inbound]:
        changed = items(event, "changelog", "items")
        for item in changed:
            match text(item, "field"):
                case "status":
                    action = self._moved_to(event, item)
                    if action is not None:
                        was_over = self._desk.was_over(text(item, "fromString"))
                        was_over = _was_resolved(changed) if was_over is None else was_over
                        yield msgspec.structs.replace(said, action=action, was_over=was_over)
                case "assignee":
                    to = text(item, "toString") or None
                    yield msgspec.structs.replace(said, action=Action.ASSIGN, assignee=to)

    def _moved_to(self, event: object, item: object) -> Action | None:
        status = inner(event, "issue", "fields", "status")
        to = text(item, "to")
        # The issue is told as it is now, which may be later than the change; another event tells of that.
        is_it = not to or text(status, "id") in ("", to)
        category = text(status, "statusCategory", "key") if is_it else ""
        return self._desk.action_of(text(item, "toString"), category)

    def _commented(self, event: object, said: Inbound) -> Iterator[Inbound]:
        author = inner(event, "comment", "author")
        yield msgspec.structs.replace(
            said,
            actor=text(author, "displayName"),
            ours=self._desk.is_ours(text(author, "accountId")),
            comment=_words(inner(event, "comment", "body")),
        )


def _created(event: object, said: Inbound) -> Iterator[Inbound]:
    del event
    yield msgspec.structs.replace(said, action=Action.OPEN, was_over=False)


def _was_resolved(changed: Sequence[object]) -> bool | None:
    """Workflows that set a resolution when an issue is done take it away when it is opened again."""
    gone = [item for item in changed if text(item, "field") == "resolution" and not text(item, "to")]
    return True if gone else None


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _words(body: object, depth: int = 0) -> str:
    """A comment as plain text: wiki markup as it is, of a document (ADF) its text."""
    if isinstance(body, str) or depth > 50:  # deeper than Jira's editor nests
        return body if isinstance(body, str) else ""
    own = text(body, "text")
    inside = "".join(_words(one, depth + 1) for one in items(body, "content"))
    return own + inside + ("\n" if text(body, "type") in ("paragraph", "heading", "codeBlock") else "")
