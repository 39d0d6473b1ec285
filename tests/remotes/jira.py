"""Jira, as its reference says: issues, and requests of a service desk."""

import json
from typing import Any

from service.core.inbound import Action
from tests.remotes import hooks
from tests.remotes.desk import MARKER, Desk
from tests.remotes.remote import RefusedError, Reply, Request, require

TOKEN = "ATATT3xFfGF0-hunter2"
CATEGORIES = {"1": "new", "3": "indeterminate", "5": "done"}
_STATES = {"new": "open", "indeterminate": "acknowledged", "done": "resolved"}


class JiraRemote(Desk):
    """Issues with the workflow To Do (1), In Progress (3), Done (5); also as requests of a service desk."""

    def handle(self, request: Request) -> Reply:  # noqa: C901  # one line a route
        if not request.headers.get("authorization", "").startswith(("Basic ", "Bearer ")):
            raise RefusedError(401, {"errorMessages": ["Client must be authenticated to access this resource."]})
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["rest", "api", "3", "issue"]:
                return self._create(request.json["fields"])
            case "POST", ["rest", "servicedeskapi", "request"]:
                return self._request(request.json)
            case "POST", ["rest", "api", "3", "search", "jql"]:
                return self._search(request.json)
            case "POST" | "GET", ["rest", "api", "3", "search"]:
                raise RefusedError(410, {"errorMessages": ["The requested API has been removed."]})
            case "GET", ["rest", "api", "3", "issue", key]:
                return Reply(200, {"key": key, "fields": {"status": _status(self.existing(key)["status"])}})
            case "PUT", ["rest", "api", "3", "issue", key]:
                fields = request.json["fields"]
                _check_fields(fields)
                self.existing(key).update(fields)
                return Reply(204)
            case "GET", ["rest", "api", "3", "issue", key, "transitions"]:
                here = self.existing(key)["status"]
                offered = [one for one in CATEGORIES if one != here]
                return Reply(
                    200, {"transitions": [{"id": f"2{one}", "name": "?", "to": _status(one)} for one in offered]}
                )
            case "POST", ["rest", "api", "3", "issue", key, "transitions"]:
                return self._transition(key, request.json)
            case "POST", ["rest", "api", "3", "issue", key, "comment"]:
                _check_document(request.json["body"])
                self._comment(key, request.json["body"], hooks.OURS)
                return Reply(201, {"id": "1"})
            case "POST", ["rest", "servicedeskapi", "request", key, "comment"]:
                self._comment(key, request.json["body"], hooks.OURS)
                return Reply(201, {"id": "1"})
        raise RefusedError(404, {"errorMessages": ["Not found"]})

    def marker(self, fields: dict[str, Any]) -> str:
        found = MARKER.search(json.dumps([fields.get("labels"), fields.get("description")]))
        return found[0] if found else ""

    def state(self, fields: dict[str, Any]) -> str:
        return _STATES[CATEGORIES[fields["status"]]]

    def _create(self, fields: dict[str, Any]) -> Reply:
        _check_fields(fields)
        require(fields.get("project", {}).get("key") == "FINOPS", _errors("project", "project is required"))
        require(fields.get("issuetype", {}).get("name") == "Task", _errors("issuetype", "issue type is required"))
        key = f"FINOPS-{len(self.tickets) + 1}"
        self.add(key, {**fields, "status": "1", "comments": []})
        self._tell(key, "jira:issue_created", hooks.OURS)
        return Reply(201, {"id": str(10_000 + len(self.tickets)), "key": key, "self": f"{self.url}/rest/api/3/issue/1"})

    def _request(self, body: dict[str, Any]) -> Reply:
        require(body["serviceDeskId"] == "1" and body["requestTypeId"] == "10", {"errorMessage": "No such type"})
        values = body["requestFieldValues"]
        require(isinstance(values["description"], str), {"errorMessage": "description must be text"})
        require(0 < len(values["summary"]) <= 255 and "\n" not in values["summary"], {"errorMessage": "summary"})
        require(len(values["description"]) <= 32_767, {"errorMessage": "description"})
        key = f"DESK-{len(self.tickets) + 1}"
        self.add(key, {**values, "status": "1", "comments": []})
        self._tell(key, "jira:issue_created", hooks.OURS)
        return Reply(201, {"issueId": "10001", "issueKey": key, "_links": {}})

    def _search(self, body: dict[str, Any]) -> Reply:
        markers = MARKER.findall(body["jql"])
        require(markers, {"errorMessages": ["Unbounded JQL queries are not allowed here."]})
        issues = [
            {"key": key, "fields": {"status": _status(fields["status"]), "description": fields.get("description")}}
            for key, fields in self.searchable().items()
            if self.marker(fields) == markers[0]
        ]
        return Reply(200, {"issues": issues[: body["maxResults"]], "isLast": True})

    def person(self, alert: str, does: Action, who: str = "alice", comment: str = "") -> None:
        key = self.newest(alert)
        to = {Action.OPEN: "1", Action.ACKNOWLEDGE: "3", Action.CLOSE: "5"}.get(does)
        if to is not None and to != self.tickets[key]["status"]:
            self._move(key, to, who)
        if does is Action.ASSIGN:
            before = self.tickets[key].get("assignee")
            self.tickets[key]["assignee"] = who
            self._tell(key, "jira:issue_updated", who, [_item("assignee", before, who)])
        if does is Action.COMMENT:
            self._comment(key, comment, who)

    def _move(self, key: str, to: str, who: str) -> None:
        """As workflows do it that set a resolution."""
        issue, before = self.tickets[key], self.tickets[key]["status"]
        issue["status"] = to
        items = [_item("status", before, to, named=True)]
        if "done" in (CATEGORIES[before], CATEGORIES[to]):
            done = CATEGORIES[to] == "done"
            items.append(_item("resolution", None if done else "10000", "10000" if done else None))
        self._tell(key, "jira:issue_updated", who, items)

    def _comment(self, key: str, body: object, who: str) -> None:
        self.existing(key)["comments"].append(body)
        comment = {"id": "10100", "author": hooks.jira_user(who), "body": body, "jsdPublic": False}
        self._tell(key, "comment_created", None, comment=comment)

    def _tell(
        self, key: str, event: str, who: str | None, items: list[dict[str, Any]] | None = None, **more: object
    ) -> None:
        fields = self.tickets[key]
        issue = {
            "id": "10001",
            "self": f"{self.url}/rest/api/2/10001",
            "key": key,
            "fields": {
                "status": _status(fields["status"]),
                "labels": fields.get("labels", []),
                "description": fields.get("description") if isinstance(fields.get("description"), str) else None,
            },
        }
        user = {} if who is None else {"user": hooks.jira_user(who)}
        changelog = {} if items is None else {"changelog": {"id": "10200", "items": items}}
        self.hooks.append(
            hooks.jira({"webhookEvent": event, **user, "issue": issue, **changelog, **more}, at=self.now())
        )

    def _transition(self, key: str, body: dict[str, Any]) -> Reply:
        issue = self.existing(key)
        target = body["transition"]["id"].removeprefix("2")
        require(target in CATEGORIES and target != issue["status"], _errors("transition", "is not valid"))
        for comment in body.get("update", {}).get("comment", []):
            _check_document(comment["add"]["body"])
            issue["comments"].append(comment["add"]["body"])
        self._move(key, target, hooks.OURS)
        return Reply(204)


