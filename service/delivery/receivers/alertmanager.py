"""Prometheus Alertmanager, API v2: the alert with its labels, to every member of the cluster.

The label set is the alert's identity, so what may change (severity, amounts) is an annotation. An alert is kept until
`endsAt`, which is set ahead while it is open and to its end when it is over. As Prometheus does, a message is
delivered when one member has it: the members tell each other nothing of alerts, and one that was away has missed it.
Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

import re
from datetime import datetime, timedelta
from typing import Unpack

from connectors.facts import format_instant
from service.core.alerts import Alert
from service.core.wording import whose
from service.delivery.calls import Call, CallFailedError
from service.delivery.credentials import credentials_of
from service.delivery.message import Message, resource_of
from service.delivery.receivers.over_http import HttpReceiver, Steps, Wiring, wording
from service.delivery.receivers.receiver import Delivered, Outcome
from service.delivery.texts import clean, cut
from service.receiver_settings import AlertmanagerReceiver
from service.store.store import Delivery

_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
_VALUE = 1024
_RESERVED = frozenset({"alertname", "alert_id", "tenant", "metric", "grain", "kind"})


class Alertmanager(HttpReceiver):
    def __init__(self, config: AlertmanagerReceiver, **wiring: Unpack[Wiring]) -> None:
        headers, secrets = credentials_of(config.user, config.password, config.token)
        super().__init__(config, config.urls, wiring, headers=headers, secrets=secrets)
        self._alertname = config.alertname
        self._active = timedelta(seconds=config.active_seconds)
        self._wording = wording(config, wiring)

    def talk(self, delivery: Delivery, now: datetime) -> Steps[Outcome]:
        message = self._wording.message(delivery.event, delivery.members)
        alert = delivery.event.record.alert
        body = [self._alert(message, alert, now)]
        failures: list[CallFailedError] = []
        for number in range(len(self._sites)):
            try:
                (yield Call(path="/api/v2/alerts", body=body, site=number)).checked()
            except CallFailedError as failed:
                failures.append(failed)
        if len(failures) == len(self._sites):
            # What may still work is the better reason.
            raise min(failures, key=lambda failed: not failed.may_be_done)
        return Delivered(remote_id=alert.id)

    def _alert(self, message: Message, alert: Alert, now: datetime) -> dict[str, object]:
        # An end before the start is refused; one in the future is no end.
        ends_at = max(now, alert.starts_at) if message.is_over else now + self._active
        return {
            "labels": _labels(self._alertname, alert),
            "annotations": _annotations(message, alert),
            "startsAt": format_instant(min(alert.starts_at, now)),
            "endsAt": format_instant(ends_at),
            **({"generatorURL": message.link} if message.link else {}),
        }


def _labels(alertname: str, alert: Alert) -> dict[str, str]:
    """What an alert keeps for its life: it follows from the series and the episode.

    Names are mapped for servers that take ASCII only; a tag that would hide one of ours is set apart.
    """
    name, value = whose(alert.series)
    name = label(name)
    labels = {
        "alertname": alertname,
        "alert_id": alert.id,
        "tenant": alert.tenant,
        "metric": alert.metric,
        "grain": alert.grain,
        "kind": alert.kind.value,
        f"tag_{name}" if name in _RESERVED else name: value,
    }
    return {name: cut(clean(value), _VALUE) for name, value in labels.items() if value}


def label(name: str) -> str:
    """A label name for every server.

    >>> label("kubernetes.io/team"), label("2024")
    ('kubernetes_io_team', '_2024')
    """
    mapped = _NOT_IN_A_NAME.sub("_", name) or "_"
    return f"_{mapped}" if mapped[0].isdigit() else mapped


def _annotations(message: Message, alert: Alert) -> dict[str, str]:
    described = "\n".join(message.lines())
    annotations = {
        "summary": message.title,
        "description": described,
        "news": message.news,
        "severity": alert.severity.value,
        "state": message.state.value,
        "actual": f"{alert.actual:.9g}",
        "expected": f"{alert.expected:.9g}",
        "impact": f"{alert.impact:.9g}",
        "unit": alert.unit,
        "resource": resource_of(alert),
        "action": message.action,
    }
    return {name: cut(clean(value), 8000) for name, value in annotations.items() if value}
