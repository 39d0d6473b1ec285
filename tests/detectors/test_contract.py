"""Every detector of the registry, at every grain, keeps to the contract."""

import pytest

from detectors import Factory, factory, names
from tests.contracts.detector import SMALL_STATE_BYTES, DetectorContract

GRAINS = {"1m": 60, "5m": 300, "1h": 3600, "1d": 86400}
MOST_STATE_BYTES = {"usage": 40 * 1024}
"""Usage remembers what it has seen; a series of spend has to stay small."""


@pytest.fixture(scope="class", params=[(name, grain) for name in names() for grain in GRAINS], ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    name, grain = request.param
    return str(name), str(grain)


@pytest.fixture(scope="class")
def grain_seconds(case: tuple[str, str]) -> int:
    return GRAINS[case[1]]


@pytest.fixture(scope="class")
def make(case: tuple[str, str], grain_seconds: int) -> Factory:
    return factory(case[0], grain_seconds=grain_seconds, params={})


@pytest.fixture(scope="class")
def most_state_bytes(case: tuple[str, str]) -> int:
    return MOST_STATE_BYTES.get(case[0], SMALL_STATE_BYTES)


class TestEveryDetector(DetectorContract):
    pass
