"""The mark by which a ticket of ours is found again, and told from all others."""

import hashlib
import re

_MARKER = re.compile(r"spendwatch-[0-9a-f]{16}")


def marker_of(alert_id: str) -> str:
    """Short, without blanks, the same for ever."""
    return "spendwatch-" + hashlib.sha256(alert_id.encode()).hexdigest()[:16]


def marker_in(text: str) -> str | None:
    """The first mark in *text*."""
    found = _MARKER.search(text)
    return found[0] if found else None
