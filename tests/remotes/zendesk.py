"""Zendesk, as its reference says."""

from typing import Any

from service.core.inbound import Action
from tests.remotes import hooks
from tests.remotes.desk import Desk
from tests.remotes.remote import RefusedError, Reply, Request, require


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
                return self._change(ticket, request.json["ticket"])
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
        self._tell(str(number), "created", hooks.OURS, {})
        reply = Reply(201, {"ticket": {"id": number, "status": "new"}}, {"x-idempotency-lookup": "miss"})
        self._answers[key] = request.body, reply
        return reply

    def person(self, alert: str, does: Action, who: str = "alice", comment: str = "") -> None:
        key = self.newest(alert)
        match does:
            case Action.OPEN | Action.ACKNOWLEDGE | Action.CLOSE:
                to = {Action.OPEN: "new", Action.ACKNOWLEDGE: "open", Action.CLOSE: "solved"}[does]
                self._move(key, to, who)
            case Action.ASSIGN:
                before = self.tickets[key].get("assignee_id")
                self.tickets[key]["assignee_id"] = who
                self._tell(key, "agent_assignment_changed", who, {"current": who, "previous": before})
            case _:
                self._comment(key, {"body": comment}, who)

    def _change(self, key: str, change: dict[str, Any]) -> Reply:
        ticket = self.existing(key)
        require(ticket["status"] != "closed", {"error": "RecordInvalid", "details": {"status": []}}, 422)
        self._check({"comment": {"html_body": "x"}, "type": "incident", **change})
        if "comment" in change:
            self._comment(key, change.pop("comment"), hooks.OURS)
        self._move(key, change.pop("status", ticket["status"]), hooks.OURS)
        ticket.update(change)
        return Reply(200, {"ticket": {"id": ticket["id"], "status": ticket["status"]}})

    def _move(self, key: str, to: str, who: str) -> None:
        before = self.tickets[key]["status"]
        if to != before:
            self.tickets[key]["status"] = to
            self._tell(key, "status_changed", who, {"current": to.upper(), "previous": before.upper()})

    def _comment(self, key: str, comment: dict[str, Any], who: str) -> None:
        self.tickets[key]["comments"].append(comment)
        text = comment.get("body") or comment.get("html_body")
        author = {"id": who, "name": who, "is_staff": True}
        self._tell(key, "comment_added", who, {"comment": {"id": "1", "author": author, "body": text}})

    def _tell(self, key: str, kind: str, who: str, event: dict[str, Any]) -> None:
        ticket = self.tickets[key]
        detail = {
            "id": key,
            "actor_id": who,
            "external_id": ticket["external_id"],
            "status": ticket["status"].upper(),
        }
        said = {"type": f"zen:event-type:ticket.{kind}", "subject": f"zen:ticket:{key}", "detail": detail}
        self.hooks.append(hooks.zendesk({**said, "event": event}, at=self.now()))

    @staticmethod
    def _check(ticket: dict[str, Any]) -> None:
        require(ticket["comment"].get("html_body") or ticket["comment"].get("body"), {"error": "RecordInvalid"}, 422)
        require(len(ticket["comment"]["html_body"]) <= 65_535, {"error": "RecordInvalid"}, 422)
        require(ticket["priority"] in ("urgent", "high", "normal", "low"), {"error": "RecordInvalid"}, 422)
