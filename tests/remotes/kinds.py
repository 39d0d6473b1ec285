"""Every receiver over HTTP with the remote it talks to: what the contract suite and the proofs run through."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx
from pydantic import TypeAdapter

from service.core.markers import marker_of
from service.delivery.receivers.factory import make_receiver
from service.delivery.receivers.over_http import HttpReceiver, Wiring
from service.receiver_settings import Receiver as Config
from tests.remotes import chats, freshdesk, jira, pagerduty, pagers, servicenow, zendesk
from tests.remotes.remote import Remote, Reply, Request

WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_ADAPTER: TypeAdapter[Config] = TypeAdapter(Config)


class WebhookRemote(Remote):
    """Accepts everything; what is asked of it is checked elsewhere."""

    def handle(self, request: Request) -> Reply:
        return Reply(202)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """settings: beside name and address. secrets: what must never be shown. tickets: whether the remote keeps one thing
    per alert, which an update changes. acknowledges: whether it can be told so. by_id: whether the remote knows alerts
    by their id, or by our marker. has_our_key: whether it is told under a key of ours, or has one of its own."""

    type: str
    remote: Callable[[], Remote]
    settings: Mapping[str, object] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    path: str = ""
    tickets: bool = True
    acknowledges: bool = True
    by_id: bool = False
    has_our_key: bool = False

    @property
    def name(self) -> str:
        return f"{self.type}-{self.settings['format']}" if "format" in self.settings else self.type

    def config(self, url: str, **changes: object) -> Config:
        address = {"urls": [url]} if self.type == "alertmanager" else {"url": url + self.path}
        fields = {"type": self.type, "name": "desk", "rate": 10_000, "burst": 10_000, **self.settings, **address}
        return _ADAPTER.validate_python({**fields, **changes})

    def on_loopback(self, url: str, **changes: object) -> HttpReceiver:
        return self.make(url, None, allow_http=True, allow_private=True, **changes)

    def make(self, url: str, wiring: Wiring | None = None, **changes: object) -> HttpReceiver:
        wires: Wiring = {"public_url": "https://spendwatch.example.com", **(wiring or {})}
        receiver = make_receiver(self.config(url, **changes), wires, public_url=wires["public_url"])
        assert isinstance(receiver, HttpReceiver)
        return receiver

    def answered(
        self, answer: Callable[[httpx.Request], httpx.Response], wiring: Wiring, **changes: object
    ) -> HttpReceiver:
        """On https://desk.example, whose answers a test gives."""
        wires: Wiring = {"transport": httpx.MockTransport(answer), **wiring}
        return self.make("https://desk.example", wires, **changes)

    def key(self, alert_id: str) -> str:
        return alert_id if self.by_id else marker_of(alert_id)


_ADA = {"user": "ada@example.com", "token": jira.TOKEN}
_SNOW = {"user": "spendwatch", "password": "hunter2-snow"}
KINDS = (
    *(
        Kind(
            type="webhook",
            remote=WebhookRemote,
            settings={"secret": WEBHOOK_SECRET, "format": form},
            secrets=(WEBHOOK_SECRET, "T0KENPART"),
            path="/hooks/T0KENPART",
            tickets=False,
        )
        for form in ("standard_webhooks", "cloudevents", "cloudevents_binary")
    ),
    Kind(
        type="slack_webhook",
        remote=chats.SlackWebhookRemote,
        secrets=("T0KENPART",),
        path="/services/T000/B000/T0KENPART",
        tickets=False,
    ),
    Kind(
        type="slack_bot",
        remote=chats.SlackRemote,
        settings={"token": chats.TOKEN, "channel": chats.CHANNEL},
        secrets=(chats.TOKEN,),
    ),
    Kind(
        type="teams",
        remote=chats.TeamsRemote,
        secrets=("S1GNATURE",),
        path="/workflows/1/triggers?api-version=1&sig=S1GNATURE",
        tickets=False,
    ),
    Kind(
        type="pagerduty",
        remote=pagerduty.PagerDutyRemote,
        settings={"key": pagerduty.KEY},
        secrets=(pagerduty.KEY,),
        by_id=True,
        has_our_key=True,
    ),
    Kind(
        type="opsgenie",
        remote=pagers.OpsgenieRemote,
        settings={"key": pagers.KEY},
        secrets=(pagers.KEY,),
        by_id=True,
        has_our_key=True,
    ),
    Kind(
        type="jira",
        remote=jira.JiraRemote,
        settings={**_ADA, "project": "FINOPS", "settle_seconds": 0},
        secrets=(jira.TOKEN,),
    ),
    Kind(
        type="jira_service_management",
        remote=jira.JiraRemote,
        settings={**_ADA, "service_desk_id": "1", "request_type_id": "10", "settle_seconds": 0},
        secrets=(jira.TOKEN,),
    ),
    Kind(
        type="servicenow",
        remote=servicenow.ServiceNowRemote,
        settings={**_SNOW, "settle_seconds": 0},
        secrets=("hunter2-snow",),
    ),
    Kind(
        type="servicenow_event",
        remote=pagers.ServiceNowEventRemote,
        settings=_SNOW,
        secrets=("hunter2-snow",),
        acknowledges=False,
        has_our_key=True,
    ),
    Kind(
        type="zendesk",
        remote=zendesk.ZendeskRemote,
        settings={**_ADA, "settle_seconds": 0},
        secrets=(jira.TOKEN,),
    ),
    Kind(
        type="freshdesk",
        remote=freshdesk.FreshdeskRemote,
        settings={"key": "hunter2-fresh", "email": "finops@example.com", "settle_seconds": 0},
        secrets=("hunter2-fresh",),
    ),
    Kind(
        type="alertmanager",
        remote=pagers.AlertmanagerRemote,
        settings=_SNOW,
        secrets=("hunter2-snow",),
        acknowledges=False,
        by_id=True,
        has_our_key=True,
    ),
)
BY_TYPE = {kind.name: kind for kind in KINDS}
TICKETS = tuple(kind for kind in KINDS if kind.tickets)
WORDED = tuple(kind for kind in KINDS if kind.type != "webhook")
