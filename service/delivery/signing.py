"""Standard Webhooks 1.0.0 signatures, symmetric (`v1`). Pure.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. What is signed is
`{webhook-id}.{webhook-timestamp}.{body}` with HMAC-SHA256; a secret is `whsec_` and 24 to 64 random bytes in base64.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from service.errors import ConfigError, SpendwatchError

PREFIX = "whsec_"
TOLERANCE = timedelta(minutes=5)

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

_UNIX_SECONDS = re.compile(r"\d{1,12}")


class SecretError(ConfigError):
    """A text that is not a signing secret. The message never holds it."""


class SignatureProblem(StrEnum):
    MISSING_HEADER = "missing_header"
    BAD_TIMESTAMP = "bad_timestamp"
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"
    NO_MATCH = "no_match"


class SignatureError(SpendwatchError):
    """A message that was not signed with one of our secrets, or not just now."""

    def __init__(self, problem: SignatureProblem, message: str) -> None:
        super().__init__(message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A key that does not show itself."""

    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "SigningSecret":
        """`whsec_...`, the prefix may be missing. Raises SecretError."""
        try:
            key = base64.b64decode(text.strip().removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise SecretError(f"a signing secret must be {PREFIX} and base64; make one with: {_RECIPE}") from None
        if not 24 <= len(key) <= 64:
            raise SecretError(f"a signing secret must hold 24 to 64 bytes, got {len(key)}; make one with: {_RECIPE}")
        return cls(key)


_RECIPE = 'echo "whsec_$(openssl rand -base64 32)"'


def parse_secrets(text: str) -> tuple[SigningSecret, ...]:
    """One secret, or several separated by blanks while they are being rotated. Raises SecretError."""
    secrets = tuple(SigningSecret.parse(part) for part in text.split())
    if not secrets:
        raise SecretError(f"a signing secret must not be empty; make one with: {_RECIPE}")
    return secrets


def sign(secrets: Sequence[SigningSecret], *, message_id: str, timestamp: int, body: bytes) -> str:
    """Value of the signature header: one signature per secret, so that a receiver may know any of them.

    timestamp: unix seconds of this attempt.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(secret.key, signed, hashlib.sha256) for secret in secrets)
    return " ".join("v1," + base64.b64encode(digest).decode() for digest in digests)


def verify(
    secrets: Sequence[SigningSecret],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
) -> None:
    """Raises SignatureError unless one of *secrets* signed this within *tolerance* of *now*.

    headers: names in lower case, as ASGI and httpx give them.
    """
    missing = [name for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER) if not headers.get(name)]
    if missing:
        raise SignatureError(SignatureProblem.MISSING_HEADER, f"the header {missing[0]} is missing")
    if not _UNIX_SECONDS.fullmatch(headers[TIMESTAMP_HEADER]):
        raise SignatureError(SignatureProblem.BAD_TIMESTAMP, f"{TIMESTAMP_HEADER} must be unix seconds")
    timestamp = int(headers[TIMESTAMP_HEADER])
    age = now - datetime(1970, 1, 1, tzinfo=UTC) - timedelta(seconds=timestamp)
    if abs(age) > tolerance:
        problem = SignatureProblem.TOO_OLD if age > tolerance else SignatureProblem.TOO_NEW
        raise SignatureError(problem, f"{TIMESTAMP_HEADER} must be within {tolerance} of now, is {age} old")
    expected = sign(secrets, message_id=headers[ID_HEADER], timestamp=timestamp, body=body).split()
    given = [part.encode() for part in headers[SIGNATURE_HEADER].split()]
    # Every pair is compared, each in constant time: how long it takes says nothing about the secrets.
    matches = [hmac.compare_digest(ours.encode(), theirs) for ours in expected for theirs in given]
    if not any(matches):
        raise SignatureError(SignatureProblem.NO_MATCH, "no signature matches any of our secrets")
