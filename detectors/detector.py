"""The protocol of all detectors: numbers in, verdicts out; no I/O, no clock, no randomness without a seed."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from detectors.verdict import Band, Verdict


class NotFiniteError(ValueError):
    """A value that is NaN or infinite; one of them would poison a running statistic for ever."""


class StateError(ValueError):
    """A state that this detector did not export: wrong length, version or a number that is not finite."""


class Detector(Protocol):
    """Judges the buckets of one series, in order of time.

    `at` is the start of the bucket in whole seconds since 1970-01-01 UTC. Whoever drives a detector judges first
    and learns second, and decides what is learned: a detector never learns by judging. Abnormal buckets are held back
    from it, unless its class says `learns_abnormal = True`: one that remembers what it has reported has to see it.
    """

    name: ClassVar[str]
    state_version: ClassVar[int]

    def band_at(self, at: int) -> Band | None:
        """What is expected of the bucket that starts at *at*; None while warming up. Changes nothing."""

    def score_one(self, value: float, at: int) -> Verdict:
        """Say how unusual *value* is. Changes nothing. Raises NotFiniteError."""

    def learn_one(self, value: float, at: int) -> None:
        """Learn one finished bucket. Raises NotFiniteError."""

    def accept_level(self, recent: Sequence[tuple[float, int]]) -> None:
        """Take the level of *recent* (value, at) pairs, oldest first, as the new normal.

        Called with the buckets that were held back as abnormal, once there are enough of them or a person says so.
        """

    def export(self) -> tuple[float, ...]:
        """The whole state as plain numbers, of bounded length; restoring it continues identically."""

    def restore(self, state: Sequence[float]) -> None:
        """Take over an exported state. Raises StateError and leaves the detector as it was."""


@runtime_checkable
class Attentive(Detector, Protocol):
    """A detector that is also told of what is held back from it."""

    def hold_one(self, value: float, at: int) -> None:
        """This bucket was judged abnormal, and will not be learned unless its level is accepted.

        What may follow is that less is sure than before, never that the level moves. Raises NotFiniteError.
        """
