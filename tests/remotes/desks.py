"""Jira, Jira Service Management, ServiceNow, Zendesk and Freshdesk, as their references say.

None of them but Zendesk knows a repetition, and what a search finds lags behind by `lag_seconds`.
"""

import json
import re
import time
from typing import Any

from service.core.inbound import Action
from tests.remotes import hooks
from tests.remotes.remote import RefusedError, Remote, Reply, Request, require

TOKEN = "ATATT3xFfGF0-hunter2"
CATEGORIES = {"1": "new", "3": "indeterminate", "5": "done"}
_STATES = {"new": "open", "indeterminate": "acknowledged", "done": "resolved"}
_MARKER = re.compile(r"spendwatch-[0-9a-f]{16}")


class Desk(Remote):
    """What help desks have in common. tickets: id -> fields."""

    def __init__(self, lag_seconds: float = 0.0) -> None:
        super().__init__()
        self.lag_seconds = lag_seconds
        self.tickets: dict[str, dict[str, Any]] = {}
        self.created: dict[str, float] = {}

    def add(self, ticket: str, fields: dict[str, Any]) -> None:
        self.tickets[ticket] = fields
        self.created[ticket] = time.monotonic()

    def searchable(self) -> dict[str, dict[str, Any]]:
        """What the index has by now."""
        known = time.monotonic() - self.lag_seconds
        return {ticket: fields for ticket, fields in self.tickets.items() if self.created[ticket] <= known}

    def existing(self, ticket: str) -> dict[str, Any]:
        if ticket not in self.tickets:
            raise RefusedError(404, {"error": "no such ticket"})
        return self.tickets[ticket]

    def marker(self, fields: dict[str, Any]) -> str:
        raise NotImplementedError

    def state(self, fields: dict[str, Any]) -> str:
        raise NotImplementedError

    def states(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for fields in self.tickets.values():
            found.setdefault(self.marker(fields), []).append(self.state(fields))
        return found

    def newest(self, alert: str) -> str:
        """The ticket of a marker."""
        return next(ticket for ticket, fields in reversed(self.tickets.items()) if self.marker(fields) == alert)


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
        found = _MARKER.search(json.dumps([fields.get("labels"), fields.get("description")]))
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
        markers = _MARKER.findall(body["jql"])
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


class ServiceNowRemote(Desk):
    """Incidents through the Table API."""

    def handle(self, request: Request) -> Reply:
        require("authorization" in request.headers, _snow("User Not Authenticated"), 401)
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["api", "now", "table", "incident"]:
                row = request.json
                self._check(row)
                sys_id = f"{len(self.tickets) + 1:032x}"
                self.add(sys_id, {**row, "state": "1", "notes": []})
                result = {"sys_id": sys_id, "number": f"INC{len(self.tickets):07}", "state": "1"}
                return Reply(201, {"result": result}, {"location": f"{self.url}{request.path}/{sys_id}"})
            case "GET", ["api", "now", "table", "incident"]:
                wanted = request.query["sysparm_query"].split("^")[0].removeprefix("correlation_id=")
                found = [key for key, row in self.searchable().items() if row["correlation_id"] == wanted]
                limit = int(request.query["sysparm_limit"])
                return Reply(200, {"result": [{"sys_id": key, "state": "1"} for key in found[:limit]]})
            case "GET", ["api", "now", "table", "incident", sys_id]:
                return Reply(200, {"result": {"sys_id": sys_id, "state": self.existing(sys_id)["state"]}})
            case "PATCH", ["api", "now", "table", "incident", sys_id]:
                return self._patch(self.existing(sys_id), request.json)
        raise RefusedError(400, _snow("Invalid table"))

    def marker(self, fields: dict[str, Any]) -> str:
        return str(fields["correlation_id"])

    def state(self, fields: dict[str, Any]) -> str:
        return {"1": "open", "2": "acknowledged"}.get(fields["state"], "resolved")

    def _patch(self, row: dict[str, Any], change: dict[str, Any]) -> Reply:
        self._check(change)
        require(row["state"] != "7" or "state" in change, _snow("Operation Failed"), 403)
        if change.get("state") == "6":
            require(change.get("close_code") and change.get("close_notes"), _snow("Data Policy Exception"), 403)
        if "work_notes" in change:
            row["notes"].append(change.pop("work_notes"))
        row.update(change)
        return Reply(200, {"result": {"state": row["state"]}})

    @staticmethod
    def _check(row: dict[str, Any]) -> None:
        require(0 < len(row["short_description"]) <= 160, _snow("short_description"))
        require(len(row["description"]) <= 4000, _snow("description"))
        require(row["urgency"] in "123" and row["impact"] in "123", _snow("urgency"))


def _snow(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "detail": None}, "status": "failure"}


