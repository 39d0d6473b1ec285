"""Slack: buttons under the bot's messages, signed.

`X-Slack-Signature` is `v0=<hex of HMAC-SHA256 over v0:<X-Slack-Request-Timestamp>:<body>>`; the body is a form with
one field `payload` of JSON. Slack waits 3 s for an empty 200 and never repeats, and a pressed button changes nothing
in the post: we edit it. The alert's id is the button's value: what a button holds comes from our own message, as
Slack's signature says.
Source: https://docs.slack.dev/authentication/verifying-requests-from-slack and the reference of block_actions
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qs

from service.core.inbound import Action, Inbound
from service.inbound.reading import (
    MalformedError,
    digest_of,
    digests,
    from_unix,
    inner,
    items,
    json_object,
    require_match,
    require_recent,
    text,
)
from service.inbound_settings import Inbound as Config

SIGNATURE_HEADER = "x-slack-signature"
TIMESTAMP_HEADER = "x-slack-request-timestamp"
BUTTONS = {
    "spendwatch_acknowledge": Action.ACKNOWLEDGE,
    "spendwatch_resolve": Action.CLOSE,
    "spendwatch_expected": Action.EXPECTED,
}
"""action_id -> what pressing it says (service/delivery/receivers/slack_blocks.py makes the buttons)."""


class Slack:
    """The Sender protocol."""

    def __init__(self, config: Config) -> None:
        self._secrets = config.secrets

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        timestamp = headers.get(TIMESTAMP_HEADER, "")
        signed = b"v0:" + timestamp.encode() + b":" + body
        expected = [f"v0={digest.hex()}".encode() for digest in digests(self._secrets, signed)]
        require_match([headers.get(SIGNATURE_HEADER, "")], expected)
        require_recent(from_unix(timestamp), now)

    def parse(self, body: bytes) -> Sequence[Inbound]:
        try:
            payload = parse_qs(body.decode(), max_num_fields=10)["payload"][0]
        except (ValueError, KeyError):
            raise MalformedError("a form with a payload") from None
        event = json_object(payload.encode())
        if text(event, "type") != "block_actions":
            return []
        user = inner(event, "user")
        who = text(user, "username") or text(user, "name") or text(user, "id")
        pressed = [one for one in items(event, "actions") if text(one, "action_id") in BUTTONS]
        if pressed and not all(text(one, "value") for one in pressed):
            raise MalformedError("a value of each button")
        return [
            Inbound(
                event_id=f"{text(event, 'trigger_id') or digest_of(body)}.{number}",
                action=BUTTONS[text(one, "action_id")],
                at=from_unix(text(one, "action_ts")),
                actor=who,
                alert_id=text(one, "value"),
                was_over=False,
                shown=False,
                reply_url=text(event, "response_url") or None,
            )
            for number, one in enumerate(pressed)
        ]
