"""What the API asks of every kind of sender. Pure: no sender is ever asked back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from service.core.inbound import Inbound


class Sender(Protocol):
    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """headers: names in lower case. body: as it came. Raises RefusedError."""

    def parse(self, body: bytes) -> Sequence[Inbound]:
        """What a verified body says; nothing when it is of no interest. Raises MalformedError."""
