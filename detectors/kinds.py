"""What the class of a detector offers, so that it can be named in a policy and made for many series."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from detectors.detector import Detector
from detectors.parameters import Parameter, Value

Factory = Callable[[], Detector]
"""Makes one cold detector for one series; its parameters are checked, and shared by all that it makes."""

_Config = TypeVar("_Config")


class DetectorType(Protocol[_Config]):
    """What the class of a detector offers beside the Detector protocol."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def parameters(self) -> tuple[Parameter, ...]: ...

    def configure(self, *, grain_seconds: int, params: Mapping[str, Value]) -> _Config:
        """Raises ParameterError that names every mistake."""

    def __call__(self, config: _Config) -> Detector: ...


def prepared(detector: DetectorType[_Config], grain_seconds: int, params: Mapping[str, Value]) -> Factory:
    """Check *params* once. Raises ParameterError."""
    return partial(detector, detector.configure(grain_seconds=grain_seconds, params=params))
