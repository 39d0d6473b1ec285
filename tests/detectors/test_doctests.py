"""The numbers in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import detectors

MODULES = [f"detectors.{module.name}" for module in pkgutil.iter_modules(detectors.__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_examples_hold(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.parametrize("name", detectors.names())
def test_every_detector_has_an_example(name: str) -> None:
    cls = type(detectors.create(name, grain_seconds=86400, params={}))
    assert ">>>" in (cls.__doc__ or "")
