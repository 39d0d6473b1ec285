"""What a source of bills may promise downstream about its completeness. Pure.

A fact far ahead of everything its source has said is refused downstream as a mistake (a wrong year would close all
buckets before it); a watermark that leads up to it says that it is meant. So a delivery that really is years after the
one before is announced, and a promise about the future, which only a mistake can make, is not passed on.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from connectors.facts import format_instant
from connectors.restatement import instant_of

_DAY = 86_400
_FAR_SECONDS = 300 * _DAY
"""Well below the 400 days that are refused downstream."""
_AHEAD_SECONDS = 2 * _DAY
"""Clocks and time zones differ; a day that has begun may be stated in full."""


def latest_promise(promised: Iterable[str], now: float) -> str | None:
    """The latest of some instants that is not in the future; None when there is none. now: seconds since 1970."""
    possible = [text for text in promised if instant_of(text).timestamp() <= now + _AHEAD_SECONDS]
    return max(possible, key=instant_of, default=None)


def announcement(starts: Iterable[str], before: Iterable[str], now: float) -> str | None:
    """The watermark to send before facts with these *starts*, or None when they follow closely enough.

    before: what the source said before, in no order; the latest counts. Without any the earliest start does.
    """
    times = sorted(at for at in (instant_of(text).timestamp() for text in starts) if at <= now + _AHEAD_SECONDS)
    if not times:
        return None
    newest = latest_promise(before, now)
    reached = times[0] if newest is None else instant_of(newest).timestamp()
    if times[-1] - reached <= _FAR_SECONDS:
        return None
    at = int(times[-1]) - _FAR_SECONDS
    return format_instant(datetime.fromtimestamp(at - at % _DAY, UTC))
