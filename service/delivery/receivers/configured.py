"""What the deliverer asks of every receiver and the configuration answers."""

from datetime import timedelta
from typing import ClassVar

from service.receiver_settings import Outgoing


class Configured:
    """Part of the Receiver protocol. newest_only: overridden where every message is an event of its own."""

    newest_only: ClassVar[bool] = True

    def __init__(self, config: Outgoing, *, settle: timedelta = timedelta()) -> None:
        self._limits = config
        self._settle = settle

    @property
    def where(self) -> str:
        """Names it in messages."""
        return f"receiver {self.name!r}"

    @property
    def name(self) -> str:
        return self._limits.name

    @property
    def concurrency(self) -> int:
        return self._limits.concurrency

    @property
    def timeout(self) -> timedelta:
        return timedelta(seconds=self._limits.timeout_seconds)

    @property
    def deadline(self) -> timedelta:
        return timedelta(seconds=self._limits.deadline_seconds)

    @property
    def rate(self) -> float:
        return self._limits.rate

    @property
    def burst(self) -> int:
        return self._limits.burst

    @property
    def settle(self) -> timedelta:
        return self._settle
