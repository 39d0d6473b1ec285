"""PagerDuty Events API v2: trigger, acknowledge and resolve under the alert's id as dedup key.

A second trigger under the key of an open incident is added to its log and pages nobody; after a resolve it opens a new
one. Source: https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from datetime import datetime
from typing import Unpack

from connectors.facts import format_instant
from service.core.alerts import Alert, AlertState, EventType, Severity
from service.delivery.calls import Call
from service.delivery.message import Message
from service.delivery.receivers.over_http import HttpReceiver, Steps, Wiring, wording
from service.delivery.receivers.receiver import Delivered, Outcome
from service.delivery.texts import cut, one_line
from service.receiver_settings import PagerDutyReceiver
from service.store.store import Delivery

URL = "https://events.pagerduty.com"
_SUMMARY = 1024
_DEDUP_KEY = 255
_SEVERITIES = {
    Severity.CRITICAL: "critical",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "info",
}


class PagerDuty(HttpReceiver):
    def __init__(self, config: PagerDutyReceiver, **wiring: Unpack[Wiring]) -> None:
        assert config.key is not None
        self._key = config.key.get_secret_value()
        super().__init__(config, [config.url or URL], wiring, secrets=[self._key])
        self._wording = wording(config, wiring)

    def talk(self, delivery: Delivery, now: datetime) -> Steps[Outcome]:
        message = self._wording.message(delivery.event, delivery.members)
        key = cut(delivery.event.record.alert.id, _DEDUP_KEY)
        for action in _actions(message):
            event: dict[str, object] = {"routing_key": self._key, "event_action": action, "dedup_key": key}
            if action == "trigger":
                event |= _trigger(message, delivery.event.record.alert)
            (yield Call(path="/v2/enqueue", body=event)).checked()
        return Delivered(remote_id=key)


def _actions(message: Message) -> list[str]:
    if message.is_over:
        return ["resolve"]
    if message.state is AlertState.ACKNOWLEDGED:
        # Beside an update that came with or after it, both are said: a trigger alone would leave it triggered.
        return ["acknowledge"] if message.event is EventType.ACKNOWLEDGED else ["trigger", "acknowledge"]
    return ["trigger"]


def _trigger(message: Message, alert: Alert) -> dict[str, object]:
    details: dict[str, object] = dict(message.facts)
    if message.text is not None:
        details = {"text": message.text}
    elif message.drivers:
        details["What changed"] = list(message.drivers)
    links = [] if message.link is None else [{"href": message.link, "text": "Details"}]
    return {
        "client": "Spendwatch",
        **({"client_url": message.link} if message.link else {}),
        "links": links,
        "payload": {
            "summary": cut(message.title, _SUMMARY),
            "source": cut(one_line(alert.series), 500) or "Spendwatch",
            "severity": _SEVERITIES[message.severity],
            "timestamp": format_instant(alert.starts_at),
            "component": cut(one_line(alert.metric), 255),
            "group": cut(one_line(alert.tenant), 255),
            "class": f"cost anomaly: {alert.kind.value}",
            "custom_details": {"reason": message.reason, "action": message.action, **details},
        },
    }
