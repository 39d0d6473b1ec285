"""PagerDuty Events v2, as its reference says."""

from typing import Any

from service.core.inbound import Action
from tests.remotes import hooks
from tests.remotes.remote import Remote, Reply, Request, require

KEY = "0123456789abcdef0123456789abcdef"


class PagerDutyRemote(Remote):
    """Events v2: one incident per dedup key while it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.incidents: dict[str, list[str]] = {}
        self.events: list[dict[str, Any]] = []

    def handle(self, request: Request) -> Reply:
        require(request.path == "/v2/enqueue", {"status": "not found"}, 404)
        require(len(request.body) <= 512_000, {"status": "invalid event", "errors": ["too large"]})
        event = request.json
        errors = list(_mistakes(event))
        require(not errors, {"status": "invalid event", "message": "Event object is invalid", "errors": errors})
        self.events.append(event)
        states = self.incidents.setdefault(event["dedup_key"], [])
        is_open = bool(states) and states[-1] != "resolved"
        match event["event_action"]:
            case "trigger" if not is_open:
                states.append("open")
                self._tell(event["dedup_key"], "triggered", None)
            case "acknowledge" if is_open:
                self._move(event["dedup_key"], "acknowledged", None)
            case "resolve" if is_open:
                self._move(event["dedup_key"], "resolved", None)
        body = {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
        return Reply(202, body)

    def states(self) -> dict[str, list[str]]:
        return {key: states for key, states in self.incidents.items() if states}

    def person(self, alert: str, does: Action, who: str = "alice", comment: str = "") -> None:
        match does:
            case Action.OPEN:
                self._move(alert, "open", who)
            case Action.ACKNOWLEDGE:
                self._move(alert, "acknowledged", who)
            case Action.CLOSE:
                self._move(alert, "resolved", who)
            case Action.ASSIGN:
                self._tell(alert, "reassigned", who, assignees=[{"id": "PLH1HKV", "summary": who}])
            case _:
                incident = {"id": self._id(alert), "type": "incident_reference"}
                data = {"id": "PWL7QXS", "type": "incident_note", "content": comment, "incident": incident}
                self.hooks.append(hooks.pagerduty("annotated", data, by=who, at=self.now()))

    def _move(self, key: str, to: str, who: str | None) -> None:
        """who: None: an event that came through the API."""
        before = self.incidents[key][-1]
        if to == before:
            return
        self.incidents[key][-1] = to
        back = "reopened" if before == "resolved" else "unacknowledged"
        self._tell(key, back if to == "open" else to, who)

    def _id(self, key: str) -> str:
        """Of the newest incident under a key."""
        return f"P{list(self.incidents).index(key):05}{len(self.incidents[key]):02}"

    def _tell(self, key: str, kind: str, who: str | None, **more: object) -> None:
        status = {"open": "triggered"}.get(self.incidents[key][-1], self.incidents[key][-1])
        data = {"id": self._id(key), "type": "incident", "incident_key": key, "status": status, **more}
        self.hooks.append(hooks.pagerduty(kind, data, by=who, at=self.now()))


def _mistakes(event: dict[str, Any]) -> list[str]:
    if event.get("routing_key") != KEY:
        return ["'routing_key' is invalid"]
    if event["event_action"] not in ("trigger", "acknowledge", "resolve"):
        return ["'event_action' is invalid"]
    if not 0 < len(event.get("dedup_key", "")) <= 255:
        return ["'dedup_key' is invalid"]
    if event["event_action"] != "trigger":
        return []
    payload = event["payload"]
    if not 0 < len(payload["summary"]) <= 1024:
        return ["'payload.summary' is invalid"]
    return [] if payload["severity"] in ("critical", "error", "warning", "info") else ["'payload.severity' is invalid"]
