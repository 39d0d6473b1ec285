"""The letter about a silence that ends soon as the body of a webhook. Pure; a golden file and a schema pin it.

It stays below MAX_BYTES whatever people wrote: matchers, windows and texts are cut shorter; the link leads to the rest.
"""

from datetime import datetime
from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from service.delivery.payload import MAX_BYTES
from service.delivery.texts import cut
from service.digests.expiry import ExpiryWarning

EXPIRING: Final = "cost.silence.expiring"


class ExpiryData(ExpiryWarning, frozen=True, kw_only=True):
    """A silence that ends soon. link: to the silences on the dashboard; null when nobody said where it is."""

    link: str | None


class ExpiryMessage(Struct, frozen=True, kw_only=True):
    """What a webhook is sent about a silence that ends soon. timestamp: when it was made."""

    type: Literal["cost.silence.expiring"]
    timestamp: datetime
    data: ExpiryData


class _Limits(Struct, frozen=True):
    entries: int
    text: int


_STEPS = (_Limits(20, 2048), _Limits(20, 256), _Limits(5, 128), _Limits(1, 32))


def expiry_body(warning: ExpiryWarning, public_url: str | None) -> bytes:
    """JSON in UTF-8, below MAX_BYTES. Deterministic: all attempts send the same bytes."""
    link = None if public_url is None else f"{public_url.rstrip('/')}/silences"
    for limits in _STEPS:
        shorter = asdict(_cut(warning, limits))
        data = ExpiryData(**shorter, link=link)
        body = msgspec.json.encode(ExpiryMessage(type=EXPIRING, timestamp=warning.made_at, data=data))
        if len(body) < MAX_BYTES:
            break
    return body


def _cut(warning: ExpiryWarning, limits: _Limits) -> ExpiryWarning:
    windows = (
        replace(one, weekdays=tuple(cut(day, 32) for day in one.weekdays[:7]))
        for one in warning.recurrence[: limits.entries]
    )
    return replace(
        warning,
        matchers=tuple(cut(text, limits.text) for text in warning.matchers[: limits.entries]),
        owner=cut(warning.owner, limits.text),
        comment=cut(warning.comment, limits.text),
        recurrence=tuple(windows),
        unit=warning.unit and cut(warning.unit, limits.text),
    )
