"""The receivers of a configuration."""

from typing import assert_never

from service.delivery.receivers.alertmanager import Alertmanager
from service.delivery.receivers.email import Email
from service.delivery.receivers.freshdesk import Freshdesk
from service.delivery.receivers.jira import Jira
from service.delivery.receivers.jira_service_management import JiraServiceManagement
from service.delivery.receivers.opsgenie import Opsgenie
from service.delivery.receivers.over_http import Wiring
from service.delivery.receivers.pagerduty import PagerDuty
from service.delivery.receivers.receiver import Receiver
from service.delivery.receivers.servicenow import ServiceNow
from service.delivery.receivers.servicenow_event import ServiceNowEvent
from service.delivery.receivers.slack_bot import SlackBot
from service.delivery.receivers.slack_webhook import SlackWebhook
from service.delivery.receivers.teams import Teams
from service.delivery.receivers.webhook import Webhook
from service.delivery.receivers.zendesk import Zendesk
from service.errors import ConfigError
from service.receiver_settings import (
    AlertmanagerReceiver,
    EmailReceiver,
    FreshdeskReceiver,
    JiraReceiver,
    JiraServiceManagementReceiver,
    OpsgenieReceiver,
    PagerDutyReceiver,
    ServiceNowEventReceiver,
    ServiceNowReceiver,
    SlackBotReceiver,
    SlackWebhookReceiver,
    TeamsReceiver,
    WebhookReceiver,
    ZendeskReceiver,
)
from service.receiver_settings import Receiver as Config
from service.settings import Settings


def make_receivers(settings: Settings) -> list[Receiver]:
    """One for each configured; opens no connection. Raises ConfigError that names every one that cannot be used."""
    receivers: list[Receiver] = []
    mistakes: list[str] = []
    for config in settings.receivers:
        try:
            receivers.append(make_receiver(config, public_url=settings.api.public_url))
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("; ".join(mistakes))
    return receivers


def make_receiver(config: Config, wiring: Wiring | None = None, *, public_url: str | None = None) -> Receiver:  # noqa: C901  # one line a type
    """wiring: for tests. Raises ConfigError."""
    wires: Wiring = {"public_url": public_url, **(wiring or {})}
    match config:
        case WebhookReceiver():
            return Webhook(config, **wires)
        case SlackWebhookReceiver():
            return SlackWebhook(config, **wires)
        case SlackBotReceiver():
            return SlackBot(config, **wires)
        case TeamsReceiver():
            return Teams(config, **wires)
        case PagerDutyReceiver():
            return PagerDuty(config, **wires)
        case OpsgenieReceiver():
            return Opsgenie(config, **wires)
        case JiraReceiver():
            return Jira(config, **wires)
        case JiraServiceManagementReceiver():
            return JiraServiceManagement(config, **wires)
        case ServiceNowReceiver():
            return ServiceNow(config, **wires)
        case ServiceNowEventReceiver():
            return ServiceNowEvent(config, **wires)
        case ZendeskReceiver():
            return Zendesk(config, **wires)
        case FreshdeskReceiver():
            return Freshdesk(config, **wires)
        case AlertmanagerReceiver():
            return Alertmanager(config, **wires)
        case EmailReceiver():
            return Email(config, public_url=wires.get("public_url"), resolver=wires.get("resolver"))
        case never:
            assert_never(never)
