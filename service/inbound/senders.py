"""Who may send to `POST /inbound/<name>`: the receivers of a configuration that people can answer in."""

from collections.abc import Mapping

from service.inbound.jira import Jira
from service.inbound.pagerduty import PagerDuty
from service.inbound.sender import Sender
from service.inbound.servicenow import ServiceNow
from service.inbound.slack import Slack
from service.inbound.zendesk import Zendesk
from service.receiver_settings import (
    JiraReceiver,
    JiraServiceManagementReceiver,
    PagerDutyReceiver,
    Receiver,
    ServiceNowReceiver,
    SlackBotReceiver,
    ZendeskReceiver,
)
from service.settings import Settings


def make_senders(settings: Settings) -> Mapping[str, Sender]:
    """Name of the receiver -> how to read what comes from it."""
    senders = {receiver.name: make_sender(receiver) for receiver in settings.receivers}
    return {name: sender for name, sender in senders.items() if sender is not None}


def make_sender(receiver: Receiver) -> Sender | None:
    """None where nothing comes back, or is not to."""
    config = getattr(receiver, "inbound", None)
    if config is None or not config.enabled:
        return None
    match receiver:
        case JiraReceiver() | JiraServiceManagementReceiver():
            return Jira(config)
        case ServiceNowReceiver():
            return ServiceNow(config)
        case ZendeskReceiver():
            return Zendesk(config)
        case PagerDutyReceiver():
            return PagerDuty(config)
        case SlackBotReceiver():
            return Slack(config)
    return None
