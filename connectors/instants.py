"""The one form of an instant in facts and watermarks, with the one set of bounds. Pure.

RFC 3339 in UTC with `Z`, in the years 2000 to 2099; `connectors.facts.format_instant` writes it. Whatever takes facts
in says no by this module, so that nothing is accepted in one place and put aside in the next.
"""

import re
from datetime import UTC, datetime

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
"""Outside of these a time is a mistake: EARLIEST is the first that is none, LATEST the first that is one again."""
YEARS = "the years 2000 to 2099"

_AFTER_YEAR = r"-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z"
PATTERN = f"^20[0-9]{{2}}{_AFTER_YEAR}$"
"""The bounds as a regular expression of JSON Schema. It lets pass what only a calendar knows, such as 30 February."""

_FORM = re.compile(f"[0-9]{{4}}{_AFTER_YEAR}")
_MAX_SHOWN = 40


class InstantError(ValueError):
    """A text that is not a time as facts carry it."""


class InstantRangeError(InstantError):
    """A time before EARLIEST or from LATEST on."""

    def __init__(self, text: str, *, before: bool) -> None:
        super().__init__(f"expected a time in {YEARS}, got {text!r}")
        self.before = before


def parse_instant(text: str) -> datetime:
    """An aware datetime in UTC; what is finer than a microsecond is cut off.

    Raises InstantError, and of that InstantRangeError for a time that is one, but out of bounds.
    """
    if _FORM.fullmatch(text) is None:
        raise InstantError(f"expected a UTC time such as 2024-09-18T00:00:00Z, got {text[:_MAX_SHOWN]!r}")
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InstantError(f"expected a UTC time such as 2024-09-18T00:00:00Z, got {text!r}: {error}") from None
    if not EARLIEST <= at < LATEST:
        raise InstantRangeError(text, before=at < EARLIEST)
    return at
