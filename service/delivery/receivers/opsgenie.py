"""Opsgenie and its successor JSM Operations: create, update, acknowledge and close under the alert's id as alias.

An open alert with the same alias is counted up, not opened again. Every request is accepted with 202 before it is
done. Source: https://docs.opsgenie.com/docs/alert-api
"""

from datetime import datetime
from typing import Unpack

from service.core.alerts import AlertState, EventType, Severity
from service.delivery.calls import Call
from service.delivery.http import in_path
from service.delivery.message import Message
from service.delivery.receivers.over_http import HttpReceiver, Steps, Wiring, wording
from service.delivery.receivers.receiver import Delivered, Outcome
from service.delivery.texts import cut, fits
from service.receiver_settings import OpsgenieReceiver
from service.store.store import Delivery

URL = "https://api.opsgenie.com"
_MESSAGE = 130
_ALIAS = 512
_DESCRIPTION = 15_000
_NOTE = 25_000
_SOURCE = "Spendwatch"
_PRIORITIES = {Severity.CRITICAL: "P1", Severity.HIGH: "P2", Severity.MEDIUM: "P3", Severity.LOW: "P5"}


class Opsgenie(HttpReceiver):
    def __init__(self, config: OpsgenieReceiver, **wiring: Unpack[Wiring]) -> None:
        assert config.key is not None
        key = config.key.get_secret_value()
        headers = {"authorization": f"GenieKey {key}"}
        super().__init__(config, [config.url or URL], wiring, headers=headers, secrets=[key])
        self._tags = config.tags
        self._teams = config.teams
        self._wording = wording(config, wiring)

    def talk(self, delivery: Delivery, now: datetime) -> Steps[Outcome]:
        message = self._wording.message(delivery.event, delivery.members)
        alias = cut(delivery.event.record.alert.id, _ALIAS)
        for call in self._calls(message, alias):
            (yield call).checked()
        return Delivered(remote_id=alias)

    def _calls(self, message: Message, alias: str) -> list[Call]:
        if message.is_over:
            return [_on(alias, "close", note=message.news)]
        if message.event is EventType.ACKNOWLEDGED:
            return [_on(alias, "acknowledge", note=message.news)]
        if message.event is EventType.ACK_EXPIRED:
            return [_on(alias, "unacknowledge", note=message.news)]
        # Created again it would only be counted, with its old texts; a create that was lost is made up for.
        calls = [self._create(message, alias)]
        if message.event is EventType.UPDATED:
            title, description = cut(message.title, _MESSAGE), fits(message.lines(), _DESCRIPTION)
            calls += [_put(alias, "message", title), _put(alias, "description", description)]
            calls.append(_put(alias, "priority", _PRIORITIES[message.severity]))
        if message.state is AlertState.ACKNOWLEDGED:
            calls.append(_on(alias, "acknowledge", note=message.news))
        return calls

    def _create(self, message: Message, alias: str) -> Call:
        details = {"alert": message.alert_id, **({"link": message.link} if message.link else {})}
        body = {
            "message": cut(message.title, _MESSAGE),
            "alias": alias,
            "description": fits(message.lines(), _DESCRIPTION),
            "priority": _PRIORITIES[message.severity],
            "source": _SOURCE,
            "entity": cut(dict(message.facts).get("Resource", ""), 512),
            "tags": list(self._tags),
            "details": details,
            **({"responders": [{"type": "team", "name": name} for name in self._teams]} if self._teams else {}),
        }
        return Call(path="/v2/alerts", body=body)


def _on(alias: str, action: str, *, note: str) -> Call:
    return Call(
        path=f"/v2/alerts/{in_path(alias)}/{action}",
        query={"identifierType": "alias"},
        body={"source": _SOURCE, "note": cut(note, _NOTE)},
    )


def _put(alias: str, field: str, value: str) -> Call:
    return Call(
        method="PUT",
        path=f"/v2/alerts/{in_path(alias)}/{field}",
        query={"identifierType": "alias"},
        body={field: value},
    )
