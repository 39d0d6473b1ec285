"""What every detector keeps to, whatever it looks for.

Derive a class in a test module that has three fixtures of a wider scope than a function: `make`, which returns what
makes cold detectors, `grain_seconds`, and `most_state_bytes`, which an exported state may take.
"""

import copy
import math
import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import Detector, Factory, NotFiniteError, StateError, Status, Verdict

DAY = 86400
START = 19_723 * DAY  # 2024-01-01, a Monday
SMALL_STATE_BYTES = 6 * 1024
ENOUGH = 400
"""Every detector has warmed up after so many buckets."""

finite_floats = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, -0.0, 1e308, -1e308, 1e-308, 5e-324, sys.float_info.max, -sys.float_info.max, 1e-9, 1.0]
)
any_times = st.integers(min_value=-(2**62), max_value=2**62)


def taught(make: Factory, grain_seconds: int, *, count: int = ENOUGH, seed: int = 1) -> Detector:
    """A detector that has learned *count* buckets around 100 with 5 % noise, in order."""
    detector = make()
    rng = random.Random(seed)
    for number in range(count):
        detector.learn_one(rng.gauss(100.0, 5.0), START + number * grain_seconds)
    return detector


def assert_sound(verdict: Verdict) -> None:
    """Finite, ordered, and status, score and band saying the same."""
    assert 0.0 <= verdict.score <= 1.0
    if verdict.status is Status.WARMING_UP:
        assert verdict.band is None
        assert verdict.score == 0.0
        return
    band = verdict.band
    assert band is not None
    assert all(map(math.isfinite, (band.lower, band.expected, band.upper)))
    assert band.lower <= band.expected <= band.upper
    expected = (
        Status.HIGH if verdict.actual > band.upper else Status.LOW if verdict.actual < band.lower else Status.NORMAL
    )
    assert verdict.status is expected
    assert verdict.score <= 0.5 if expected is Status.NORMAL else verdict.score >= 0.5


