"""Exported states: a version and a fingerprint in front, and every number checked before it is believed.

A state comes back from a topic that others may have written to: nothing of it is taken over until all of it is right.
"""

import math
import zlib
from collections.abc import Sequence

from detectors.detector import StateError

HEADER = 2
"""Version and fingerprint stand before everything else."""


def fingerprint(*parts: object) -> float:
    """A number for the configuration that shapes a state; a whole number below 2**32, so exact as a float."""
    return float(zlib.crc32("/".join(map(repr, parts)).encode()))


def check_header(name: str, state: Sequence[float], *, version: int, config: float) -> None:
    """Raises StateError unless *state* holds finite numbers only and begins with this version and fingerprint."""
    plain = set(map(type, state)) <= {float, int} and all(map(math.isfinite, state))  # at the speed of C
    if not plain and not all(map(_is_finite_number, state)):
        index = next(index for index, number in enumerate(state) if not _is_finite_number(number))
        raise StateError(f"{name}: state[{index}] must be a finite number, got {state[index]!r}")
    if len(state) < HEADER:
        raise StateError(f"{name}: a state has at least {HEADER} numbers, got {len(state)}")
    if state[0] != version:
        raise StateError(f"{name}: expected state version {version}, got {state[0]:g}")
    if state[1] != config:
        raise StateError(f"{name}: the state was made under other parameters or another grain")


def _is_finite_number(number: object) -> bool:
    return isinstance(number, (int, float)) and math.isfinite(number)


def check_length(name: str, state: Sequence[float], expected: int) -> None:
    if len(state) != expected:
        raise StateError(f"{name}: expected a state of {expected} numbers, got {len(state)}")


def check_range(name: str, what: str, number: float, low: float, high: float) -> float:
    """*number*, if it lies between *low* and *high*, both included. Raises StateError."""
    if not low <= number <= high:
        raise StateError(f"{name}: {what} must lie between {low:g} and {high:g}, got {number!r}")
    return float(number)
