"""Detectors as objects for the series that were judged last, as plain numbers for all the others.

A detector object takes several times the memory of its exported numbers, and a million series need no million
objects: each judges once per bucket. Restoring what was exported continues identically, so nobody sees a difference.
"""

from array import array

from detectors.detector import Detector
from service.core.state import SeriesState

KEPT_OBJECTS = 4096


class LiveDetectors:
    """Hands out the detector of a series as of its ring's end; first in, first out beyond *limit*."""

    __slots__ = ("_kept", "_limit")

    def __init__(self, limit: int = KEPT_OBJECTS) -> None:
        self._limit = limit
        self._kept: dict[SeriesState, None] = {}

    def of(self, state: SeriesState) -> Detector:
        """Raises StateError when the numbers that a snapshot brought are not this detector's."""
        detector = state.detector
        if detector is None:
            detector = restored(state, state.head)
            self.put(state, detector)
        return detector

    def put(self, state: SeriesState, detector: Detector) -> None:
        state.detector = detector
        state.head = None
        kept = self._kept
        if state not in kept:
            kept[state] = None
            if len(kept) > self._limit:
                oldest = next(iter(kept))
                del kept[oldest]
                oldest.head = head_of(oldest)
                oldest.detector = None

    def drop(self, state: SeriesState) -> None:
        state.detector = None
        self._kept.pop(state, None)


def restored(state: SeriesState, numbers: "array[float] | None") -> Detector:
    """A detector of the series' policy: cold, or as exported. Raises StateError."""
    detector = state.judge.make()
    if numbers is not None:
        detector.restore(numbers)
    return detector


def head_of(state: SeriesState) -> "array[float] | None":
    """The numbers of the detector as of the ring's end; None for a cold one that never learned."""
    if state.detector is None:
        return state.head
    if state.ring is None:
        return None
    return array("d", state.detector.export())
