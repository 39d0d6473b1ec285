"""What a record must be before it is folded: the defined result of every kind of bad input."""

from typing import NamedTuple, Protocol

import msgspec

from connectors.facts import MAX_ABS_VALUE, WATERMARK_KEY_PREFIX, Fact, Fold, Watermark
from connectors.series import SeriesKey, SeriesKeyError
from service.core.amounts import MAX_NANO, to_nano
from service.core.instants import Instant, InstantError, InstantRangeError, Instants, parse_micros
from service.core.rejects import Rejected, RejectError, RejectReason
from service.core.sources import MAX_BEHIND_SECONDS, NEVER, Source

_DAY = 86_400
MAX_AHEAD_SECONDS = 400 * _DAY
"""A fact this far ahead of the newest of its source is a mistake: believed, it would close all buckets before it.
A source that was silent for longer begins again with a watermark. And this far ahead of the moment it was sent at, not
even the first fact of a source is believed, nor a watermark: nothing that came after would count any more."""
_MAX_SHOWN = 80

DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the message: for bad UTF-8 in a text and for endless nesting it is
Python's own."""

decode_fact = msgspec.json.Decoder(Fact).decode
_decode_watermark = msgspec.json.Decoder(Watermark).decode


class Record(Protocol):
    """A message of the facts topic."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def timestamp(self) -> int:
        """When it was sent, milliseconds since 1970, as the log keeps it; not above 0 when nobody knows."""


class Promise(NamedTuple):
    """A decoded watermark. until: seconds since 1970."""

    source: str
    until: int


def series_of(record: Record) -> tuple[Fact, SeriesKey]:
    """Decode the first fact of a series. Raises one of DECODE_ERRORS, or RejectError."""
    if not record.key:
        raise RejectError(RejectReason.KEY_MISMATCH, None, "expected the series as the key, got a message without one")
    fact = decode_fact(record.value or b"")
    if fact.series.encode(errors="replace") != record.key:
        raise key_mismatch(fact.series, record.key)
    try:
        return fact, SeriesKey.parse(fact.series)
    except SeriesKeyError as error:
        raise RejectError(RejectReason.BAD_SERIES, "series", str(error)) from None


def amount_of(fact: Fact) -> int:
    """In nano-units. Raises RejectError."""
    try:
        nano = to_nano(fact.value)
    except (ValueError, OverflowError):
        raise bad_value("value", fact.value) from None
    if not -MAX_NANO <= nano <= MAX_NANO:
        raise bad_value("value", fact.value)
    return nano


def instant_of(instants: Instants, fact: Fact) -> Instant:
    """Raises RejectError."""
    try:
        return instants[fact.charge_period_start]
    except InstantError as error:
        raise bad_time("charge_period_start", error) from None


def check_fold(fact: Fact) -> None:
    """Raises RejectError for an event without an id, and for drivers that are no amounts."""
    if fact.fold is Fold.ADD and not fact.event_id:
        raise RejectError(
            RejectReason.MISSING_EVENT_ID, "event_id", "a fact that is added needs an event_id: it counts once"
        )
    for place, driver in enumerate(fact.drivers):
        if not -MAX_ABS_VALUE <= driver.cost <= MAX_ABS_VALUE:
            raise bad_value(f"drivers[{place}].cost", driver.cost)
        if driver.retagged is not None and not -MAX_ABS_VALUE <= driver.retagged <= MAX_ABS_VALUE:
            raise bad_value(f"drivers[{place}].retagged", driver.retagged)
    if not -MAX_ABS_VALUE <= fact.retagged <= MAX_ABS_VALUE:
        raise bad_value("retagged", fact.retagged)


def check_time(source: Source, seconds: int, sent_ms: int) -> None:
    """Raises RejectError for a fact far from all that its source has said, or far ahead of when it was sent."""
    check_sent("charge_period_start", seconds, sent_ms)
    if source.seen == NEVER:
        return
    newest = max(source.seen, source.word)
    if seconds - newest > MAX_AHEAD_SECONDS:
        raise RejectError(
            RejectReason.FAR_FUTURE,
            "charge_period_start",
            f"expected at most {MAX_AHEAD_SECONDS // _DAY} days after the newest of source "
            f"{source.name[:_MAX_SHOWN]!r}, got {(seconds - newest) // _DAY} days",
        )
    if source.seen - seconds > MAX_BEHIND_SECONDS:
        raise RejectError(
            RejectReason.FAR_PAST,
            "charge_period_start",
            f"expected at most {MAX_BEHIND_SECONDS // _DAY} days before the newest of source "
            f"{source.name[:_MAX_SHOWN]!r}, got {(source.seen - seconds) // _DAY} days",
        )


def check_sent(field: str, seconds: int, sent_ms: int) -> None:
    """Raises RejectError for a time that nobody can have known of. sent_ms: a record's timestamp."""
    if sent_ms > 0 and seconds - sent_ms // 1000 > MAX_AHEAD_SECONDS:
        raise RejectError(
            RejectReason.FAR_FUTURE,
            field,
            f"expected at most {MAX_AHEAD_SECONDS // _DAY} days after it was sent, got "
            f"{(seconds - sent_ms // 1000) // _DAY} days",
        )


