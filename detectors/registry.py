"""From the name of a detector in a policy to checked detectors.

A new detector is one file with one class of this shape, and its name in the tuple below.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from detectors.creep import Creep
from detectors.detector import Detector
from detectors.ensemble import Ensemble
from detectors.joint import Joint
from detectors.kinds import DetectorType, Factory, prepared
from detectors.parameters import Parameter, ParameterError, UnknownDetectorError, Value
from detectors.rolling import Rolling
from detectors.seasonal import Seasonal
from detectors.shift import Shift
from detectors.usage import Usage

__all__ = ["Description", "Factory", "create", "describe", "factory", "names"]

_Config = TypeVar("_Config")


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What `check-config --detectors` prints of one detector."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    description: Description
    prepare: Callable[[int, Mapping[str, Value]], Factory]


def _entry(detector: DetectorType[_Config]) -> _Entry:
    return _Entry(
        description=Description(name=detector.name, summary=detector.summary, parameters=detector.parameters),
        prepare=partial(prepared, detector),
    )


_ENTRIES = {
    entry.description.name: entry
    for entry in (
        _entry(Seasonal),
        _entry(Rolling),
        _entry(Usage),
        _entry(Shift),
        _entry(Creep),
        _entry(Joint),
        _entry(Ensemble),
    )
}


def names() -> tuple[str, ...]:
    """All detectors, the default first."""
    return tuple(_ENTRIES)


def describe(name: str) -> Description:
    """Parameters of a detector with their defaults and meaning. Raises UnknownDetectorError."""
    return _find(name).description


def factory(name: str, *, grain_seconds: int, params: Mapping[str, Value]) -> Factory:
    """Check *params* once; what comes back makes detectors as fast as an object is made, all sharing them.

    grain_seconds: width of the buckets of the series. params: what differs from the defaults.
    Raises UnknownDetectorError, or ParameterError that names every mistake at once.

    >>> make = factory("rolling", grain_seconds=86400, params={"window": 14, "sigma": 2})
    >>> make().name
    'rolling'
    """
    entry = _find(name)
    if type(grain_seconds) is not int or grain_seconds < 1:
        raise ParameterError(name, [f"grain_seconds must be a whole number of at least 1, got {grain_seconds!r}"])
    return entry.prepare(grain_seconds, params)


def create(name: str, *, grain_seconds: int, params: Mapping[str, Value]) -> Detector:
    """One cold detector; for more than one with the same parameters take a `factory`. Raises as that does."""
    return factory(name, grain_seconds=grain_seconds, params=params)()


def _find(name: str) -> _Entry:
    try:
        return _ENTRIES[name]
    except KeyError:
        raise UnknownDetectorError(name, names()) from None
