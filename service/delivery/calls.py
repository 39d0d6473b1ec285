"""A request, its answer, and what an answer means. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from service.delivery.backoff import parse_retry_after
from service.delivery.receivers.receiver import Delivered, FailureReason, Outcome, Rejected, Retry
from service.errors import SpendwatchError

MAX_ERROR_BYTES = 2048
"""So much of an error's body is kept for the operator."""
_MAYBE_DONE = frozenset({FailureReason.TIMEOUT, FailureReason.NETWORK, FailureReason.SERVER_ERROR})


class Call(Struct, frozen=True, kw_only=True):
    """A request. path: below the receiver's URL; empty for the URL itself. body: JSON, unless `content` is given.
    reads: whether what the answer holds matters. site: which of the receiver's URLs."""

    method: str = "POST"
    path: str = ""
    query: Mapping[str, str] = {}
    body: object = None
    content: bytes | None = None
    headers: Mapping[str, str] = {}
    reads: bool = False
    site: int = 0


class CallFailedError(SpendwatchError):
    """A request that did not do what it should: *outcome* is what becomes of the delivery if nobody knows better."""

    def __init__(self, outcome: Retry | Rejected, status: int | None = None) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome
        self.status = status

    @property
    def may_be_done(self) -> bool:
        """Whether the other side may have done what it was asked, though it did not say so."""
        return self.outcome.reason in _MAYBE_DONE

    def knowing(self, remote_id: str) -> "CallFailedError":
        """The same, for a delivery whose other side is known."""
        return CallFailedError(replace(self.outcome, remote_id=remote_id), self.status)

    def waiting(self, least: timedelta) -> "CallFailedError":
        """The same, but not tried again before *least* has passed."""
        if isinstance(self.outcome, Rejected):
            return self
        after = max(self.outcome.after or timedelta(), least)
        return CallFailedError(replace(self.outcome, after=after), self.status)


class Answer(Struct, frozen=True, kw_only=True):
    """address: who answered, without secrets. headers: names in lower case. body: its beginning, secrets included."""

    address: str
    status: int
    at: datetime
    headers: Mapping[str, str] = {}
    body: bytes = b""
    hidden: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The body's beginning, without secrets of ours."""
        return hide(self.body[:MAX_ERROR_BYTES].decode(errors="replace"), self.hidden).strip()

    @property
    def detail(self) -> str:
        return f"{self.address} answered {self.status}" + (f": {self.text}" if self.text else "")

    @property
    def outcome(self) -> Outcome:
        """What the status says."""
        after = parse_retry_after(self.headers.get("retry-after"), self.at)
        match self.status:
            case status if 200 <= status < 300:
                return Delivered()
            case 410:
                return Rejected(reason=FailureReason.GONE, detail=self.detail)
            case 429:
                return Retry(reason=FailureReason.RATE_LIMITED, detail=self.detail, after=after)
            case 408:
                return Retry(reason=FailureReason.TIMEOUT, detail=self.detail, after=after)
            case 425:
                return Retry(reason=FailureReason.CLIENT_ERROR, detail=self.detail, after=after)
            case status if status >= 500:
                return Retry(reason=FailureReason.SERVER_ERROR, detail=self.detail, after=after)
            case status if status < 400:
                # Not followed, and not given up either: a redirect to a maintenance page passes.
                return Retry(reason=FailureReason.REDIRECT, detail=self.detail, after=after)
            case _:
                return Rejected(reason=FailureReason.CLIENT_ERROR, detail=self.detail)

    def checked(self) -> "Answer":
        """Itself. Raises CallFailedError unless the status says that it was done."""
        outcome = self.outcome
        if isinstance(outcome, Delivered):
            return self
        raise CallFailedError(outcome, self.status)

    def failure(
        self, problem: str, *, retry: bool, reason: FailureReason = FailureReason.CLIENT_ERROR
    ) -> CallFailedError:
        """For an answer whose status does not tell the whole story."""
        detail = f"{self.address} answered {self.status}: {hide(problem, self.hidden)}"
        after = parse_retry_after(self.headers.get("retry-after"), self.at)
        outcome = Retry(reason=reason, detail=detail, after=after) if retry else Rejected(reason=reason, detail=detail)
        return CallFailedError(outcome, self.status)

    def json(self) -> dict[str, object]:
        """Raises CallFailedError for what is no JSON object; it may have been done all the same."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self.failure(
                f"expected a JSON object, got {self.text[:100]!r}", retry=True, reason=FailureReason.SERVER_ERROR
            ) from None


def hide(text: str, secrets: Sequence[str]) -> str:
    """*text* without *secrets*: error pages like to quote the path, or what they were sent."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
