"""What the deliverer knows of a receiver, and what may come of an attempt."""

from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from service.store.store import Delivery, LetterDelivery


class FailureReason(StrEnum):
    """Why an attempt failed; also the label of the metric."""

    TIMEOUT = "timeout"
    NETWORK = "network"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    CLIENT_ERROR = "client_error"
    REDIRECT = "redirect"
    GONE = "gone"
    REFUSED_ADDRESS = "refused_address"
    INTERNAL = "internal"
    """A fault of ours."""


class Delivered(Struct, frozen=True, kw_only=True):
    """remote_id: what the other side calls it, e.g. a ticket number."""

    remote_id: str | None = None


class Retry(Struct, frozen=True, kw_only=True):
    """It may work later. after: how long to wait at least. detail: without secrets. remote_id: as far as known.
    got_somewhere: requests of this attempt before the one that failed were answered."""

    reason: FailureReason
    detail: str
    after: timedelta | None = None
    remote_id: str | None = None
    got_somewhere: bool = False


class Rejected(Struct, frozen=True, kw_only=True):
    """It will never work. detail: without secrets. remote_id: as far as known."""

    reason: FailureReason
    detail: str
    remote_id: str | None = None


Outcome = Delivered | Retry | Rejected


class Receiver(Protocol):
    """One place that messages go to. What goes wrong is an outcome, not an exception.

    concurrency: attempts at a time. timeout: longest that one attempt may take. deadline: how long after its event a
    message is given up. rate, burst: messages a second in the long run, and at once.
    newest_only: whether a newer message of an alert says all that an older one would, so that an older one that still
    waits is not sent. settle: how long what an attempt of unknown end did may not be seen by the next one.
    """

    @property
    def name(self) -> str: ...

    @property
    def concurrency(self) -> int: ...

    @property
    def timeout(self) -> timedelta: ...

    @property
    def deadline(self) -> timedelta: ...

    @property
    def rate(self) -> float: ...

    @property
    def burst(self) -> int: ...

    @property
    def newest_only(self) -> bool: ...

    @property
    def settle(self) -> timedelta: ...

    async def send(self, delivery: Delivery, *, now: datetime) -> Outcome:
        """One attempt. May be cancelled at any await."""

    async def close(self) -> None: ...


class CarriesLetters(ABC):
    """A receiver that can be sent what is no alert as well. Its settings say so: `carries_letters`."""

    @abstractmethod
    async def send_letter(self, delivery: LetterDelivery, *, now: datetime) -> Outcome:
        """As `Receiver.send`."""
