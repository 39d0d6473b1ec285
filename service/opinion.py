"""What a person says of an alert, from the command line to the API."""

from urllib.parse import quote

import httpx

from connectors.facts import FeedbackVerdict
from service.errors import ConfigError, UnavailableError

_SECONDS = 30.0


def give_feedback(
    base_url: str,
    alert_id: str,
    verdict: FeedbackVerdict,
    *,
    actor: str,
    comment: str = "",
    token: str | None = None,
    transport: httpx.BaseTransport | None = None,
) -> None:
    """Raises ConfigError for what the API refuses, UnavailableError when it is away or its broker is."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = {"verdict": verdict.value, "actor": actor, "comment": comment}
    path = f"/api/v1/alerts/{quote(alert_id, safe='')}/feedback"
    try:
        with httpx.Client(base_url=base_url, headers=headers, timeout=_SECONDS, transport=transport) as client:
            response = client.post(path, json=body)
    except httpx.HTTPError as error:
        raise UnavailableError(f"{base_url} does not answer: {type(error).__name__}") from None
    if response.is_success:
        return
    try:
        detail = str(response.json().get("detail", ""))
    except ValueError:
        detail = ""
    message = f"{base_url} answered {response.status_code}{': ' if detail else ''}{detail}"
    raise UnavailableError(message) if response.status_code >= 500 else ConfigError(message)
