"""Answers to the person who pressed a button in Slack, seen by that person only.

The address comes with the request. It is signed, and all the same only Slack's own hosts are answered, by the rules
for receivers' addresses; an answer that does not arrive is dropped, since the message itself says what became of it.
"""

from urllib.parse import urlsplit

import structlog

from service.clock import Clock
from service.core.alerts import AlertRecord
from service.core.inbound import Heard, Outcome
from service.core.transitions import DETECTION
from service.delivery.calls import Call, CallFailedError
from service.delivery.http import Site
from service.delivery.texts import mrkdwn, one_line
from service.errors import ConfigError
from service.receiver_settings import SlackBotReceiver

HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
_SECONDS = 5.0

_log = structlog.get_logger(__name__)


def reply_of(heard: Heard) -> str | None:
    """What to say to whoever pressed the button; None where the message will show it by itself. mrkdwn."""
    match heard.outcome:
        case Outcome.APPLIED | Outcome.DUPLICATE:
            return None
        case Outcome.UNCHANGED if heard.record is not None:
            return f"Nothing to change: the alert is {_state_of(heard.record)}."
        case Outcome.OUTDATED:
            return "This button is too old. Please look at the alert itself."
        case Outcome.UNAVAILABLE:
            return "That did not work: the store or the broker is away. Please press it again in a moment."
        case _:
            return "This alert is not known here."


def _state_of(record: AlertRecord) -> str:
    by = record.resolved_by or (DETECTION if record.state.is_over else record.acknowledged_by)
    return mrkdwn(one_line(f"{record.state.value} by {by}" if by else record.state.value))


async def reply(config: SlackBotReceiver, url: str, text: str, clock: Clock) -> None:
    """Never raises."""
    if urlsplit(url).hostname not in HOSTS and not config.allow_private:
        _log.warning("no answer was sent: its address is none of Slack's", receiver=config.name)
        return
    try:
        site = Site(f"receiver {config.name!r}", url, allow_http=config.allow_http, allow_private=config.allow_private)
        try:
            body = {"response_type": "ephemeral", "replace_original": False, "text": text}
            (await site.ask(Call(body=body), now=clock.now(), seconds=_SECONDS)).checked()
        finally:
            await site.close()
    except (CallFailedError, ConfigError) as error:
        _log.warning("an answer was not taken", receiver=config.name, reason=str(error)[:200])
