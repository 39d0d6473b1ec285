"""Why a record was refused; it goes to the dead letters and the partition goes on."""

from dataclasses import dataclass
from enum import StrEnum


class RejectReason(StrEnum):
    """Closed: also the label of a metric."""

    UNDECODABLE = "undecodable"
    """Not JSON, or not the shape of a Fact, Feedback or Watermark."""
    BAD_SERIES = "bad_series"
    KEY_MISMATCH = "key_mismatch"
    """The Kafka key is missing or is not the series of the fact: it may sit in the wrong partition."""
    BAD_TIME = "bad_time"
    FAR_FUTURE = "far_future"
    FAR_PAST = "far_past"
    BAD_VALUE = "bad_value"
    """Not finite, or beyond MAX_ABS_VALUE."""
    BAD_ORIGIN = "bad_origin"
    MISSING_EVENT_ID = "missing_event_id"
    TOO_MANY_DIMENSIONS = "too_many_dimensions"
    """What should be a tag's value stands in its key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """field: the path within the message, where it is known. key, value, timestamp: the record's, as they came."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    reason: RejectReason
    field: str | None
    message: str


class RejectError(Exception):
    """Raised and caught within the engine only."""

    def __init__(self, reason: RejectReason, field: str | None, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.field = field
