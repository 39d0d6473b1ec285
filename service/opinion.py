"""What a person says of an alert, from the command line to the API."""

from urllib.parse import quote

from connectors.facts import FeedbackVerdict
from service.api_client import ApiClient


def give_feedback(api: ApiClient, alert_id: str, verdict: FeedbackVerdict, *, actor: str, comment: str = "") -> None:
    """Raises ConfigError for what the API refuses, UnavailableError when it is away or its broker is."""
    body = {"verdict": verdict.value, "actor": actor, "comment": comment}
    api.ask("POST", f"/api/v1/alerts/{quote(alert_id, safe='')}/feedback", json=body)
