"""What the transport and the owner of its batches tell each other."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from service.stream.batch import TopicPartition


class Position(NamedTuple):
    """Where reading a partition begins. start: first offset the log still has. committed: None when never committed."""

    committed: int | None
    start: int

    @property
    def offset(self) -> int:
        return max(self.committed or 0, self.start)


class Progress(NamedTuple):
    """How far a partition is. end: the log's, as the last fetch said; None before the first one.

    answered_at: when the broker last answered a fetch, Unix time; None before the first answer.
    """

    tp: TopicPartition
    applied: int
    committed: int | None
    end: int | None
    in_flight: int
    answered_at: float | None = None

    @property
    def lag(self) -> int:
        return max(0, (self.end or 0) - self.applied)


class Owner(Protocol):
    """Whoever the batches are for. All but `failed` are called on the loop of the application."""

    async def checkpoint(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Make durable what the offsets stand for. They are committed when it returns, and not when it raises."""

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The broker has accepted the commit of these."""

    def draining(self) -> None:
        """Partitions are about to be taken away: give up waiting, leave unfinished what cannot end soon."""

    def assigned(self, generation: int, positions: Mapping[TopicPartition, Position]) -> None:
        """These are ours from now on, and no others."""

    def revoked(self) -> None:
        """None is ours any more, also those that will come back at once."""

    def failed(self, error: BaseException) -> None:
        """Faust cannot go on. May be called from any thread, and more than once."""
