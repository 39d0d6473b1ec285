"""A letter as the body of a webhook. Pure; a golden file and a published schema pin it.

The shape is that of other messages: type, timestamp, data. It stays below MAX_BYTES whatever the values are: first
days of single values go, then lists and texts are cut shorter; the link leads to the rest.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from service.delivery.expiry_payload import EXPIRING, expiry_body
from service.delivery.payload import MAX_BYTES
from service.delivery.texts import cut
from service.digests.content import AlertLine, AlertList, Digest
from service.digests.expiry import ExpiryWarning
from service.digests.sums import Spend
from service.store.store import Letter

DIGEST: Final = "cost.digest"


class DigestData(Digest, frozen=True, kw_only=True):
    """A digest. link: where the dashboard is; null when nobody said."""

    link: str | None


class DigestMessage(Struct, frozen=True, kw_only=True):
    """What a webhook is sent for a digest. timestamp: when it was made."""

    type: Literal["cost.digest"]
    timestamp: datetime
    data: DigestData


class _Limits(Struct, frozen=True):
    entries: int
    text: int
    days: bool


_STEPS = (
    _Limits(20, 1000, True),
    _Limits(20, 256, False),
    _Limits(10, 128, False),
    _Limits(5, 64, False),
    _Limits(1, 32, False),
)


def letter_type(letter: Letter) -> str:
    return EXPIRING if isinstance(letter.content, ExpiryWarning) else DIGEST


def letter_body(letter: Letter, public_url: str | None) -> bytes:
    """JSON in UTF-8, below MAX_BYTES. Deterministic: all attempts send the same bytes."""
    content = letter.content
    if isinstance(content, ExpiryWarning):
        return expiry_body(content, public_url)
    for limits in _STEPS:
        body = msgspec.json.encode(_message(content, public_url, limits))
        if len(body) < MAX_BYTES:
            break
    return body


def _message(digest: Digest, public_url: str | None, limits: _Limits) -> DigestMessage:
    value = digest.value and cut(digest.value, limits.text)
    of_all = tuple(_spend(one, limits, days=True) for one in digest.totals[: limits.entries])
    shorter = replace(
        digest,
        by=cut(digest.by, limits.text),
        value=value,
        totals=of_all,
        spends=tuple(_spend(one, limits, days=limits.days) for one in digest.spends[: limits.entries]),
        changes=tuple(_spend(one, limits, days=limits.days) for one in digest.changes[: limits.entries]),
        incomplete=tuple(cut(one, limits.text) for one in digest.incomplete[: limits.entries]),
        open=_alerts(digest.open, limits),
        held_back=_alerts(digest.held_back, limits),
        silences=tuple(
            replace(
                one, what=cut(one.what, limits.text), comment=cut(one.comment, limits.text), owner=cut(one.owner, 100)
            )
            for one in digest.silences[: limits.entries]
        ),
    )
    fields = {name: getattr(shorter, name) for name in asdict(shorter)}
    return DigestMessage(type="cost.digest", timestamp=digest.made_at, data=DigestData(**fields, link=public_url))


def _spend(spend: Spend, limits: _Limits, *, days: bool) -> Spend:
    return replace(spend, value=cut(spend.value, limits.text), days=spend.days if days else ())


def _alerts(alerts: AlertList, limits: _Limits) -> AlertList:
    sums: Sequence[tuple[str, float]] = list(alerts.at_stake.items())[: limits.entries]
    named = tuple(_alert(line, limits) for line in alerts.named[: limits.entries])
    return replace(alerts, at_stake=dict(sums), named=named)


def _alert(line: AlertLine, limits: _Limits) -> AlertLine:
    return replace(line, value=cut(line.value, limits.text), reason=cut(line.reason, limits.text))
