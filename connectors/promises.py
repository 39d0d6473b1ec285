"""What a source of bills may promise downstream about its completeness. Pure.

A fact far ahead of everything its source has said is refused downstream as a mistake (a wrong year would close all
buckets before it); a watermark that leads up to it says that it is meant. So a delivery that really is years after the
one before is announced, and a promise about the future, which only a mistake can make, is not passed on.

A source that has sent a watermark is waited for: what it says about the past is judged once it is whole, at the
watermark after it. Of one that has not, every fact is judged as it comes, and a second bill of the same teams would
look like 50 days of new levels. So the first facts of a source that will promise something follow a watermark that
promises nothing: the earliest instant among them.
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


def announcement(
    starts: Iterable[str], before: Iterable[str], now: float, *, promised: str | None = None
) -> str | None:
    """The watermark to send before facts with these *starts*, or None when they follow closely enough.

    before: what the source said before, in no order; the latest counts. Without any the facts are its first.
    promised: the watermark that will follow the facts. Who never sends one is not waited for, and must not be
    taken for somebody who does.
    """
    times = sorted(at for at in (instant_of(text).timestamp() for text in starts) if at <= now + _AHEAD_SECONDS)
    if not times:
        return None
    newest = latest_promise(before, now)
    reached = times[0] if newest is None else instant_of(newest).timestamp()
    if times[-1] - reached <= _FAR_SECONDS:
        will_promise = promised is not None and latest_promise([promised], now) is not None
        return format_instant(datetime.fromtimestamp(reached, UTC)) if newest is None and will_promise else None
    at = int(times[-1]) - _FAR_SECONDS
    return format_instant(datetime.fromtimestamp(at - at % _DAY, UTC))
