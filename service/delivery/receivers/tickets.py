"""One ticket per alert, for help desks that cannot tell a repetition from a second incident.

The ticket's number is kept as soon as it is known. Where it is not known, the ticket is looked for by its marker before
one is opened: the answer to an earlier attempt may have been lost, or the process killed before it was written down.
What is over before it was ever told opens none.
"""

from datetime import datetime, timedelta
from typing import Protocol

from service.core.alerts import AlertState
from service.delivery.calls import CallFailedError
from service.delivery.credentials import Credentials
from service.delivery.message import Message
from service.delivery.receivers.over_http import HttpReceiver, Steps, Wiring, wording
from service.delivery.receivers.receiver import Delivered, Outcome
from service.delivery.texts import Escape, plain
from service.receiver_settings import Ticketing
from service.store.store import Delivery


class Desk(Protocol):
    """Every method is a part of a conversation; what fails raises CallFailedError."""

    def find(self, message: Message) -> Steps[str | None]:
        """The ticket that carries the message's marker."""

    def open(self, delivery: Delivery, message: Message) -> Steps[str]:
        """A new ticket. What it returns is kept as the remote id and given to `move`."""

    def move(self, ticket: str, message: Message) -> Steps[str | None]:
        """Make the ticket say what the message says. Doing it again changes nothing but, at worst, a comment.

        Returns another ticket's id when this one could not be brought back and a new one follows it.
        """


class TicketReceiver(HttpReceiver):
    """Keeps a ticket per alert at a desk over HTTP."""

    def __init__(
        self, config: Ticketing, wiring: Wiring, desk: Desk, credentials: Credentials, *, escape: Escape = plain
    ) -> None:
        """Raises ConfigError for an address or a template that cannot be used."""
        assert config.url is not None
        headers, secrets = credentials
        settle = timedelta(seconds=config.settle_seconds)
        super().__init__(config, [config.url], wiring, headers=headers, secrets=secrets, settle=settle)
        self._desk = desk
        self._wording = wording(config, wiring, escape=escape)

    def talk(self, delivery: Delivery, now: datetime) -> Steps[Outcome]:
        return keep_ticket(
            self._desk, delivery, self._wording.message(delivery.event, delivery.members), settle=self.settle
        )


def keep_ticket(desk: Desk, delivery: Delivery, message: Message, *, settle: timedelta) -> Steps[Outcome]:
    """settle: how long a new ticket may escape the search."""
    ticket = delivery.remote_id
    if ticket is None:
        ticket = yield from desk.find(message)
    if ticket is None:
        if message.is_over:
            return Delivered()
        try:
            ticket = yield from desk.open(delivery, message)
        except CallFailedError as failed:
            raise (failed.waiting(settle) if failed.may_be_done else failed) from None
        if message.state is AlertState.FIRING:
            return Delivered(remote_id=ticket)
    try:
        ticket = (yield from desk.move(ticket, message)) or ticket
    except CallFailedError as failed:
        raise failed.knowing(ticket) from None
    return Delivered(remote_id=ticket)
