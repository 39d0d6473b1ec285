"""What a user can set of each receiver: the members of `receivers` in the configuration.

A secret `x` may be given as `x_file` (service/config.py reads it). `url` is a secret everywhere: those of Slack and
Teams are credentials, and others may hold a password. Rates are messages a second, below what the other side publishes
(docs/receivers.md), counted by each deliver process for itself.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, SecretStr, field_validator, model_validator

from service.inbound_settings import Inbound, InboundTickets
from service.section import Section

_DAY = 86_400.0


class Templates(Section):
    """Jinja2 in place of our own words. title: plain text, one line. text: the body, in the receiver's markup; what
    stands in `{{ }}` is escaped for it."""

    title: str | None = None
    title_file: Path | None = None
    text: str | None = None
    text_file: Path | None = None


class Outgoing(Section):
    """What all receivers have. timeout_seconds: of one attempt with all its requests. deadline_seconds: how long after
    its event a message is given up. rate: messages a second in the long run; burst: so many at once.
    concurrency: attempts at a time. allow_private: permit an address on this machine or in a private network.
    carries_letters: whether it can be sent what is no alert, such as a digest."""

    needs: ClassVar[Sequence[str]] = ()
    carries_letters: ClassVar[bool] = False

    name: str = Field(min_length=1, max_length=100)
    timeout_seconds: float = Field(default=15.0, gt=0, le=60)
    deadline_seconds: float = Field(default=3 * _DAY, gt=0)
    rate: float = Field(default=10.0, gt=0, le=10_000)
    burst: int = Field(default=10, ge=1, le=10_000)
    concurrency: int = Field(default=4, ge=1, le=64)
    allow_private: bool = False

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> "Outgoing":
        missing = [name for name in self.needs if getattr(self, name) in (None, "", ())]
        if missing:
            wanted = (
                f"{name} or {name}_file" if f"{name}_file" in type(self).model_fields else name for name in missing
            )
            raise ValueError(f"receiver {self.name!r} needs {' and '.join(wanted)}")
        return self


class OverHttp(Outgoing):
    """allow_http: permit http:// addresses, over which secrets travel readable."""

    allow_http: bool = False


class Worded(OverHttp):
    """One that people read: its words can be overridden."""

    templates: Templates = Templates()


# None of these has a field of `Outgoing`: pydantic takes a default from the first base that has the field.
class WithUrl(Section):
    url: SecretStr | None = None
    url_file: Path | None = None


class WithKey(Section):
    key: SecretStr | None = None
    key_file: Path | None = None


class WithToken(Section):
    token: SecretStr | None = None
    token_file: Path | None = None


class WithPassword(Section):
    user: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None


class Ticketing(WithUrl, Worded):
    """One that opens tickets. settle_seconds: how long a ticket may exist before the other side's search finds it; so
    long is waited after an attempt whose end is unknown, before the ticket is looked for and, if need be, opened again.
    fields: added to every ticket as they are."""

    timeout_seconds: float = Field(default=20.0, gt=0, le=60)
    rate: float = Field(default=2.0, gt=0, le=10_000)
    settle_seconds: float = Field(default=20.0, ge=0, le=25)
    fields: dict[str, JsonValue] = {}


class Answered(Section):
    """One whose people can answer. inbound: None: what happens there does not come back."""

    inbound: Inbound | None = None


class AnsweredTickets(Section):
    """A help desk whose people can answer. inbound: None: what happens there does not come back."""

    inbound: InboundTickets | None = None


class WebhookReceiver(WithUrl, OverHttp):
    """A Standard Webhooks endpoint. secret: `whsec_...`; several, separated by blanks, while it is being rotated.

    format: `cloudevents` wraps the same message as CloudEvents 1.0 in structured mode, `cloudevents_binary` in binary
    mode; both are signed in the same way."""

    needs: ClassVar[Sequence[str]] = ("url", "secret")
    carries_letters: ClassVar[bool] = True

    type: Literal["webhook"] = "webhook"
    secret: SecretStr | None = None
    secret_file: Path | None = None
    format: Literal["standard_webhooks", "cloudevents", "cloudevents_binary"] = "standard_webhooks"
    rate: float = Field(default=100.0, gt=0, le=10_000)
    burst: int = Field(default=100, ge=1, le=10_000)
    concurrency: int = Field(default=8, ge=1, le=64)


