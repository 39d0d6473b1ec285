"""What receivers over HTTP share: a receiver is a conversation, and this holds it.

A conversation is a generator without I/O: it yields a Call, is sent the Answer, and returns an Outcome. A call that no
answer came to is thrown into it as CallFailedError; what it does not catch becomes the outcome. So each receiver can be
read, and tested, without a network.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypedDict, TypeVar

import httpx
from msgspec.structs import replace
from pydantic import SecretStr

from service.delivery.address import Resolver
from service.delivery.calls import Answer, Call, CallFailedError
from service.delivery.http import Site
from service.delivery.receivers.configured import Configured
from service.delivery.receivers.receiver import CarriesLetters, Outcome, Retry
from service.delivery.templates import Wording
from service.delivery.texts import Escape, plain
from service.receiver_settings import OverHttp, Worded
from service.store.store import Delivery, LetterDelivery

T = TypeVar("T")

Steps = Generator[Call, Answer, T]
"""Part of a conversation that comes to a T."""


class Wiring(TypedDict, total=False):
    """public_url: where links lead. transport, resolver: for tests."""

    public_url: str | None
    transport: httpx.AsyncBaseTransport | None
    resolver: Resolver | None


class HttpReceiver(Configured, ABC):
    """The Receiver protocol over HTTP.

    urls: one, or those of a cluster. headers: of every request. secrets: never shown, beside the URLs.
    """

    def __init__(
        self,
        config: OverHttp,
        urls: Sequence[SecretStr | str],
        wiring: Wiring,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Sequence[str] = (),
        settle: timedelta = timedelta(),
    ) -> None:
        """Raises ConfigError for an address that cannot be used; the message does not hold it."""
        super().__init__(config, settle=settle)
        self._sites = [
            Site(
                self.where,
                url,
                headers=headers,
                hidden=secrets,
                allow_http=config.allow_http,
                allow_private=config.allow_private,
                connections=config.concurrency,
                transport=wiring.get("transport"),
                resolver=wiring.get("resolver"),
            )
            for url in urls
        ]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.address})"

    @property
    def address(self) -> str:
        return ", ".join(site.address for site in self._sites)

    @abstractmethod
    def talk(self, delivery: Delivery, now: datetime) -> Steps[Outcome]:
        """The conversation that delivers it. Pure."""

    async def send(self, delivery: Delivery, *, now: datetime) -> Outcome:
        return await self._hold(self.talk(delivery, now), now)

    async def _hold(self, talk: Steps[Outcome], now: datetime) -> Outcome:
        """Hold a conversation to its end."""
        time = asyncio.get_running_loop().time
        whole = self.timeout.total_seconds()
        end = time() + whole
        got_somewhere = False
        try:
            call = next(talk)
            while True:
                try:
                    left = min(whole, round(end - time(), 3)) / self._members_left(call)
                    answer = await self._sites[call.site].ask(call, now=now, seconds=left)
                except CallFailedError as failed:
                    call = talk.throw(failed)
                else:
                    call = talk.send(answer)
                    got_somewhere = got_somewhere or answer.status < 500
        except StopIteration as done:
            outcome: Outcome = done.value
        except CallFailedError as failed:
            outcome = failed.outcome
        if got_somewhere and isinstance(outcome, Retry):
            return replace(outcome, got_somewhere=True)
        return outcome

    async def close(self) -> None:
        for site in self._sites:
            await site.close()

    def _members_left(self, call: Call) -> int:
        """A member of a cluster that hangs leaves time for those after it."""
        return len(self._sites) - call.site


class HttpLetters(HttpReceiver, CarriesLetters):
    """A receiver over HTTP that carries letters, too."""

    @abstractmethod
    def tell(self, delivery: LetterDelivery, now: datetime) -> Steps[Outcome]:
        """The conversation that delivers a letter. Pure."""

    async def send_letter(self, delivery: LetterDelivery, *, now: datetime) -> Outcome:
        return await self._hold(self.tell(delivery, now), now)


def wording(config: Worded, wiring: Wiring, *, escape: Escape = plain) -> Wording:
    """Raises ConfigError for a template that cannot be used."""
    return Wording(
        config.templates, where=f"receiver {config.name!r}", escape=escape, public_url=wiring.get("public_url")
    )
