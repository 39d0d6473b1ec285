"""What a person says of an alert, from the command line to the API."""

from connectors.facts import FeedbackVerdict
from service.api_client import ApiClient, segment


def give_feedback(api: ApiClient, alert_id: str, verdict: FeedbackVerdict, *, actor: str, comment: str = "") -> None:
    """Raises ConfigError for what the API refuses, UnavailableError when it is away or its broker is."""
    body = {"verdict": verdict.value, "actor": actor, "comment": comment}
    api.ask("POST", f"/api/v1/alerts/{segment(alert_id)}/feedback", json=body)
