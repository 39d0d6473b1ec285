"""A Standard Webhooks endpoint: signed JSON by POST, as it is or as a CloudEvent.

Rules of the specification: success is any 2xx; redirects are not followed; 410 means that the endpoint is gone; all
attempts carry the same `webhook-id` and body, each its own timestamp. CloudEvents' webhook rules are the same.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, NamedTuple, Unpack
from urllib.parse import quote

import msgspec

from connectors.facts import format_instant
from service.delivery.calls import Call
from service.delivery.letter_payload import letter_body, letter_type
from service.delivery.payload import body_of, event_type
from service.delivery.receivers.over_http import HttpLetters, Steps, Wiring
from service.delivery.receivers.receiver import Outcome
from service.delivery.signing import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, parse_secrets, sign
from service.digests.expiry import ExpiryWarning
from service.errors import ConfigError
from service.receiver_settings import WebhookReceiver
from service.store.store import Delivery, LetterDelivery

_JSON = "application/json"
_STRUCTURED = "application/cloudevents+json; charset=UTF-8"
_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


class _Message(NamedTuple):
    """body: as Standard Webhooks has it. attributes: of the CloudEvent."""

    body: bytes
    attributes: Mapping[str, str]


class Webhook(HttpLetters):
    """The Receiver protocol for `type: webhook`: every event is a message of its own."""

    newest_only: ClassVar[bool] = False

    def __init__(self, config: WebhookReceiver, **wiring: Unpack[Wiring]) -> None:
        """Raises ConfigError for an address or secret that cannot be used; the message holds neither."""
        assert config.url is not None
        assert config.secret is not None
        secret = config.secret.get_secret_value()
        super().__init__(config, [config.url], wiring, secrets=secret.split())
        try:
            self._secrets = parse_secrets(secret)
        except ConfigError as error:
            raise ConfigError(f"{self.where}: {error}") from None
        self._format = config.format
        self._public_url = wiring.get("public_url")

    def talk(self, delivery: Delivery, now: datetime) -> Steps[Outcome]:
        return self._post(delivery.id, _about_alert(delivery, self._public_url), now)

    def tell(self, delivery: LetterDelivery, now: datetime) -> Steps[Outcome]:
        return self._post(delivery.id, _about_letter(delivery, self._public_url), now)

    def _post(self, message_id: str, message: _Message, now: datetime) -> Steps[Outcome]:
        headers, body = self._written(message)
        timestamp = int(now.timestamp())
        signed = {
            ID_HEADER: message_id,
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: sign(self._secrets, message_id=message_id, timestamp=timestamp, body=body),
        }
        answer = yield Call(content=body, headers={**headers, **signed})
        return answer.outcome

    def _written(self, message: _Message) -> tuple[Mapping[str, str], bytes]:
        if self._format == "standard_webhooks":
            return {"content-type": _JSON}, message.body
        data = msgspec.Raw(msgspec.json.encode(msgspec.json.decode(message.body, type=dict[str, msgspec.Raw])["data"]))
        if self._format == "cloudevents":
            event = {**message.attributes, "datacontenttype": _JSON, "data": data}
            return {"content-type": _STRUCTURED}, msgspec.json.encode(event)
        headers = {f"ce-{name}": quote(value, safe=_PRINTABLE) for name, value in message.attributes.items()}
        return {"content-type": _JSON, **headers}, bytes(data)


def _about_alert(delivery: Delivery, public_url: str | None) -> _Message:
    return _Message(body_of(delivery.event, public_url, delivery.members), _attributes(delivery, public_url))


def _about_letter(delivery: LetterDelivery, public_url: str | None) -> _Message:
    content = delivery.letter.content
    attributes = {
        "specversion": "1.0",
        "id": delivery.id,
        "source": public_url or "/spendwatch",
        "type": f"dev.spendwatch.{letter_type(delivery.letter)}",
        "subject": content.silence if isinstance(content, ExpiryWarning) else delivery.letter.id,
        "time": format_instant(content.made_at),
    }
    return _Message(letter_body(delivery.letter, public_url), attributes)


def _attributes(delivery: Delivery, public_url: str | None) -> dict[str, str]:
    """Of the CloudEvent. source and id together tell it from all others; id is the same in all attempts.

    Source: cloudevents/spec 1.0.2, "Required Attributes" and the HTTP binding, section 3.1.3.2.
    """
    alert = delivery.event.record.alert
    return {
        "specversion": "1.0",
        "id": delivery.id,
        "source": public_url or f"/spendwatch/{quote(alert.tenant, safe='')}",
        "type": f"dev.spendwatch.{event_type(delivery.event)}",
        "subject": alert.id,
        "time": format_instant(delivery.event.at),
    }
