"""ServiceNow, as its reference says: incidents through the Table API, and the business rule of docs/two-way.md."""

from typing import Any

from service.core.inbound import Action
from tests.remotes import hooks
from tests.remotes.desk import Desk
from tests.remotes.remote import RefusedError, Reply, Request, require


class ServiceNowRemote(Desk):
    """Incidents through the Table API."""

    def handle(self, request: Request) -> Reply:
        require("authorization" in request.headers, _snow("User Not Authenticated"), 401)
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["api", "now", "table", "incident"]:
                row = request.json
                self._check(row)
                sys_id = f"{len(self.tickets) + 1:032x}"
                self.add(sys_id, {**row, "state": "1", "assigned_to": "", "notes": [], "mod_count": 0})
                self._tell(sys_id, hooks.OURS, {})
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
                return self._patch(sys_id, request.json)
        raise RefusedError(400, _snow("Invalid table"))

    def marker(self, fields: dict[str, Any]) -> str:
        return str(fields["correlation_id"])

    def state(self, fields: dict[str, Any]) -> str:
        return {"1": "open", "2": "acknowledged"}.get(fields["state"], "resolved")

    def person(self, alert: str, does: Action, who: str = "alice", comment: str = "") -> None:
        match does:
            case Action.OPEN | Action.ACKNOWLEDGE | Action.CLOSE:
                change = {"state": {Action.OPEN: "1", Action.ACKNOWLEDGE: "2", Action.CLOSE: "6"}[does]}
            case Action.ASSIGN:
                change = {"assigned_to": who}
            case _:
                change = {"work_notes": comment}
        self._change(self.newest(alert), change, who)

    def _patch(self, sys_id: str, change: dict[str, Any]) -> Reply:
        self._check(change)
        row = self.existing(sys_id)
        require(row["state"] != "7" or "state" in change, _snow("Operation Failed"), 403)
        if change.get("state") == "6":
            require(change.get("close_code") and change.get("close_notes"), _snow("Data Policy Exception"), 403)
        self._change(sys_id, change, hooks.OURS)
        return Reply(200, {"result": {"state": row["state"]}})

    def _change(self, sys_id: str, change: dict[str, Any], who: str) -> None:
        """The rule runs after every update that changes something."""
        row, notes = self.tickets[sys_id], change.get("work_notes")
        fields = {name: value for name, value in change.items() if name != "work_notes" and row.get(name) != value}
        if not fields and not notes:
            return
        before = dict(row)
        row.update(fields)
        row["mod_count"] += 1
        if notes:
            row["notes"].append(notes)
        head = f"{self.now():%Y-%m-%d %H:%M:%S} - {who} (Work notes)\n"
        self._tell(sys_id, who, before, comment=f"{head}{notes}\n\n" if notes else "")

    def _tell(self, sys_id: str, who: str, before: dict[str, Any], comment: str = "") -> None:
        row = self.tickets[sys_id]
        event = {
            "sys_id": sys_id,
            "mod_count": str(row["mod_count"]),
            "user": who,
            "correlation_id": row["correlation_id"],
            "state": row["state"],
            "previous_state": before.get("state", ""),
            "assigned_to": row["assigned_to"],
            "previous_assigned_to": before.get("assigned_to", ""),
            "comment": comment,
        }
        self.hooks.append(hooks.servicenow(event, at=self.now()))

    @staticmethod
    def _check(row: dict[str, Any]) -> None:
        require(0 < len(row["short_description"]) <= 160, _snow("short_description"))
        require(len(row["description"]) <= 4000, _snow("description"))
        require(row["urgency"] in "123" and row["impact"] in "123", _snow("urgency"))


def _snow(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "detail": None}, "status": "failure"}