class DetectorContract:
    """The suite itself; pytest runs it through classes derived from it."""

    def test_cold_detector_says_warming_up(self, make: Factory, grain_seconds: int) -> None:
        detector = make()
        verdict = detector.score_one(1e6, START)
        assert verdict == Verdict(status=Status.WARMING_UP, score=0.0, actual=1e6, band=None)
        assert detector.band_at(START) is None

    def test_it_warms_up(self, make: Factory, grain_seconds: int) -> None:
        detector = taught(make, grain_seconds)
        at = START + ENOUGH * grain_seconds
        assert detector.score_one(100.0, at).status is Status.NORMAL
        assert detector.score_one(1000.0, at).status is Status.HIGH
        assert detector.score_one(-1000.0, at).status is Status.LOW

    def test_scoring_and_asking_for_a_band_change_nothing(self, make: Factory, grain_seconds: int) -> None:
        for count in (0, 3, ENOUGH):
            detector = taught(make, grain_seconds, count=count)
            before = detector.export()
            for step in range(-5, 50):
                at = START + (count + step) * grain_seconds
                detector.score_one(10.0**step, at)
                detector.band_at(at)
            assert detector.export() == before

    def test_score_and_band_agree(self, make: Factory, grain_seconds: int) -> None:
        detector = taught(make, grain_seconds)
        at = START + ENOUGH * grain_seconds
        assert detector.score_one(100.0, at).band == detector.band_at(at)

    def test_score_rises_with_the_distance_and_is_a_half_on_the_bounds(self, make: Factory, grain_seconds: int) -> None:
        detector = taught(make, grain_seconds)
        at = START + ENOUGH * grain_seconds
        band = detector.band_at(at)
        assert band is not None
        assert detector.score_one(band.expected, at).score == pytest.approx(0.0, abs=1e-9)
        for bound in (band.lower, band.upper):
            assert detector.score_one(bound, at).score == pytest.approx(0.5, abs=1e-6)
            way = [band.expected + part / 10 * (bound - band.expected) for part in range(60)]
            scores = [detector.score_one(value, at).score for value in way]
            assert scores == sorted(scores)
        assert detector.score_one(1e300, at).score > 0.99

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("count", [0, ENOUGH])
    def test_nan_and_infinity_are_refused(self, make: Factory, grain_seconds: int, count: int, value: float) -> None:
        detector = taught(make, grain_seconds, count=count)
        before = detector.export()
        at = START + count * grain_seconds
        with pytest.raises(NotFiniteError, match="must be finite, got"):
            detector.score_one(value, at)
        with pytest.raises(NotFiniteError, match="must be finite, got"):
            detector.learn_one(value, at)
        with pytest.raises(NotFiniteError, match="must be finite, got"):
            detector.accept_level([(100.0, at), (value, at + grain_seconds)])
        assert detector.export() == before

    @pytest.mark.parametrize("level", [0.0, 1.0, 1234567.89, -40.0, 1e-9, 1e308])
    def test_flat_series_stays_quiet(self, make: Factory, grain_seconds: int, level: float) -> None:
        detector = make()
        for number in range(ENOUGH):
            at = START + number * grain_seconds
            assert detector.score_one(level, at).status in (Status.WARMING_UP, Status.NORMAL)
            detector.learn_one(level, at)
        at = START + ENOUGH * grain_seconds
        verdict = detector.score_one(level * (1.0 + 1e-9), at)
        assert verdict.status is Status.NORMAL
        assert verdict.score < 0.1

    @pytest.mark.parametrize("level", [0.0, 1.0, 1234567.89])
    def test_step_out_of_a_flat_series_is_high(self, make: Factory, grain_seconds: int, level: float) -> None:
        detector = make()
        for number in range(ENOUGH):
            detector.learn_one(level, START + number * grain_seconds)
        assert detector.score_one(2.0 * level + 1.0, START + ENOUGH * grain_seconds).status is Status.HIGH

    @pytest.mark.parametrize("count", [0, 1, 13, 100, ENOUGH])
    def test_restored_state_continues_identically(self, make: Factory, grain_seconds: int, count: int) -> None:
        detector = taught(make, grain_seconds, count=count)
        twin = make()
        twin.restore(detector.export())
        rng = random.Random(2)
        for number in range(count, count + 200):
            at = START + number * grain_seconds
            value = rng.gauss(100.0, 20.0) * rng.choice([1.0, 1.0, 1.0, 0.0, 5.0])
            assert twin.score_one(value, at) == detector.score_one(value, at)
            if number % 40 == 0:
                accepted = [(value + part, at + part * grain_seconds) for part in range(5)]
                twin.accept_level(accepted)
                detector.accept_level(accepted)
            twin.learn_one(value, at)
            detector.learn_one(value, at)
        assert twin.export() == detector.export()

    def test_restoring_forgets_what_was_there(self, make: Factory, grain_seconds: int) -> None:
        fresh, used = make(), taught(make, grain_seconds, seed=5)
        state = taught(make, grain_seconds, count=20).export()
        fresh.restore(state)
        used.restore(state)
        assert fresh.export() == used.export() == state
        used.restore(make().export())
        assert used.band_at(START) is None

    def test_state_stays_bounded(self, make: Factory, grain_seconds: int, most_state_bytes: int) -> None:
        detector = make()
        sizes = []
        for number in range(2000):
            detector.learn_one(float(number % 17), START + number * grain_seconds)
            sizes.append(8 * len(detector.export()))
        assert max(sizes) <= most_state_bytes
        if most_state_bytes <= SMALL_STATE_BYTES:  # a larger one is a memory, and may fill up slowly
            assert sizes[-1] == sizes[-500]

    @pytest.mark.parametrize("count", [0, 20, ENOUGH])
    def test_bad_states_are_refused_and_change_nothing(self, make: Factory, grain_seconds: int, count: int) -> None:
        detector = taught(make, grain_seconds, count=50)
        before = detector.export()
        good = taught(make, grain_seconds, count=count).export()
        bad: list[tuple[float, ...]] = [
            (),
            good[:1],
            (good[0] + 1.0, *good[1:]),
            (good[0], good[1] + 1.0, *good[2:]),
            (*good[:-1], math.nan),
            (*good[:-1], math.inf),
            good + good * 300,
        ]
        for state in bad:
            with pytest.raises(StateError):
                detector.restore(state)
            assert detector.export() == before

    def test_detectors_share_nothing_that_changes(self, make: Factory, grain_seconds: int) -> None:
        taught_one, cold_one = taught(make, grain_seconds), make()
        assert cold_one.export() != taught_one.export()
        assert cold_one.band_at(START) is None

    def test_accepted_level_becomes_the_normal(self, make: Factory, grain_seconds: int) -> None:
        detector = taught(make, grain_seconds)
        at = START + ENOUGH * grain_seconds
        recent = [(300.0 + part, at + part * grain_seconds) for part in range(7)]
        assert detector.score_one(300.0, at).status is Status.HIGH
        detector.accept_level(recent)
        after = at + 7 * grain_seconds
        verdict = detector.score_one(300.0, after)
        assert verdict.status is Status.NORMAL
        assert verdict.band is not None
        assert verdict.band.expected == pytest.approx(300.0, rel=0.25)
        assert detector.score_one(100.0, after).status is Status.LOW

    def test_accepting_nothing_changes_nothing(self, make: Factory, grain_seconds: int) -> None:
        for count in (0, ENOUGH):
            detector = taught(make, grain_seconds, count=count)
            before = detector.export()
            detector.accept_level([])
            assert detector.export() == before

    @pytest.mark.parametrize("step", [0, -1, 1000, 10**12], ids=["repeated", "backwards", "gap", "far"])
    def test_odd_times_are_no_error(self, make: Factory, grain_seconds: int, step: int) -> None:
        detector = taught(make, grain_seconds)
        at = START + (ENOUGH - 1 + step) * grain_seconds
        for _ in range(5):
            assert_sound(detector.score_one(100.0, at))
            detector.learn_one(100.0, at)
        for number in range(ENOUGH, ENOUGH + 100):
            detector.learn_one(100.0, START + number * grain_seconds)
        assert detector.score_one(100.0, START + (ENOUGH + 100) * grain_seconds).status is Status.NORMAL

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_any_finite_values_at_any_times_are_judged_soundly(
        self, make: Factory, grain_seconds: int, data: st.DataObject
    ) -> None:
        detector = make()
        before = data.draw(st.sampled_from([0, 13, ENOUGH]))
        values = data.draw(st.lists(finite_floats, min_size=1, max_size=40))
        level = data.draw(finite_floats)
        for number in range(before):
            detector.learn_one(level, START + number * grain_seconds)
        for number, value in enumerate(values):
            odd = data.draw(st.booleans())
            at = data.draw(any_times) if odd else START + (before + number) * grain_seconds
            assert_sound(detector.score_one(value, at))
            detector.learn_one(value, at)
        detector.accept_level([(value, START + (before + 50) * grain_seconds) for value in values[:10]])
        assert_sound(detector.score_one(values[0], START + (before + 60) * grain_seconds))
        assert all(map(math.isfinite, detector.export()))
        twin = make()
        twin.restore(detector.export())
        assert twin.export() == detector.export()

    def test_it_can_be_copied(self, make: Factory, grain_seconds: int) -> None:
        detector = taught(make, grain_seconds)
        twin = copy.deepcopy(detector)
        twin.learn_one(1e6, START + ENOUGH * grain_seconds)
        assert twin.export() != detector.export()
