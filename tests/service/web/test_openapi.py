"""The published description of the API: changing it is a deliberate edit.

Write it anew with `python -m tests.service.web.test_openapi`.
"""

import json
from pathlib import Path
from typing import Any

from tests.service.web.builders import World

PUBLISHED = Path(__file__).parents[3] / "docs" / "schemas" / "openapi.json"

ROUTES = {
    "GET /api/v1/alerts",
    "GET /api/v1/alerts/stream",
    "GET /api/v1/alerts/{alert_id}",
    "GET /api/v1/alerts/{alert_id}/deliveries",
    "GET /api/v1/alerts/{alert_id}/events",
    "GET /api/v1/deliveries",
    "GET /api/v1/summary",
    "GET /api/v1/budgets",
    "GET /api/v1/silences",
    "POST /api/v1/silences",
    "POST /api/v1/silences/preview",
    "GET /api/v1/silences/{silence_id}",
    "PUT /api/v1/silences/{silence_id}",
    "DELETE /api/v1/silences/{silence_id}",
    "POST /api/v1/alerts/{alert_id}/feedback",
    "GET /livez",
    "POST /inbound/{receiver}",
    "GET /metrics",
    "GET /readyz",
    "POST /api/v1/alerts/{alert_id}/acknowledge",
    "POST /api/v1/alerts/{alert_id}/resolve",
    "POST /api/v1/alerts/{alert_id}/reopen",
    "POST /api/v1/alerts/{alert_id}/assign",
    "POST /api/v1/alerts/{alert_id}/comment",
    "POST /api/v1/deliveries/resend",
    "POST /api/v1/deliveries/{delivery_id}/resend",
    "POST /api/v1/facts",
}


def current() -> str:
    document = World().app.openapi_schema.to_schema()
    document["info"]["version"] = "1"  # the path has the API's version; the package's would change with every release
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def test_published_description_is_up_to_date() -> None:
    assert json.loads(current()) == json.loads(PUBLISHED.read_text())


def test_routes_are_the_promised_ones() -> None:
    paths: dict[str, dict[str, Any]] = json.loads(PUBLISHED.read_text())["paths"]
    assert {f"{method.upper()} {path}" for path, item in paths.items() for method in item} == ROUTES


def test_errors_are_described_as_problems() -> None:
    paths: dict[str, dict[str, Any]] = json.loads(PUBLISHED.read_text())["paths"]
    for path, item in paths.items():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and path != "/readyz":
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)


if __name__ == "__main__":
    PUBLISHED.write_text(current())