def _status(number: str) -> dict[str, Any]:
    return {"id": number, "name": f"Status {number}", "statusCategory": {"key": CATEGORIES[number]}}


def _item(field: str, before: str | None, after: str | None, *, named: bool = False) -> dict[str, Any]:
    """An entry of a changelog."""
    names = [f"Status {one}" if named else one for one in (before, after)]
    ends = {"from": before, "fromString": names[0], "to": after, "toString": names[1]}
    return {"field": field, "fieldtype": "jira", "fieldId": field, **ends}


def _errors(field: str, problem: str) -> dict[str, Any]:
    return {"errorMessages": [], "errors": {field: problem}}


def _check_fields(fields: dict[str, Any]) -> None:
    summary = fields["summary"]
    require(0 < len(summary) <= 255 and "\n" not in summary, _errors("summary", "must be one line below 255"))
    _check_document(fields["description"])
    require(all(" " not in label for label in fields.get("labels", [])), _errors("labels", "contains spaces"))
    priorities = ("Highest", "High", "Medium", "Low", "Lowest")
    require(fields.get("priority", {}).get("name", "Low") in priorities, _errors("priority", "not found"))


def _check_document(document: object) -> None:
    """Refuses what is no Atlassian Document: empty text nodes above all."""
    require(isinstance(document, dict), _errors("description", "Operation value must be an Atlassian Document"))
    assert isinstance(document, dict)
    require(document["type"] == "doc" and document["version"] == 1, _errors("description", "INVALID_INPUT"))
    size = 0
    for paragraph in document["content"]:
        require(paragraph["type"] == "paragraph", _errors("description", "INVALID_INPUT"))
        for node in paragraph.get("content", []):
            require(node["type"] == "text" and node["text"], _errors("description", "INVALID_INPUT"))
            size += len(node["text"])
    require(size <= 32_767, _errors("description", "CONTENT_LIMIT_EXCEEDED"))
