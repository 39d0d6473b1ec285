"""Freshdesk, as its reference says."""

import json
from typing import Any

from tests.remotes.desk import MARKER, Desk
from tests.remotes.remote import RefusedError, Reply, Request, require


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
        found = MARKER.search(json.dumps([fields["tags"], fields.get("custom_fields")]))
        return found[0] if found else ""

    def state(self, fields: dict[str, Any]) -> str:
        return {2: "open", 3: "acknowledged", 4: "resolved", 5: "resolved"}[fields["status"]]

    @staticmethod
    def _check(ticket: dict[str, Any]) -> None:
        require(0 < len(ticket["subject"]) <= 255, {"description": "Validation failed"})
        require(ticket["priority"] in (1, 2, 3, 4), {"description": "Validation failed"})
        require(ticket.get("status", 2) in (2, 3, 4, 5), {"description": "Validation failed"})
        require(all(len(tag) <= 32 for tag in ticket.get("tags", [])), {"description": "Validation failed"})
