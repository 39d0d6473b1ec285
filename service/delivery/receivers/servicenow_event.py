"""ServiceNow Event Management: events under one message key, which the other side makes one alert of.

Severity 0 clears it. An acknowledgement has no place in an event: neither it nor its end is sent.
Source: https://docs.servicenow.com, "em_event table"
"""

from datetime import datetime
from typing import Unpack

import msgspec

from service.core.alerts import Alert, EventType, Severity
from service.delivery.calls import Call
from service.delivery.credentials import credentials_of
from service.delivery.message import Message, resource_of
from service.delivery.receivers.over_http import HttpReceiver, Steps, Wiring, wording
from service.delivery.receivers.receiver import Delivered, Outcome
from service.delivery.texts import cut, fits, one_line
from service.receiver_settings import ServiceNowEventReceiver
from service.store.store import Delivery

_SEVERITIES = {Severity.CRITICAL: "1", Severity.HIGH: "2", Severity.MEDIUM: "3", Severity.LOW: "4"}
_CLEAR = "0"
_DESCRIPTION = 4000
_NAME = 100


class ServiceNowEvent(HttpReceiver):
    def __init__(self, config: ServiceNowEventReceiver, **wiring: Unpack[Wiring]) -> None:
        assert config.url is not None
        headers, secrets = credentials_of(config.user, config.password, config.token)
        super().__init__(config, [config.url], wiring, headers=headers, secrets=secrets)
        self._source = config.source
        self._wording = wording(config, wiring)

    def talk(self, delivery: Delivery, now: datetime) -> Steps[Outcome]:
        message = self._wording.message(delivery.event, delivery.members)
        if message.event in (EventType.ACKNOWLEDGED, EventType.ACK_EXPIRED):
            return Delivered(remote_id=message.marker)
        body = self._event(message, delivery.event.record.alert, at=delivery.event.at)
        (yield Call(path="/api/now/table/em_event", body=body)).checked()
        return Delivered(remote_id=message.marker)

    def _event(self, message: Message, alert: Alert, *, at: datetime) -> dict[str, object]:
        # The table takes no columns of ours; what has no field goes in here, as a text.
        more = {**dict(message.facts), "action": message.action, "link": message.link or "", "alert": message.alert_id}
        return {
            "source": self._source,
            "event_class": "Spendwatch",
            "node": _name(alert.tenant),
            "resource": _name(resource_of(alert) or alert.series),
            "metric_name": _name(alert.metric),
            "type": f"cost anomaly {alert.kind.value}",
            "message_key": message.marker,
            "severity": _CLEAR if message.is_over else _SEVERITIES[message.severity],
            "description": fits([message.title, message.news, "", *message.lines()], _DESCRIPTION),
            "additional_info": msgspec.json.encode(more).decode(),
            "time_of_event": f"{at:%Y-%m-%d %H:%M:%S}",
        }


def _name(text: str) -> str:
    return cut(one_line(text), _NAME)
