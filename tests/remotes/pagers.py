"""Opsgenie, ServiceNow Event Management and Alertmanager, as their references say."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.remotes.remote import RefusedError, Remote, Reply, Request, require

KEY = "0123456789abcdef0123456789abcdef"


class OpsgenieRemote(Remote):
    """One open alert per alias; everything is accepted with 202."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts: list[dict[str, Any]] = []

    def handle(self, request: Request) -> Reply:
        require(request.headers.get("authorization") == f"GenieKey {KEY}", {"message": "Key format is not valid!"}, 422)
        _, _, resource, *rest = request.path.split("/")
        require(resource == "alerts", {"message": "Not found"}, 404)
        if not rest:
            self._create(request.json)
        else:
            require(request.query.get("identifierType") == "alias", {"message": "Not found"}, 404)
            self._change("/".join(rest[:-1]), rest[-1], request)
        return Reply(202, {"result": "Request will be processed", "took": 0.01, "requestId": "43a29c5c"})

    def states(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for alert in self.alerts:
            found.setdefault(alert["alias"], []).append(alert["state"])
        return found

    def _create(self, body: dict[str, Any]) -> None:
        require(0 < len(body["message"]) <= 130, {"message": "message is too long"}, 422)
        require(len(body["alias"]) <= 512 and len(body["description"]) <= 15_000, {"message": "too long"}, 422)
        require(body["priority"] in ("P1", "P2", "P3", "P4", "P5"), {"message": "priority"}, 422)
        require(all(isinstance(value, str) for value in body["details"].values()), {"message": "details"}, 422)
        for alert in self._open(body["alias"]):
            alert["count"] += 1
            return
        self.alerts.append({**body, "state": "open", "count": 1})

    def _change(self, alias: str, what: str, request: Request) -> None:
        for alert in self._open(alias):
            match request.method, what:
                case "POST", "close":
                    alert["state"] = "resolved"
                case "POST", "acknowledge":
                    alert["state"] = "acknowledged"
                case "POST", "unacknowledge":
                    alert["state"] = "open"
                case "PUT", "message" | "description" | "priority":
                    alert[what] = request.json[what]
                case _:
                    raise RefusedError(404, {"message": "Not found"})

    def _open(self, alias: str) -> list[dict[str, Any]]:
        return [alert for alert in self.alerts if alert["alias"] == alias and alert["state"] != "resolved"]


class ServiceNowEventRemote(Remote):
    """em_event: the rows, and the alerts that Event Management makes of them by message key."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []

    def handle(self, request: Request) -> Reply:
        require("authorization" in request.headers, {"error": {"message": "User Not Authenticated"}}, 401)
        require(request.path == "/api/now/table/em_event", {"error": {"message": "Invalid table"}}, 400)
        row = request.json
        require(all(isinstance(value, str) for value in row.values()), {"error": {"message": "text only"}}, 400)
        require(len(row["source"]) <= 100 and len(row["description"]) <= 4000, {"error": {"message": "too long"}}, 400)
        json.loads(row["additional_info"])
        datetime.strptime(row["time_of_event"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        self.rows.append(row)
        return Reply(201, {"result": {"sys_id": f"{len(self.rows):032x}", "state": "Ready"}})

    def states(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in self.rows:
            states = found.setdefault(row["message_key"], [])
            if row["severity"] == "0":
                states[-1:] = ["resolved"] if states else []
            elif not states or states[-1] == "resolved":
                states.append("open")
        return found


class AlertmanagerRemote(Remote):
    """API v2: an alert is its label set, and over once its end has come."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}

    def handle(self, request: Request) -> Reply:
        require(request.path == "/api/v2/alerts" and request.method == "POST", b"not found", 404)
        require(request.headers.get("content-type") == "application/json", b"unsupported media type", 415)
        for alert in request.json:
            require(alert["labels"], {"code": 601, "message": "at least one label pair required"})
            require(
                all(name.replace("_", "a").isalnum() and not name[0].isdigit() for name in alert["labels"]), "bad name"
            )
            require(
                _at(alert["startsAt"]) <= _at(alert["endsAt"]),
                {"code": 602, "message": "start time must be before end"},
            )
            self.alerts[tuple(sorted(alert["labels"].items()))] = alert
        return Reply(200)

    def states(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for labels, alert in self.alerts.items():
            over = alert["annotations"]["state"] in ("resolved", "expected", "withdrawn")
            found.setdefault(dict(labels)["alert_id"], []).append("resolved" if over else "open")
        return found


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
