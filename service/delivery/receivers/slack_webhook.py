"""A Slack incoming webhook: a post for every message, as it can neither edit nor find what it posted.

It answers 200 with the body `ok`; anything else is an error, also with 200.
Source: https://api.slack.com/messaging/webhooks
"""

from datetime import datetime
from typing import Unpack

from service.delivery.calls import Answer, Call
from service.delivery.receivers import slack_blocks
from service.delivery.receivers.over_http import HttpLetters, Steps, Wiring, wording
from service.delivery.receivers.receiver import Delivered, FailureReason, Outcome, Rejected, Retry
from service.delivery.texts import mrkdwn
from service.digests.letter import page_of
from service.receiver_settings import SlackWebhookReceiver
from service.store.store import Delivery, LetterDelivery


class SlackWebhook(HttpLetters):
    def __init__(self, config: SlackWebhookReceiver, **wiring: Unpack[Wiring]) -> None:
        assert config.url is not None
        super().__init__(config, [config.url], wiring)
        self._wording = wording(config, wiring, escape=mrkdwn)
        self._public_url = wiring.get("public_url")

    def talk(self, delivery: Delivery, now: datetime) -> Steps[Outcome]:
        message = self._wording.message(delivery.event, delivery.members)
        body = {"text": slack_blocks.fallback(message), "blocks": slack_blocks.blocks(message)}
        answer = yield Call(body=body, reads=True)
        return _outcome(answer)

    def tell(self, delivery: LetterDelivery, now: datetime) -> Steps[Outcome]:
        page = page_of(delivery.letter.content, self._public_url)
        body = {"text": slack_blocks.letter_fallback(page), "blocks": slack_blocks.letter_blocks(page)}
        answer = yield Call(body=body, reads=True)
        return _outcome(answer)


def _outcome(answer: Answer) -> Outcome:
    if not isinstance(answer.outcome, Delivered):
        return answer.outcome
    if answer.text == "ok":
        return Delivered()
    # An error in disguise. `rollup_error` and an empty or garbled body may pass; the others name a mistake.
    detail = f"{answer.address} answered {answer.status}, but not `ok`: {answer.text[:200]}"
    if answer.text.isidentifier() and answer.text != "rollup_error":
        return Rejected(reason=FailureReason.CLIENT_ERROR, detail=detail)
    return Retry(reason=FailureReason.SERVER_ERROR, detail=detail)
