"""Reading what others send: whose it is, and what it holds. Pure; what is compared is compared in constant time."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from service.errors import SpendwatchError

SECRET_HEADER = "x-spendwatch-secret"  # noqa: S105  # the name of a header
TOLERANCE = timedelta(minutes=5)
"""How far the time in a signature may be from ours, either way."""


class RefusedError(SpendwatchError):
    """Not signed with our secret, or not just now. Says no more than that: whoever asks is a stranger."""

    def __init__(self) -> None:
        super().__init__("the signature is missing, wrong or too old")


class MalformedError(SpendwatchError):
    """Signed, and not what the other side's reference says. The message holds nothing of the body."""

    def __init__(self, expected: str) -> None:
        super().__init__(f"expected {expected}")


def require_match(given: Iterable[str], expected: Iterable[bytes]) -> None:
    """Raises RefusedError unless one of *given* is one of *expected*; how long it takes does not say which."""
    pairs = [(one.encode(errors="replace"), other) for one in given for other in expected]
    if not any([hmac.compare_digest(one, other) for one, other in pairs]):  # noqa: C419  # none is left out
        raise RefusedError


def digests(secrets: Sequence[bytes], signed: bytes) -> list[bytes]:
    """HMAC-SHA256 under each of *secrets*."""
    return [hmac.digest(secret, signed, hashlib.sha256) for secret in secrets]


def require_shared(headers: Mapping[str, str], secrets: Sequence[bytes]) -> None:
    """For senders that can sign nothing: the secret itself, in a header of ours or as a bearer token.

    Its digest is compared: the length says nothing either. Raises RefusedError.
    """
    given = headers.get(SECRET_HEADER, "") or headers.get("authorization", "").removeprefix("Bearer ")
    hashed = hashlib.sha256(given.strip().encode()).hexdigest()
    require_match([hashed], [hashlib.sha256(secret).hexdigest().encode() for secret in secrets])


def require_recent(at: datetime | None, now: datetime) -> None:
    """Raises RefusedError for what was signed long ago, or will be."""
    if at is None or abs(now - at) > TOLERANCE:
        raise RefusedError


def json_object(body: bytes) -> dict[str, object]:
    """Raises MalformedError."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedError("a JSON object") from None
    if not isinstance(found, dict):
        raise MalformedError("a JSON object")
    return found


def inner(value: object, *names: str) -> object:
    """What stands under *names*, one below the other; None where one is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text(value: object, *names: str) -> str:
    """As `inner`; a number as text, empty for what is neither."""
    found = inner(value, *names)
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def items(value: object, *names: str) -> list[object]:
    found = inner(value, *names)
    return found if isinstance(found, list) else []


def from_unix(seconds: str | float) -> datetime | None:
    """None for what is no time of this age."""
    try:
        return datetime.fromtimestamp(float(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def from_milliseconds(value: object) -> datetime | None:
    """Since 1970, as a number or its text."""
    try:
        return from_unix(float(value) / 1000) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None


def from_iso(written: str) -> datetime | None:
    """None for what is no instant; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(written)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def digest_of(body: bytes) -> str:
    """The id of an event that has none: a repetition has the same body."""
    return hashlib.sha256(body).hexdigest()
