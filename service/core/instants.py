"""From the text of a charge period's start to the bucket it falls into.

Facts repeat a few texts millions of times, so each text is parsed once and remembered, up to a bound.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
"""Outside of these a time is a mistake. Engines read no clock, so "the future" is judged by each source's own facts."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_REMEMBERED = 65_536
_MAX_TEXT = 40


class InstantError(ValueError):
    """A text that is not a time as facts carry it."""


class InstantRangeError(InstantError):
    """A time before EARLIEST or from LATEST on."""

    def __init__(self, text: str, *, before: bool) -> None:
        super().__init__(f"expected a time in the years 2000 to 2099, got {text!r}")
        self.before = before


def parse_micros(text: str) -> int:
    """Microseconds since 1970-01-01 UTC. Raises InstantError unless *text* is RFC 3339 in UTC with `Z`."""
    if len(text) > _MAX_TEXT or not text.endswith("Z") or text[10:11] != "T":
        raise InstantError(f"expected a UTC time such as 2024-09-18T00:00:00Z, got {text[:_MAX_TEXT]!r}")
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InstantError(f"expected a UTC time such as 2024-09-18T00:00:00Z, got {text!r}: {error}") from None
    if not EARLIEST <= at < LATEST:
        raise InstantRangeError(text, before=at < EARLIEST)
    return (at - _EPOCH) // _MICROSECOND


def to_datetime(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)


class Instant(NamedTuple):
    """bucket: number of the bucket, counted from 1970; seconds, micros: the instant itself, since 1970."""

    bucket: int
    seconds: int
    micros: int


class Instants(dict[str, Instant]):
    """Text -> Instant for the series of one grain; a subscript parses what it does not know yet."""

    __slots__ = ("grain_seconds",)

    def __init__(self, grain_seconds: int) -> None:
        super().__init__()
        self.grain_seconds = grain_seconds

    def __missing__(self, text: str) -> Instant:
        micros = parse_micros(text)
        seconds = micros // 1_000_000
        if len(self) >= _MAX_REMEMBERED:
            self.clear()
        instant = self[text] = Instant(seconds // self.grain_seconds, seconds, micros)
        return instant