class SlackWebhookReceiver(WithUrl, Worded):
    """A Slack incoming webhook: bound to one channel, each message a new post."""

    needs: ClassVar[Sequence[str]] = ("url",)
    carries_letters: ClassVar[bool] = True

    type: Literal["slack_webhook"]
    rate: float = Field(default=1.0, gt=0, le=10_000)
    burst: int = Field(default=3, ge=1, le=10_000)


class SlackBotReceiver(Answered, WithToken, WithUrl, Worded):
    """A Slack app with a bot token: one post per alert, edited in place, what happens to it in its thread.

    token: `xoxb-...` with chat:write, and channels:history (groups:history for a private channel) to find a post again
    whose answer was lost. channel: its id (C...). url: of the Web API; None: https://slack.com/api."""

    needs: ClassVar[Sequence[str]] = ("token", "channel")
    carries_letters: ClassVar[bool] = True

    type: Literal["slack_bot"]
    channel: str
    rate: float = Field(default=0.5, gt=0, le=10_000)
    burst: int = Field(default=3, ge=1, le=10_000)


class TeamsReceiver(WithUrl, Worded):
    """A Microsoft Teams workflow ("When a Teams webhook request is received"): each message a card of its own."""

    needs: ClassVar[Sequence[str]] = ("url",)
    carries_letters: ClassVar[bool] = True

    type: Literal["teams"]
    rate: float = Field(default=2.0, gt=0, le=10_000)
    burst: int = Field(default=4, ge=1, le=10_000)


class PagerDutyReceiver(Answered, WithKey, WithUrl, Worded):
    """PagerDuty Events API v2. key: the integration's routing key. url: None: https://events.pagerduty.com."""

    needs: ClassVar[Sequence[str]] = ("key",)

    type: Literal["pagerduty"]
    rate: float = Field(default=2.0, gt=0, le=10_000)


class OpsgenieReceiver(WithKey, WithUrl, Worded):
    """Opsgenie, or JSM Operations with url: https://api.atlassian.com/jsm/ops/integration. key: the API integration's.

    url: None: https://api.opsgenie.com. tags: of every alert. teams: names of the teams that respond."""

    needs: ClassVar[Sequence[str]] = ("key",)

    type: Literal["opsgenie"]
    tags: tuple[str, ...] = ("spendwatch",)
    teams: tuple[str, ...] = ()
    rate: float = Field(default=5.0, gt=0, le=10_000)


class JiraReceiver(AnsweredTickets, WithToken, Ticketing):
    """Issues in Jira Cloud. user, token: e-mail and API token; without user the token is an OAuth bearer token.

    priority: whether to set the priority, which not every project has on its screens. resolution: name to set when an
    issue is done, where the workflow asks for one."""

    needs: ClassVar[Sequence[str]] = ("url", "token", "project")

    type: Literal["jira"]
    user: str | None = None
    project: str
    issue_type: str = "Task"
    labels: tuple[str, ...] = ("spendwatch",)
    priority: bool = True
    resolution: str | None = None


class JiraServiceManagementReceiver(AnsweredTickets, WithToken, Ticketing):
    """Customer requests in Jira Service Management. fields: more request fields. public_comments: whether customers see
    what happens to the alert. The other settings are as for `jira`."""

    needs: ClassVar[Sequence[str]] = ("url", "token", "service_desk_id", "request_type_id")

    type: Literal["jira_service_management"]
    user: str | None = None
    service_desk_id: str
    request_type_id: str
    public_comments: bool = False
    priority: bool = False
    resolution: str | None = None


class ServiceNowReceiver(AnsweredTickets, WithPassword, WithToken, Ticketing):
    """Incidents in ServiceNow. user, password: basic authentication; token: an OAuth bearer token instead.

    close_code: one of the instance's list. fields: e.g. assignment_group, caller_id, category."""

    needs: ClassVar[Sequence[str]] = ("url",)

    type: Literal["servicenow"]
    close_code: str = "Solution provided"

    @model_validator(mode="after")
    def _has_credentials(self) -> "ServiceNowReceiver":
        _check_credentials(self.name, self.user, self.password, self.token)
        return self


