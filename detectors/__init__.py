"""Detectors: numbers in, verdicts out."""

from detectors.detector import Detector, NotFiniteError, StateError
from detectors.parameters import Parameter, ParameterError, UnknownDetectorError
from detectors.registry import Description, Factory, create, describe, factory, names
from detectors.verdict import Band, Status, Verdict

__all__ = [
    "Band",
    "Description",
    "Detector",
    "Factory",
    "NotFiniteError",
    "Parameter",
    "ParameterError",
    "StateError",
    "Status",
    "UnknownDetectorError",
    "Verdict",
    "create",
    "describe",
    "factory",
    "names",
]