def promise_of(record: Record) -> Promise:
    """Decode a watermark. Raises one of DECODE_ERRORS, or RejectError."""
    watermark = _decode_watermark(record.value or b"")
    key = WATERMARK_KEY_PREFIX + watermark.source.encode(errors="replace")
    if key != record.key:
        raise RejectError(
            RejectReason.KEY_MISMATCH, "source", f"expected the key {_short(key)}, got {_short(record.key or b'')}"
        )
    if not watermark.source:
        raise RejectError(RejectReason.BAD_ORIGIN, "source", "expected the name of a source, got ''")
    try:
        until = parse_micros(watermark.complete_until) // 1_000_000
    except InstantError as error:
        raise bad_time("complete_until", error) from None
    check_sent("complete_until", until, record.timestamp)
    return Promise(watermark.source, until)


def bad_time(field: str, error: InstantError) -> RejectError:
    if not isinstance(error, InstantRangeError):
        return RejectError(RejectReason.BAD_TIME, field, str(error))
    reason = RejectReason.FAR_PAST if error.before else RejectReason.FAR_FUTURE
    return RejectError(reason, field, str(error))


def bad_value(field: str, value: float) -> RejectError:
    return RejectError(RejectReason.BAD_VALUE, field, f"expected an amount within +-{MAX_ABS_VALUE:g}, got {value!r}")


def key_mismatch(series: str, key: bytes) -> RejectError:
    return RejectError(
        RejectReason.KEY_MISMATCH,
        "series",
        f"expected the series to be the key {_short(key)}, got {series[:_MAX_SHOWN]!r}",
    )


def undecodable(error: Exception) -> RejectError:
    """msgspec ends its messages with the place: "Expected `str`, got `int` - at `$.series`"."""
    message, at, place = str(error).rpartition(" - at `$")
    field = place.rstrip("`").lstrip(".") if at else None
    return RejectError(RejectReason.UNDECODABLE, field or None, message if at else str(error))


def _short(key: bytes) -> str:
    return repr(key[:_MAX_SHOWN].decode(errors="replace"))


def rejected_for(record: Record, error: Exception) -> Rejected:
    """What becomes of a record that raised *error*: one of DECODE_ERRORS, a RejectError, or what a bad time or amount
    raises by itself."""
    if isinstance(error, DECODE_ERRORS):
        error = undecodable(error)
    elif isinstance(error, InstantError):
        error = bad_time("charge_period_start", error)
    elif not isinstance(error, RejectError):
        error = bad_value("value", decode_fact(record.value or b"").value)
    return Rejected(
        offset=record.offset,
        key=record.key,
        value=record.value,
        timestamp=record.timestamp,
        reason=error.reason,
        field=error.field,
        message=str(error),
    )
