"""Slack with a bot token: one post per alert, edited in place; what happens to the alert stands in its thread.

`chat.postMessage` knows no repetition, so each post carries the alert's id as metadata, and a post whose answer was
lost is looked for in the channel's history before another is made.
Source: https://api.slack.com/methods (chat.postMessage, chat.update, conversations.history)
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Unpack

from service.core.alerts import EventType
from service.delivery.calls import Answer, Call, CallFailedError
from service.delivery.credentials import bearer
from service.delivery.message import Message
from service.delivery.receivers import slack_blocks
from service.delivery.receivers.over_http import HttpLetters, Steps, Wiring, wording
from service.delivery.receivers.receiver import Delivered, FailureReason, Outcome
from service.delivery.receivers.tickets import keep_ticket
from service.delivery.texts import cut, mrkdwn
from service.digests.letter import page_of
from service.receiver_settings import SlackBotReceiver
from service.store.store import Delivery, LetterDelivery

URL = "https://slack.com/api"
_METADATA = "spendwatch_alert"
_SETTLE = timedelta(seconds=2)
_HISTORY = 200
_BEFORE = timedelta(minutes=5)
"""Slack's clock and ours."""
_PASSING = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_GONE = frozenset({"message_not_found", "thread_not_found"})
_UNREADABLE = frozenset({"missing_scope", "not_in_channel", "no_permission", "method_not_supported_for_channel_type"})


class SlackBot(HttpLetters):
    def __init__(self, config: SlackBotReceiver, **wiring: Unpack[Wiring]) -> None:
        assert config.token is not None
        headers, secrets = bearer(config.token)
        super().__init__(config, [config.url or URL], wiring, headers=headers, secrets=secrets, settle=_SETTLE)
        self._channel = config.channel
        self._buttons = config.inbound is not None and config.inbound.enabled
        self._wording = wording(config, wiring, escape=mrkdwn)
        self._public_url = wiring.get("public_url")

    def talk(self, delivery: Delivery, now: datetime) -> Steps[Outcome]:
        since = delivery.event.record.created_at - _BEFORE
        channel = _Channel(self._channel, since=since, buttons=self._buttons)
        return keep_ticket(channel, delivery, self._wording.message(delivery.event, delivery.members), settle=_SETTLE)

    def tell(self, delivery: LetterDelivery, now: datetime) -> Steps[Outcome]:
        """A post that is not edited. Of a second attempt the first may have posted it, and lost the answer."""
        if delivery.attempts > 1:
            since = delivery.letter.content.made_at - _BEFORE
            found = yield from _find(self._channel, since, {"letter": delivery.letter.id})
            if found is not None:
                return Delivered(remote_id=found)
        page = page_of(delivery.letter.content, self._public_url)
        text, blocks = slack_blocks.letter_fallback(page), slack_blocks.letter_blocks(page)
        post = _post(self._channel, text, blocks, {"letter": delivery.letter.id})
        try:
            answer = _ok((yield Call(path="/chat.postMessage", body=post, reads=True)))
        except CallFailedError as failed:
            raise (failed.waiting(_SETTLE) if failed.may_be_done else failed) from None
        return Delivered(remote_id=f"{answer.get('channel', self._channel)}/{answer.get('ts')}")


class _Channel:
    """The Desk protocol: a ticket is a post, `<channel>/<ts>`."""

    def __init__(self, channel: str, *, since: datetime, buttons: bool) -> None:
        self._channel = channel
        self._since = since
        self._buttons = buttons

    def find(self, message: Message) -> Steps[str | None]:
        return _find(self._channel, self._since, {"alert": message.marker})

    def open(self, delivery: Delivery, message: Message) -> Steps[str]:
        answer = yield Call(path="/chat.postMessage", body=self._post(message), reads=True)
        found = _ok(answer)
        return f"{found.get('channel', self._channel)}/{found.get('ts')}"

    def move(self, ticket: str, message: Message) -> Steps[str | None]:
        channel, _, ts = ticket.partition("/")
        body = {**self._post(message), "channel": channel, "ts": ts}
        try:
            _ok((yield Call(path="/chat.update", body=body, reads=True)))
        except CallFailedError as failed:
            if not any(name in failed.outcome.detail for name in _GONE):
                raise
            if message.is_over:
                return None  # somebody deleted the post, and there is nothing more to say
            answer = yield Call(path="/chat.postMessage", body=self._post(message), reads=True)
            return f"{channel}/{_ok(answer).get('ts')}"
        if message.event not in (EventType.OPENED, EventType.UPDATED):
            reply = {"channel": channel, "thread_ts": ts, "text": cut(mrkdwn(message.news), 3000)}
            _ok((yield Call(path="/chat.postMessage", body=reply, reads=True)))
        return None

    def _post(self, message: Message) -> dict[str, object]:
        blocks = slack_blocks.blocks(message, buttons=self._buttons)
        return _post(self._channel, slack_blocks.fallback(message), blocks, {"alert": message.marker})


def _find(channel: str, since: datetime, payload: Mapping[str, str]) -> Steps[str | None]:
    """The post that carries *payload*, `<channel>/<ts>`."""
    query = {
        "channel": channel,
        "oldest": f"{since.timestamp():.6f}",
        "limit": str(_HISTORY),
        "include_all_metadata": "true",
    }
    cursor = "-"
    while cursor:
        page = {} if cursor == "-" else {"cursor": cursor}
        answer = yield Call(method="GET", path="/conversations.history", query={**query, **page}, reads=True)
        try:
            found = _ok(answer)
        except CallFailedError as failed:
            # A bot that may not read the channel can still post: better twice than never.
            if any(name in failed.outcome.detail for name in _UNREADABLE):
                return None
            raise
        for post in _items(found.get("messages")):
            if _item(_item(post.get("metadata")).get("event_payload")) == payload:
                return f"{channel}/{post.get('ts')}"
        cursor = str(_item(found.get("response_metadata")).get("next_cursor") or "")
    return None


def _post(channel: str, text: str, blocks: Sequence[object], payload: Mapping[str, str]) -> dict[str, object]:
    return {
        "channel": channel,
        "text": text,
        "blocks": blocks,
        "metadata": {"event_type": _METADATA, "event_payload": payload},
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _ok(answer: Answer) -> dict[str, object]:
    """The answer's object. Slack says with 200 that it did not work."""
    found = answer.checked().json()
    if found.get("ok") is True:
        return found
    error = str(found.get("error", "unknown_error"))
    if "ratelimited" in error or "rate_limited" in error:
        raise answer.failure(error, retry=True, reason=FailureReason.RATE_LIMITED)
    if error in _PASSING:
        raise answer.failure(error, retry=True, reason=FailureReason.SERVER_ERROR)
    needed = f" (needed: {found['needed']})" if "needed" in found else ""
    raise answer.failure(f"{error}{needed}", retry=False)


def _item(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
