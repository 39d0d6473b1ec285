"""What a message of the alerts topic must be before it is recorded: others than we may be able to write there.

What a database could not hold, or a page not show, is refused here, with its place. NUL in a text is not: tag values
may carry it, and the store puts up with it.
"""

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

from service.core.alerts import Alert
from service.core.amounts import INT64_MAX
from service.core.validation import DECODE_ERRORS, undecodable

_ID = re.compile(r"[a-z0-9]{1,64}")
"""Ours have 26 of these (service/core/episodes.py); the id stands in addresses, headers and indexes."""
_MAX_TEXT = 512
"""As long as the key of a series may be (connectors/series.py), which names and values are parts of."""
_MAX_TEXTS = {
    "tenant": 64,
    "series": _MAX_TEXT,
    "metric": 64,
    "unit": 64,
    "grain": 64,
    "detector": 256,
    "reason": 4_096,
    "action": 4_096,
}
_MAX_LABELS = 64
_AMOUNTS = ("actual", "expected", "lower", "upper", "score", "impact")
_MAX_AMOUNT = 1e18
"""Far beyond what facts add up to, and far from where sums over all alerts overflow."""
_INSTANTS = ("starts_at", "ends_at", "judged_at")
_MAX_SHOWN = 80
_decode = msgspec.json.Decoder(Alert).decode


class UnreadableAlertError(ValueError):
    """field: the path within the message; empty when it is not known."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def alert_of(value: bytes | None) -> Alert:
    """Raises UnreadableAlertError for what is no alert."""
    try:
        alert = _decode(value or b"")
    except DECODE_ERRORS as error:
        found = undecodable(error)
        raise UnreadableAlertError(found.field or "", str(found)) from None
    if not _ID.fullmatch(alert.id):
        raise UnreadableAlertError(
            "id", f"expected 1 to 64 lower-case letters and digits, got {alert.id[:_MAX_SHOWN]!r}"
        )
    for field in ("version", "buckets"):
        if not 0 <= getattr(alert, field) <= INT64_MAX:
            # The number itself may have more digits than Python writes.
            raise UnreadableAlertError(field, f"expected a whole number from 0 to {INT64_MAX}")
    for field, limit in _MAX_TEXTS.items():
        _check_text(field, getattr(alert, field), limit)
    _check_labels(alert.labels)
    for field in _AMOUNTS:
        if not abs(getattr(alert, field)) <= _MAX_AMOUNT:
            raise UnreadableAlertError(field, f"expected an amount within +-{_MAX_AMOUNT:g}")
    for field in _INSTANTS:
        _check_instant(field, getattr(alert, field))
    for place, point in enumerate(alert.history):
        _check_instant(f"history[{place}].at", point.at)
    return alert


def _check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > _MAX_LABELS:
        raise UnreadableAlertError("labels", f"expected at most {_MAX_LABELS}, got {len(labels)}")
    for name, value in labels.items():
        _check_text("labels", name, _MAX_TEXT)
        _check_text("labels", value, _MAX_TEXT)


def _check_text(field: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise UnreadableAlertError(field, f"expected at most {limit} characters, got {len(text)}")


def _check_instant(field: str, at: datetime | None) -> None:
    """A time without a zone cannot be compared with ours, and one at the calendar's end not be told in UTC."""
    if at is not None and (at.tzinfo is None or not 1 < at.year < 9999):
        raise UnreadableAlertError(field, f"expected a time with its zone, got {at.isoformat()}")
