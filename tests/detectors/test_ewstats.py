"""The statistics that replace river's, and their fit into river."""

import math
import random
import statistics
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import stats

from detectors import NotFiniteError
from detectors.ewstats import EWMeanVar, RollingMeanVar, mean_and_sd

ordinary = st.lists(st.floats(min_value=-1e9, max_value=1e9), min_size=2, max_size=60)
any_finite = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60)


@given(ordinary)
def test_mean_and_deviation_are_those_of_the_standard_library(values: list[float]) -> None:
    mean, deviation = mean_and_sd(values)
    assert mean == pytest.approx(statistics.fmean(values), rel=1e-12, abs=1e-12)
    largest = max(map(abs, values))
    assert deviation == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-12 * largest + 1e-12)


@pytest.mark.parametrize("value", [715827883.5808518, 1234567.89, 0.1, -1e9])
def test_deviation_of_a_constant_is_zero_where_its_mean_is_rounded(value: float) -> None:
    assert mean_and_sd([value] * 3)[1] == 0.0


@given(any_finite)
def test_mean_and_deviation_of_finite_values_are_finite(values: list[float]) -> None:
    mean, deviation = mean_and_sd(values)
    assert math.isfinite(mean)
    assert math.isfinite(deviation)
    assert deviation >= 0.0


def test_mean_of_the_largest_floats_does_not_overflow() -> None:
    mean, deviation = mean_and_sd([sys.float_info.max] * 3)
    assert mean == pytest.approx(sys.float_info.max)
    assert deviation < 1e-9 * sys.float_info.max


@given(any_finite, st.floats(min_value=1e-3, max_value=1.0))
def test_exponential_variance_is_never_negative(values: list[float], factor: float) -> None:
    statistic = EWMeanVar(factor)
    for value in values:
        statistic.update(value)
        assert math.isfinite(statistic.mean)
        assert math.isfinite(statistic.get())
        assert statistic.get() >= 0.0


def test_exponential_mean_is_rivers_and_variance_too_where_that_is_sound() -> None:
    rng = random.Random(1)
    sound, mean, variance = EWMeanVar(0.1), stats.EWMean(0.1), stats.EWVar(0.1)
    for _ in range(500):
        value = rng.gauss(3.0, 2.0)
        for statistic in (sound, mean, variance):
            statistic.update(value)
    assert sound.mean == pytest.approx(mean.get())
    assert sound.get() == pytest.approx(variance.get())


def test_variance_of_small_noise_on_a_large_mean_survives() -> None:
    rng = random.Random(2)
    statistic = EWMeanVar(0.01)
    for _ in range(5000):
        statistic.update(1e6 + rng.gauss(0.0, 0.01))
    assert math.sqrt(statistic.get()) == pytest.approx(0.01, rel=0.3)


def test_rolling_window_forgets_without_a_trace() -> None:
    used, fresh = RollingMeanVar(window_size=5), RollingMeanVar(window_size=5)
    for value in (1e15, -3e14, 1e-3):
        used.update(value)
    for value in (0.1, 0.2, 0.3, 0.4, 0.5):
        used.update(value)
        fresh.update(value)
    assert (used.mean, used.sd) == (fresh.mean, fresh.sd)


@pytest.mark.parametrize("statistic", [EWMeanVar(0.1), RollingMeanVar(5)], ids=["ew", "rolling"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_and_infinity_are_refused(statistic: EWMeanVar | RollingMeanVar, value: float) -> None:
    statistic.update(1.0)
    with pytest.raises(NotFiniteError):
        statistic.update(value)
    assert statistic.mean == 1.0


def test_they_link_with_rivers_statistics() -> None:
    linked = stats.Shift(1) | EWMeanVar(0.5)
    for value in (1.0, 2.0, 3.0):
        linked.update(value)
    assert linked.get() == pytest.approx(0.25)
    assert RollingMeanVar(7).name == "rollingmeanvar_7"
    assert EWMeanVar(0.5).name == "ewmv_0.5"


@pytest.mark.parametrize("factor", [0.0, -0.1, 1.1])
def test_fading_factor_out_of_range_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="fading_factor must be above 0 and at most 1, got"):
        EWMeanVar(factor)


def test_empty_window_is_refused() -> None:
    with pytest.raises(ValueError, match="window_size must be at least 1, got 0"):
        RollingMeanVar(0)
