"""Detectors as objects for the series that were judged last, as plain numbers for all the others.

A detector object takes several times the memory of its exported numbers, and a million series need no million
objects: each judges once per bucket. Restoring what was exported continues identically, so nobody sees a difference.
"""

from array import array

from detectors.detector import Detector, StateError
from service.core.state import SeriesState

KEPT_OBJECTS = 4096
DOUBLE_BYTES = 8


class LiveDetectors:
    """Hands out the detector of a series as of its ring's end; first in, first out beyond *limit*."""

    __slots__ = ("_kept", "_limit")

    def __init__(self, limit: int = KEPT_OBJECTS) -> None:
        self._limit = max(limit, 1)  # the one handed out last is still being taught
        self._kept: dict[SeriesState, None] = {}

    def of(self, state: SeriesState) -> Detector:
        """Raises StateError when the numbers that a snapshot brought are not this detector's."""
        detector = state.rare.detector
        if detector is None:
            detector = restored(state, state.head)
            self.put(state, detector)
        return detector

    def put(self, state: SeriesState, detector: Detector) -> None:
        state.own_rare().detector = detector
        state.head = None
        kept = self._kept
        if state not in kept:
            kept[state] = None
            if len(kept) > self._limit:
                oldest = next(iter(kept))
                del kept[oldest]
                oldest.head = head_of(oldest)
                oldest.rare.detector = None
                oldest.give_back()


def restored(state: SeriesState, numbers: bytes | None) -> Detector:
    """A detector of the series' policy: cold, or as exported. Raises StateError."""
    detector = state.judge.make()
    if numbers is not None:
        if len(numbers) % DOUBLE_BYTES:
            raise StateError(f"expected numbers of {DOUBLE_BYTES} bytes, got {len(numbers)} bytes")
        detector.restore(array("d", numbers))
    return detector


def numbers_of(detector: Detector) -> bytes:
    """In the byte order of this machine; snapshots see to it that it is read right elsewhere."""
    return array("d", detector.export()).tobytes()


def head_of(state: SeriesState) -> bytes | None:
    """The numbers of the detector as of the ring's end; None for a cold one that never learned."""
    if state.rare.detector is None:
        return state.head
    return None if state.ring is None else numbers_of(state.rare.detector)