class ServiceNowEventReceiver(WithPassword, WithToken, WithUrl, Worded):
    """Events for ServiceNow's Event Management (em_event). source: the name we appear under."""

    needs: ClassVar[Sequence[str]] = ("url",)

    type: Literal["servicenow_event"]
    source: str = Field(default="Spendwatch", max_length=100)

    @model_validator(mode="after")
    def _has_credentials(self) -> "ServiceNowEventReceiver":
        _check_credentials(self.name, self.user, self.password, self.token)
        return self


class ZendeskReceiver(AnsweredTickets, WithToken, Ticketing):
    """Zendesk tickets. user, token: e-mail and API token; without user the token is an OAuth bearer token."""

    needs: ClassVar[Sequence[str]] = ("url", "token")

    type: Literal["zendesk"]
    user: str | None = None
    tags: tuple[str, ...] = ("spendwatch",)
    rate: float = Field(default=1.0, gt=0, le=10_000)


class FreshdeskReceiver(WithKey, Ticketing):
    """Freshdesk tickets. key: the API key. email: the requester of the tickets.

    marker_field: a custom field (cf_...) by which tickets are found again; None uses a tag."""

    needs: ClassVar[Sequence[str]] = ("url", "key", "email")

    type: Literal["freshdesk"]
    email: str
    tags: tuple[str, ...] = ("spendwatch",)
    marker_field: str | None = Field(default=None, pattern=r"^cf_[a-z0-9_]+$")
    rate: float = Field(default=1.0, gt=0, le=10_000)


class AlertmanagerReceiver(WithPassword, WithToken, Worded):
    """Prometheus Alertmanager. urls: of all members of the cluster, not of a balancer. user, password or token: where a
    proxy asks for them. alertname: the label. active_seconds: how long it keeps an alert it hears no more of."""

    needs: ClassVar[Sequence[str]] = ("urls",)

    type: Literal["alertmanager"]
    urls: tuple[str, ...] = ()
    alertname: str = "CloudCostAnomaly"
    active_seconds: float = Field(default=7 * _DAY, ge=60)
    rate: float = Field(default=50.0, gt=0, le=10_000)
    burst: int = Field(default=50, ge=1, le=10_000)

    @field_validator("urls")
    @classmethod
    def _hold_no_credentials(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        """They are shown: in messages, and wherever settings are."""
        if any("@" in urlsplit(url).netloc for url in urls):
            raise ValueError("expected addresses without user and password: these have settings of their own")
        return urls


class EmailReceiver(WithPassword, Outgoing):
    """Mail over SMTP. security: `starttls` (the server must offer it), `tls` from the first byte, or `none`.

    sender, to: addresses, with a name if wanted: `Spendwatch <spendwatch@example.com>`."""

    needs: ClassVar[Sequence[str]] = ("host", "sender", "to")
    carries_letters: ClassVar[bool] = True

    type: Literal["email"]
    host: str
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str
    to: tuple[str, ...]
    templates: Templates = Templates()
    timeout_seconds: float = Field(default=30.0, gt=0, le=60)
    rate: float = Field(default=1.0, gt=0, le=10_000)
    concurrency: int = Field(default=2, ge=1, le=64)


def _check_credentials(name: str, user: str | None, password: SecretStr | None, token: SecretStr | None) -> None:
    if (token is None) == (user is None or password is None):
        raise ValueError(f"receiver {name!r} needs either token or user and password (each also as ..._file)")


Receiver = Annotated[
    WebhookReceiver
    | SlackWebhookReceiver
    | SlackBotReceiver
    | TeamsReceiver
    | PagerDutyReceiver
    | OpsgenieReceiver
    | JiraReceiver
    | JiraServiceManagementReceiver
    | ServiceNowReceiver
    | ServiceNowEventReceiver
    | ZendeskReceiver
    | FreshdeskReceiver
    | AlertmanagerReceiver
    | EmailReceiver,
    Field(discriminator="type"),
]
