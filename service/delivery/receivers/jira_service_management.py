"""Jira Service Management: a customer request per alert. The request is an issue, which is edited and moved as one.

A request takes no label while it is made, so the marker stands at the end of its description, and the search for it is
checked against the text itself: Jira's text search is not exact.
Source: https://developer.atlassian.com/cloud/jira/service-desk/rest/api-group-request/
"""

from collections.abc import Mapping
from typing import Unpack

import msgspec
from pydantic import JsonValue

from service.core.alerts import EventType
from service.delivery.calls import Call
from service.delivery.http import in_path
from service.delivery.message import Message
from service.delivery.receivers import adf
from service.delivery.receivers.jira import Issues, credentials, key_of
from service.delivery.receivers.over_http import Steps, Wiring
from service.delivery.receivers.tickets import TicketReceiver
from service.delivery.texts import cut, fits, wiki
from service.receiver_settings import JiraServiceManagementReceiver
from service.store.store import Delivery

_SUMMARY = 255


class JiraServiceManagement(TicketReceiver):
    def __init__(self, config: JiraServiceManagementReceiver, **wiring: Unpack[Wiring]) -> None:
        assert config.token is not None
        desk = _Portal(
            Issues(config.priority, config.resolution),
            service_desk=config.service_desk_id,
            request_type=config.request_type_id,
            public_comments=config.public_comments,
            fields=config.fields,
        )
        super().__init__(config, wiring, desk, credentials(config.user, config.token))


class _Portal:
    """The Desk protocol."""

    def __init__(
        self,
        issues: Issues,
        *,
        service_desk: str,
        request_type: str,
        public_comments: bool,
        fields: Mapping[str, JsonValue],
    ) -> None:
        self._issues = issues
        self._service_desk = service_desk
        self._request_type = request_type
        self._public_comments = public_comments
        self._fields = fields

    def find(self, message: Message) -> Steps[str | None]:
        jql = f'description ~ "\\"{message.marker}\\"" ORDER BY created ASC'
        for issue in (yield from self._issues.search(jql, "description")):
            if message.marker in msgspec.json.encode(issue.get("fields")).decode():
                return str(issue.get("key"))
        return None

    def open(self, delivery: Delivery, message: Message) -> Steps[str]:
        lines = [wiki(line) for line in message.lines()]
        values = {
            **self._fields,
            "summary": cut(message.title, _SUMMARY),
            # The marker's hyphen is not escaped: the search knows only the text as it was sent.
            "description": fits(lines, adf.MAX_TEXT) + f"\n\n{message.marker}",
        }
        body = {
            "serviceDeskId": self._service_desk,
            "requestTypeId": self._request_type,
            "requestFieldValues": values,
        }
        answer = yield Call(path="/rest/servicedeskapi/request", body=body, reads=True)
        return key_of(answer.checked(), "issueKey")

    def move(self, ticket: str, message: Message) -> Steps[str | None]:
        fields = {**self._issues.fields(message), "description": adf.of_message(message, "", message.marker)}
        yield from self._issues.move(ticket, message, fields)
        if self._public_comments and message.event not in (EventType.OPENED, EventType.UPDATED):
            path = f"/rest/servicedeskapi/request/{in_path(ticket)}/comment"
            (yield Call(path=path, body={"body": wiki(message.news), "public": True})).checked()
        return None
