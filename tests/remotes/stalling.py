"""Remotes that do what they are asked for and then say nothing, at a chosen request of each alert's conversations."""

import re
from collections import Counter

from tests.remotes.remote import Fault, Remote, Reply, Request

_MARKER = re.compile(rb"spendwatch-[0-9a-f]{16}")


class Stalls:
    """at: marker -> number of the request, from 0, that is done and never answered. stalled: those that were."""

    def __init__(self, remote: Remote, at: dict[str, int]) -> None:
        self._remote = remote
        self._at = at
        self._asked: Counter[str] = Counter()
        self.stalled: set[str] = set()
        self.is_on = True

    def __call__(self, request: Request) -> Fault | Reply | None:
        """For `Remote.decide`."""
        marker = self._marker(request)
        number = self._asked[marker]
        self._asked[marker] += 1
        if not self.is_on or self._at.get(marker) != number:
            return None
        self.stalled.add(marker)
        return Fault.STALL

    def _marker(self, request: Request) -> str:
        """Whose conversation it is: named in the request, or by the ticket it is about."""
        text = request.body + " ".join(request.query.values()).encode()
        found = _MARKER.search(text)
        if found is not None:
            return found[0].decode()
        tickets = getattr(self._remote, "tickets", {})
        for part in request.path.removesuffix(".json").split("/"):
            if part in tickets:
                marker: str = self._remote.marker(tickets[part])  # type: ignore[attr-defined]  # all with tickets have it
                return marker
        return ""
