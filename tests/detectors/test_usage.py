"""The usage detector: what is new, each incident once, from earlier rows only."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import Factory, StateError, Status, factory
from detectors.prototypes import Prototypes, View
from detectors.recent import HOURS
from detectors.usage import Usage
from detectors.usage_model import PROTOTYPES, STRANGE, VIEWS
from tests.contracts.detector import any_times, assert_sound, finite_floats

GRAIN = 300
START = 19_723 * 86_400
MOST_STATE_BYTES = 40 * 1024


@pytest.fixture(scope="module")
def make() -> Factory:
    return factory("usage", grain_seconds=GRAIN, params={})


def make_usage() -> Usage:
    return Usage(Usage.configure(grain_seconds=GRAIN, params={}))


def noise(count: int, *, level: float = 40.0, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(level, 2.0) for _ in range(count)]


def scores_of(values: Sequence[float], detector: Usage) -> list[float]:
    scores = []
    for number, value in enumerate(values):
        at = START + number * GRAIN
        scores.append(detector.anomaly_score(value, at))
        detector.learn_one(value, at)
    return scores


def statuses_of(values: Sequence[float], detector: Usage) -> list[Status]:
    statuses = []
    for number, value in enumerate(values):
        at = START + number * GRAIN
        statuses.append(detector.score_one(value, at).status)
        detector.learn_one(value, at)
    return statuses


def test_noise_alone_raises_few_anomalies() -> None:
    """Its extremes are new once each: measured, 36 of 100,000 rows."""
    shown = [score for seed in range(4) for score in scores_of(noise(5000, seed=seed), make_usage()) if score >= 0.5]
    assert len(shown) <= 15


def test_a_spike_is_shown_once() -> None:
    values = noise(1000)
    values[700:705] = [80.0] * 5
    scores = scores_of(values, make_usage())
    assert [row for row, score in enumerate(scores) if score >= 0.5] == [700]


def test_what_comes_every_day_is_known_after_a_few_times() -> None:
    values = noise(1000 + 288 * 20)
    spikes = range(1000, len(values), 288)
    for row in spikes:
        values[row] = 80.0
    shown = [row for row, score in enumerate(scores_of(values, make_usage())) if score >= 0.5]
    assert shown[0] == 1000
    assert len(set(shown) & set(spikes)) <= len(spikes) / 3


def test_between_two_levels_nothing_is_ordinary() -> None:
    detector = make_usage()
    rng = random.Random(1)
    for number in range(1000):
        detector.learn_one(rng.gauss(80.0 if number % 50 < 10 else 40.0, 2.0), START + number * GRAIN)
    at = START + 1000 * GRAIN
    verdict = detector.score_one(60.0, at)
    assert verdict.status is Status.HIGH
    assert_sound(verdict)
    assert detector.score_one(80.0, at).status is detector.score_one(40.0, at).status is Status.NORMAL


def test_a_shift_stays_abnormal_until_it_is_the_rule() -> None:
    values = [*noise(1000), *noise(400, level=80.0, seed=2)]
    statuses = statuses_of(values, make_usage())
    abnormal = [row for row, status in enumerate(statuses) if status is Status.HIGH]
    assert abnormal == list(range(1000, 1101))


def test_an_incident_ends_when_the_value_is_back() -> None:
    values = noise(1000)
    values[700:712] = [80.0] * 12
    statuses = statuses_of(values, make_usage())
    assert [row for row, status in enumerate(statuses) if status is Status.HIGH] == list(range(700, 712))


def test_the_wrong_time_of_the_day_is_an_anomaly() -> None:
    rng = random.Random(3)
    day = [rng.gauss(80.0 if 96 <= row % 288 < 192 else 20.0, 1.0) for row in range(288 * 14)]
    day[288 * 13 + 20 : 288 * 13 + 60] = [80.0] * 40  # as high as every noon, but at night
    scores = scores_of(day, make_usage())
    assert max(scores[288 * 13 + 20 : 288 * 13 + 60]) >= 0.5
    assert max(scores[288 * 4 : 288 * 13]) < 0.5


def test_half_is_where_a_bucket_becomes_abnormal() -> None:
    rng = random.Random(4)
    detector, compared = make_usage(), 0
    quiet = 0
    for number in range(3000):
        at = START + number * GRAIN
        value = rng.gauss(40.0, 2.0) + (rng.expovariate(0.05) if rng.random() < 0.01 else 0.0)
        score, status = detector.anomaly_score(value, at), detector.score_one(value, at).status
        quiet = 0 if status in (Status.HIGH, Status.LOW) else quiet + 1
        if quiet:
            assert score < 0.5
        elif score >= 0.5:
            compared += 1
        detector.learn_one(value, at)
    assert compared > 2


def test_a_score_depends_on_earlier_rows_only() -> None:
    values = [*noise(600), *noise(300, level=70.0)]
    whole = scores_of(values, make_usage())
    assert scores_of(values[:650], make_usage()) == whole[:650]


def test_scores_do_not_depend_on_the_unit() -> None:
    values = noise(1500)
    values[700], values[1100] = 80.0, 10.0
    plain = scores_of(values, make_usage())
    assert scores_of([1024.0 * value for value in values], make_usage()) == pytest.approx(plain, abs=1e-6)


def test_the_fullest_memory_stays_small() -> None:
    rest = 8 * len(make_usage().export()) + 2 * 8 * HOURS
    assert rest + 8 * PROTOTYPES * sum(len(view.features) + 1 for view in VIEWS) <= MOST_STATE_BYTES


def test_a_memory_that_is_full_replaces_what_it_met_longest_ago() -> None:
    memory = Prototypes((View(features=(0,), vigilance=0.5),), size=3)
    for value in (1.0, 2.0, 3.0, 1.0, 4.0):
        memory.learn_one([value], memory.nearest([value], [1.0]))
    assert memory.counts == [3]
    assert [memory.nearest([value], [1.0])[0] for value in (1.0, 2.0, 3.0, 4.0)] == [[0.0], [1.0], [0.0], [0.0]]


def test_a_long_memory_is_restored_as_it_was() -> None:
    rng = random.Random(6)
    detector, value = make_usage(), 0.0
    values = []
    for _ in range(4000):
        value += float(rng.randrange(-40, 41))
        values.append(value)
    scores_of(values, detector)
    twin = make_usage()
    twin.restore(detector.export())
    rest = [float(rng.randrange(-2000, 2000)) for _ in range(600)]
    assert scores_of(rest, twin) == scores_of(rest, detector)
    assert twin.export() == detector.export()


@pytest.mark.parametrize("place", range(3, 40))
def test_no_number_of_a_state_is_believed_unseen(make: Factory, place: int) -> None:
    detector = make_usage()
    scores_of(noise(300), detector)
    state = list(detector.export())
    state[place] = -1e300
    other = make()
    try:
        other.restore(state)
    except StateError:
        return
    assert_sound(other.score_one(40.0, START))


def test_a_higher_threshold_is_quieter() -> None:
    values = noise(1000)
    values[700] = 60.0
    shy = Usage(Usage.configure(grain_seconds=GRAIN, params={"threshold": 10 * STRANGE}))
    assert scores_of(values, make_usage())[700] > 0.5 > scores_of(values, shy)[700]


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.tuples(finite_floats, any_times), max_size=40), warm=st.sampled_from([0, 1, 260]))
def test_any_finite_numbers_at_any_times_have_a_score(rows: list[tuple[float, int]], warm: int) -> None:
    detector = make_usage()
    for number in range(warm):
        detector.learn_one(rows[0][0] if rows else 1.0, START + number * GRAIN)
    for value, at in rows:
        assert 0.0 <= detector.anomaly_score(value, at) <= 1.0
        detector.learn_one(value, at)
