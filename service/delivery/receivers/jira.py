"""Jira Cloud: an issue per alert, found again by its label, edited in place, moved through its workflow.

Transitions are chosen by the category of the status they lead to: names are localised and differ by project.
Source: https://developer.atlassian.com/cloud/jira/platform/rest/v3/
"""

from collections.abc import Mapping, Sequence
from typing import Unpack

from pydantic import JsonValue, SecretStr

from service.core.alerts import AlertState, EventType, Severity
from service.delivery.calls import Answer, Call
from service.delivery.credentials import Credentials, bearer, login
from service.delivery.http import in_path
from service.delivery.message import Message
from service.delivery.receivers import adf
from service.delivery.receivers.over_http import Steps, Wiring
from service.delivery.receivers.receiver import FailureReason
from service.delivery.receivers.tickets import TicketReceiver
from service.delivery.texts import cut
from service.receiver_settings import JiraReceiver
from service.store.store import Delivery

_SUMMARY = 255
_PRIORITIES = {Severity.CRITICAL: "Highest", Severity.HIGH: "High", Severity.MEDIUM: "Medium", Severity.LOW: "Low"}
_TO_DO, _IN_PROGRESS, _DONE = "new", "indeterminate", "done"


class Jira(TicketReceiver):
    def __init__(self, config: JiraReceiver, **wiring: Unpack[Wiring]) -> None:
        assert config.token is not None
        desk = _Project(
            Issues(config.priority, config.resolution),
            project=config.project,
            issue_type=config.issue_type,
            labels=config.labels,
            fields=config.fields,
        )
        super().__init__(config, wiring, desk, credentials(config.user, config.token))


def credentials(user: str | None, token: SecretStr) -> Credentials:
    """An API token is a user's password; without a user it is one of OAuth."""
    return bearer(token) if user is None else login(user, token.get_secret_value())


class Issues:
    """What can be done with an issue that exists, whoever opened it."""

    def __init__(self, priority: bool, resolution: str | None) -> None:
        self._priority = priority
        self._resolution = resolution

    def fields(self, message: Message) -> dict[str, object]:
        """What says how the alert is now."""
        priority = {"priority": {"name": _PRIORITIES[message.severity]}} if self._priority else {}
        return {"summary": cut(message.title, _SUMMARY), "description": adf.of_message(message), **priority}

    def search(self, jql: str, *fields: str) -> Steps[list[dict[str, object]]]:
        body = {"jql": jql, "fields": [*fields, "status"], "maxResults": 5}
        answer = yield Call(path="/rest/api/3/search/jql", body=body, reads=True)
        found = answer.checked().json().get("issues")
        return [issue for issue in found if isinstance(issue, dict)] if isinstance(found, list) else []

    def move(self, key: str, message: Message, fields: Mapping[str, object]) -> Steps[None]:
        """Edit the issue, then take it where the alert's state belongs, unless it is there."""
        yield from self.edit(key, fields)
        match message.state:
            case AlertState.RESOLVED | AlertState.EXPECTED | AlertState.WITHDRAWN:
                yield from self._bring(key, (_DONE,), message, must=True)
            case AlertState.ACKNOWLEDGED:
                yield from self._bring(key, (_IN_PROGRESS,), message, must=False)
            case AlertState.PENDING | AlertState.FIRING | AlertState.SILENCED:
                if message.event is EventType.REOPENED:
                    yield from self._bring(key, (_TO_DO, _IN_PROGRESS), message, must=True)
                elif message.event is EventType.ACK_EXPIRED:
                    yield from self._bring(key, (_TO_DO,), message, must=False)

    def edit(self, key: str, fields: Mapping[str, object]) -> Steps[None]:
        (yield Call(method="PUT", path=f"/rest/api/3/issue/{in_path(key)}", body={"fields": fields})).checked()

    def _bring(self, key: str, categories: Sequence[str], message: Message, *, must: bool) -> Steps[None]:
        """Along one transition to the first of *categories* that the workflow offers from here, then say so.

        In this order, since a repetition that finds the issue there says nothing twice. must: no such transition is a
        failure; otherwise it is only said.
        """
        path = f"/rest/api/3/issue/{in_path(key)}"
        issue = (yield Call(method="GET", path=path, query={"fields": "status"}, reads=True)).checked().json()
        status = _inner(issue, "fields", "status")
        here = _category(status)
        is_done = here == _DONE and message.event is not EventType.REOPENED and not message.is_over
        if here in categories or is_done:
            return
        answer = yield Call(method="GET", path=f"{path}/transitions", reads=True)
        transition = _transition(answer.checked(), categories)
        if transition is None and must:
            wanted = " or ".join(categories)
            problem = f"issue {key} has no transition to a status of category {wanted} from {status.get('name')!r}"
            raise answer.failure(problem, retry=False)
        if transition is not None:
            body: dict[str, object] = {"transition": {"id": transition}}
            if self._resolution is not None and _DONE in categories:
                body["fields"] = {"resolution": {"name": self._resolution}}
            (yield Call(path=f"{path}/transitions", body=body)).checked()
        comment = adf.of_lines(message.news.split("\n"))
        (yield Call(path=f"{path}/comment", body={"body": comment})).checked()


class _Project:
    """The Desk protocol."""

    def __init__(
        self,
        issues: Issues,
        *,
        project: str,
        issue_type: str,
        labels: Sequence[str],
        fields: Mapping[str, JsonValue],
    ) -> None:
        self._issues = issues
        self._project = project
        self._fields: Mapping[str, object] = {
            "project": {"key": project},
            "issuetype": {"name": issue_type},
            **fields,
        }
        self._labels = ["-".join(label.split()) for label in labels]

    def find(self, message: Message) -> Steps[str | None]:
        # The project is quoted: it is the user's, but a stray quote should not search elsewhere.
        jql = f'project = "{quoted(self._project)}" AND labels = "{message.marker}" ORDER BY created ASC'
        found = yield from self._issues.search(jql)
        return str(found[0].get("key")) if found else None

    def open(self, delivery: Delivery, message: Message) -> Steps[str]:
        fields = {**self._fields, **self._issues.fields(message), "labels": [*self._labels, message.marker]}
        answer = yield Call(path="/rest/api/3/issue", body={"fields": fields}, reads=True)
        return key_of(answer.checked(), "key")

    def move(self, ticket: str, message: Message) -> Steps[str | None]:
        yield from self._issues.move(ticket, message, self._issues.fields(message))
        return None


def quoted(text: str) -> str:
    """Within double quotes of JQL."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def key_of(answer: Answer, name: str) -> str:
    """The new ticket's id. Raises CallFailedError when the answer has none: it may have been opened all the same."""
    found = answer.json().get(name)
    if not isinstance(found, str | int) or not found:
        raise answer.failure(f"expected {name!r} in the answer", retry=True, reason=FailureReason.SERVER_ERROR)
    return str(found)


def _transition(answer: Answer, categories: Sequence[str]) -> str | None:
    offered = answer.json().get("transitions")
    transitions = [one for one in offered if isinstance(one, dict)] if isinstance(offered, list) else []
    for category in categories:
        for one in transitions:
            if _category(_inner(one, "to")) == category:
                return str(one.get("id"))
    return None


def _category(status: Mapping[str, object]) -> object:
    return _inner(status, "statusCategory").get("key")


def _inner(value: Mapping[str, object], *names: str) -> Mapping[str, object]:
    for name in names:
        inner = value.get(name)
        value = inner if isinstance(inner, dict) else {}
    return value
