"""From the text of a charge period's start to the bucket it falls into.

Facts repeat a few texts millions of times, so each text is parsed once and remembered, up to a bound.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from connectors.instants import InstantError, InstantRangeError, parse_instant

__all__ = ["Instant", "InstantError", "InstantRangeError", "Instants", "parse_micros", "to_datetime"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_REMEMBERED = 65_536


def parse_micros(text: str) -> int:
    """Microseconds since 1970-01-01 UTC. Raises InstantError (see connectors/instants.py)."""
    return (parse_instant(text) - _EPOCH) // _MICROSECOND


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