class ZendeskRemote(Desk):
    """Tickets; a create is repeated under its Idempotency-Key."""

    def __init__(self, lag_seconds: float = 0.0) -> None:
        super().__init__(lag_seconds)
        self._answers: dict[str, tuple[bytes, Reply]] = {}

    def handle(self, request: Request) -> Reply:
        require("authorization" in request.headers, {"error": "Couldn't authenticate you"}, 401)
        match request.method, request.path.removesuffix(".json").strip("/").split("/"):
            case "POST", ["api", "v2", "tickets"]:
                return self._create(request)
            case "GET", ["api", "v2", "tickets"]:
                marker = request.query["external_id"]
                found = [one for one in self.searchable().values() if one["external_id"] == marker]
                return Reply(200, {"tickets": found, "next_page": None})
            case "GET", ["api", "v2", "tickets", ticket]:
                return Reply(200, {"ticket": self.existing(ticket)})
            case "PUT", ["api", "v2", "tickets", ticket]:
                return self._change(self.existing(ticket), request.json["ticket"])
        raise RefusedError(404, {"error": "RecordNotFound"})

    def marker(self, fields: dict[str, Any]) -> str:
        return str(fields["external_id"])

    def state(self, fields: dict[str, Any]) -> str:
        return {"new": "open", "open": "acknowledged", "solved": "resolved", "closed": "resolved"}[fields["status"]]

    def _create(self, request: Request) -> Reply:
        key = request.headers.get("idempotency-key", "")
        require(len(key) <= 255, {"error": "InvalidIdempotencyKey"})
        if key in self._answers:
            body, reply = self._answers[key]
            require(body == request.body, {"error": "IdempotentRequestError"})
            return Reply(reply.status, reply.body, {"x-idempotency-lookup": "hit"})
        ticket = request.json["ticket"]
        self._check(ticket)
        number = len(self.tickets) + 1
        self.add(str(number), {**ticket, "id": number, "status": "new", "comments": [ticket["comment"]]})
        reply = Reply(201, {"ticket": {"id": number, "status": "new"}}, {"x-idempotency-lookup": "miss"})
        self._answers[key] = request.body, reply
        return reply

    def _change(self, ticket: dict[str, Any], change: dict[str, Any]) -> Reply:
        require(ticket["status"] != "closed", {"error": "RecordInvalid", "details": {"status": []}}, 422)
        self._check({"comment": {"html_body": "x"}, "type": "incident", **change})
        if "comment" in change:
            ticket["comments"].append(change.pop("comment"))
        ticket.update(change)
        return Reply(200, {"ticket": {"id": ticket["id"], "status": ticket["status"]}})

    @staticmethod
    def _check(ticket: dict[str, Any]) -> None:
        require(ticket["comment"].get("html_body") or ticket["comment"].get("body"), {"error": "RecordInvalid"}, 422)
        require(len(ticket["comment"]["html_body"]) <= 65_535, {"error": "RecordInvalid"}, 422)
        require(ticket["priority"] in ("urgent", "high", "normal", "low"), {"error": "RecordInvalid"}, 422)


class FreshdeskRemote(Desk):
    """Tickets, found by tag or custom field once the index has them."""

    def handle(self, request: Request) -> Reply:
        require(request.headers.get("authorization", "").startswith("Basic "), {"code": "invalid_credentials"}, 401)
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["api", "v2", "tickets"]:
                ticket = request.json
                self._check(ticket)
                require(ticket.get("email"), {"description": "Validation failed", "errors": [{"field": "email"}]})
                number = len(self.tickets) + 1
                self.add(str(number), {**ticket, "id": number, "notes": []})
                return Reply(201, {"id": number, "status": ticket["status"]})
            case "GET", ["api", "v2", "search", "tickets"]:
                query = request.query["query"]
                require(query[0] == query[-1] == '"', {"description": "Validation failed"})
                field, _, value = query.strip('"').partition(":")
                marker = value.strip("'")
                found = [
                    one
                    for one in self.searchable().values()
                    if (marker in one["tags"] if field == "tag" else one.get("custom_fields", {}).get(field) == marker)
                ]
                return Reply(200, {"total": len(found), "results": found[:30]})
            case "GET", ["api", "v2", "tickets", ticket_id]:
                return Reply(200, self.existing(ticket_id))
            case "PUT", ["api", "v2", "tickets", ticket_id]:
                self._check(request.json)
                self.existing(ticket_id).update(request.json)
                return Reply(200, self.existing(ticket_id))
            case "POST", ["api", "v2", "tickets", ticket_id, "notes"]:
                require(request.json["private"], {"description": "customers would read it"})
                self.existing(ticket_id)["notes"].append(request.json["body"])
                return Reply(201, {"id": 1})
        raise RefusedError(404, b"")

    def marker(self, fields: dict[str, Any]) -> str:
        found = _MARKER.search(json.dumps([fields["tags"], fields.get("custom_fields")]))
        return found[0] if found else ""

    def state(self, fields: dict[str, Any]) -> str:
        return {2: "open", 3: "acknowledged", 4: "resolved", 5: "resolved"}[fields["status"]]

    @staticmethod
    def _check(ticket: dict[str, Any]) -> None:
        require(0 < len(ticket["subject"]) <= 255, {"description": "Validation failed"})
        require(ticket["priority"] in (1, 2, 3, 4), {"description": "Validation failed"})
        require(ticket.get("status", 2) in (2, 3, 4, 5), {"description": "Validation failed"})
        require(all(len(tag) <= 32 for tag in ticket.get("tags", [])), {"description": "Validation failed"})
