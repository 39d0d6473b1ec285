"""What liveness, readiness and metrics answer, for every role alike; no web framework here."""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

ReadyCheck = Callable[[], Mapping[str, str | None]]
"""Dependency -> None when it is there, else why not. Must not block: it reads what the process already knows."""


class Dependency(Struct, frozen=True, kw_only=True, omit_defaults=True):
    ready: bool
    reason: str | None = None


class Readiness(Struct, frozen=True, kw_only=True):
    """status is `ready` only when every dependency is."""

    status: Literal["ready", "unavailable"]
    dependencies: dict[str, Dependency]

    @property
    def http_status(self) -> int:
        return 200 if self.status == "ready" else 503


def readiness(checks: Mapping[str, str | None]) -> Readiness:
    return Readiness(
        status="unavailable" if any(checks.values()) else "ready",
        dependencies={name: Dependency(ready=not reason, reason=reason) for name, reason in sorted(checks.items())},
    )
