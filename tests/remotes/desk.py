"""What Jira, ServiceNow, Zendesk and Freshdesk have in common.

None of them but Zendesk knows a repetition, and what a search finds lags behind by `lag_seconds`.
"""

import re
import time
from abc import ABC, abstractmethod
from typing import Any

from tests.remotes.remote import RefusedError, Remote

MARKER = re.compile(r"spendwatch-[0-9a-f]{16}")


class Desk(Remote, ABC):
    """What help desks have in common. tickets: id -> fields."""

    def __init__(self, lag_seconds: float = 0.0) -> None:
        super().__init__()
        self.lag_seconds = lag_seconds
        self.tickets: dict[str, dict[str, Any]] = {}
        self.created: dict[str, float] = {}

    def add(self, ticket: str, fields: dict[str, Any]) -> None:
        self.tickets[ticket] = fields
        self.created[ticket] = time.monotonic()

    def searchable(self) -> dict[str, dict[str, Any]]:
        """What the index has by now."""
        known = time.monotonic() - self.lag_seconds
        return {ticket: fields for ticket, fields in self.tickets.items() if self.created[ticket] <= known}

    def existing(self, ticket: str) -> dict[str, Any]:
        if ticket not in self.tickets:
            raise RefusedError(404, {"error": "no such ticket"})
        return self.tickets[ticket]

    @abstractmethod
    def marker(self, fields: dict[str, Any]) -> str:
        """Ours, that a ticket carries; empty where it carries none."""

    @abstractmethod
    def state(self, fields: dict[str, Any]) -> str:
        """Of a ticket: `open`, `acknowledged` or `resolved`."""

    def states(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for fields in self.tickets.values():
            found.setdefault(self.marker(fields), []).append(self.state(fields))
        return found

    def newest(self, alert: str) -> str:
        """The ticket of a marker."""
        return next(ticket for ticket, fields in reversed(self.tickets.items()) if self.marker(fields) == alert)
