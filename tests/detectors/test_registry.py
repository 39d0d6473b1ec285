"""Names and parameters: what is taken, and how mistakes are told."""

import pytest

from detectors import ParameterError, UnknownDetectorError, create, describe, factory, names
from detectors.parameters import Value


def test_the_default_comes_first() -> None:
    assert names() == ("seasonal", "rolling", "usage", "shift", "creep", "joint", "ensemble")


@pytest.mark.parametrize("name", names())
def test_every_detector_is_described_and_made_by_its_name(name: str) -> None:
    description = describe(name)
    assert description.name == name == create(name, grain_seconds=86400, params={}).name
    assert description.summary
    for parameter in description.parameters:
        assert parameter.meaning
        assert parameter.mistake_in(parameter.default) is None


@pytest.mark.parametrize("name", names())
def test_defaults_of_the_description_are_those_in_use(name: str) -> None:
    given = {parameter.name: parameter.default for parameter in describe(name).parameters}
    assert factory(name, grain_seconds=86400, params=given).args == factory(name, grain_seconds=86400, params={}).args  # type: ignore[attr-defined]  # a partial


def test_unknown_detector_names_the_known_ones() -> None:
    with pytest.raises(
        UnknownDetectorError, match=r"detector must be one of seasonal, rolling, usage, .*, got 'sesonal'"
    ) as caught:
        create("sesonal", grain_seconds=86400, params={})
    assert caught.value.name == "sesonal"
    assert caught.value.known == names()


def test_every_mistake_is_told_at_once() -> None:
    params: dict[str, Value] = {"sigma": -1, "windw": 3, "min_learned": 2.5, "season": "monthly"}
    with pytest.raises(ParameterError) as caught:
        factory("seasonal", grain_seconds=86400, params=params)
    assert caught.value.detector == "seasonal"
    assert caught.value.mistakes == (
        "sigma must be a number from 0.5 to 50, got -1",
        "no parameter 'windw', only sigma, evidence, min_learned, season, relative_floor, absolute_floor",
        "min_learned must be a whole number from 4 to 10000, got 2.5",
        "season must be one of auto, none, got 'monthly'",
    )
    assert str(caught.value).startswith(
        "detector 'seasonal': sigma must be a number from 0.5 to 50, got -1; no parameter"
    )


@pytest.mark.parametrize(
    "value", [True, "3", float("nan"), float("inf"), 51.0, 0.0], ids=["bool", "text", "nan", "inf", "above", "below"]
)
def test_sigma_of_a_wrong_kind_is_refused(value: Value) -> None:
    with pytest.raises(ParameterError, match=r"sigma must be a number from 0\.5 to 50, got"):
        create("rolling", grain_seconds=86400, params={"sigma": value})


def test_whole_number_is_taken_for_a_number() -> None:
    at = 30 * 86400
    whole, number = (create("rolling", grain_seconds=86400, params={"sigma": sigma}) for sigma in (4, 4.0))
    for day in range(30):
        whole.learn_one(day, day * 86400)
        number.learn_one(float(day), day * 86400)
    assert whole.band_at(at) == number.band_at(at)
    assert whole.export() == number.export()


def test_min_learned_beyond_the_window_is_refused() -> None:
    with pytest.raises(ParameterError, match="min_learned must be at most the window of 5, got 6"):
        create("rolling", grain_seconds=86400, params={"window": 5, "min_learned": 6})


@pytest.mark.parametrize("grain_seconds", [0, -60, True])
def test_grain_of_no_width_is_refused(grain_seconds: int) -> None:
    with pytest.raises(ParameterError, match="grain_seconds must be a whole number of at least 1, got"):
        create("rolling", grain_seconds=grain_seconds, params={})


@pytest.mark.parametrize("grain_seconds", [1, 60, 300, 900, 3600, 21600, 86400, 604800])
def test_any_width_of_bucket_has_a_seasonal_detector(grain_seconds: int) -> None:
    detector = create("seasonal", grain_seconds=grain_seconds, params={})
    for number in range(400):
        detector.learn_one(100.0, number * grain_seconds)
    assert detector.band_at(400 * grain_seconds) is not None
