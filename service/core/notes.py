"""What is worth a line and no alert."""

from datetime import datetime

from msgspec import Struct

from connectors.series import SeriesKey
from service.core.wording import amount, who


class Note(Struct, frozen=True, kw_only=True):
    """Cost that came to a series from other values of its tag, or left for them, with the same resources.

    at: start of the bucket. moved: in the unit of the series, negative where it left. counterparts: the other values.
    """

    series: str
    at: datetime
    moved: float
    counterparts: tuple[str, ...]


def said(note: Note) -> str:
    """Such as "re-tagged: 33.30 USD went from team=search to ads on 2024-09-18 00:00Z, no alert"."""
    unit = SeriesKey.parse(note.series).unit
    others = ", ".join(note.counterparts) or "another value"
    went = (
        f"came to {who(note.series)} from {others}" if note.moved > 0 else f"went from {who(note.series)} to {others}"
    )
    return f"re-tagged: {amount(abs(note.moved), unit)} {went} on {note.at:%Y-%m-%d %H:%M}Z, no alert"
