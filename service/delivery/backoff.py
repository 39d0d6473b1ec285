"""When to try again: exponential back-off with full jitter, and what `Retry-After` asks for. Pure."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from random import Random

from msgspec import Struct

LONGEST_RETRY_AFTER = timedelta(hours=24)
"""More than this is taken as a mistake of the other side."""

_SECONDS = re.compile(r"\d{1,9}")


class Backoff(Struct, frozen=True, kw_only=True):
    """Full jitter: anything between 0 and an upper bound that doubles with each attempt.

    The bound counts, not the least: spreading over the whole range is what keeps many failed messages from coming back
    together. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    base: timedelta = timedelta(seconds=2)
    cap: timedelta = timedelta(hours=1)

    def bound(self, attempt: int) -> timedelta:
        """Longest wait after *attempt* (1 for the first) has failed.

        >>> Backoff(base=timedelta(seconds=2)).bound(4)
        datetime.timedelta(seconds=16)
        """
        # 2**60 s is past every cap; a larger exponent would overflow a timedelta.
        doubled: int = 2 ** min(max(attempt, 1) - 1, 30)
        return min(self.cap, self.base * doubled)

    def delay(self, attempt: int, random: Random, *, longest: timedelta = timedelta.max) -> timedelta:
        """longest: a bound of the bound, so that waits cut short are spread as well."""
        return random.random() * min(self.bound(attempt), longest)


def parse_retry_after(text: str | None, now: datetime) -> timedelta | None:
    """The header's wait, from 0 to LONGEST_RETRY_AFTER; None when it is absent or is neither seconds nor an HTTP date.

    Source: RFC 9110, section 10.2.3.

    >>> parse_retry_after("120", datetime(2026, 1, 1, tzinfo=UTC))
    datetime.timedelta(seconds=120)
    """
    text = (text or "").strip()
    if _SECONDS.fullmatch(text):
        return min(timedelta(seconds=int(text)), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
        # `-0000` gives a naive time, which is UTC.
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
    return min(max(wait, timedelta()), LONGEST_RETRY_AFTER)
