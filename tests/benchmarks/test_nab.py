"""NAB's rule, against the numbers that its paper and corpus give."""

import math
import sys
from pathlib import Path

import pytest

from benchmarks.nab.__main__ import SAMPLES, main
from benchmarks.nab.corpus import CorpusError, Series, Window, read_corpus
from benchmarks.nab.scoring import PROFILES, STANDARD, Sweep, worths


def make_series(windows: tuple[Window, ...], rows: int = 4000, name: str = "a/b.csv") -> Series:
    return Series(name=name, times=[300 * row for row in range(rows)], values=[0.0] * rows, windows=windows)


def scores_with(*rows: int, count: int = 4000) -> list[float]:
    return [0.9 if row in rows else 0.0 for row in range(count)]


WINDOW = Window(first=2000, last=2399)


def test_samples_are_read() -> None:
    corpus = {series.name: series for series in read_corpus(SAMPLES)}
    series = corpus["realAWSCloudwatch/ec2_cpu_utilization_53ea38.csv"]
    assert (len(series.values), len(series.windows), series.probation, series.family) == (
        4032,
        2,
        604,
        "realAWSCloudwatch",
    )


@pytest.mark.parametrize(("rows", "probation"), [(1000, 150), (5000, 750), (22_695, 750), (1243, 186)])
def test_the_first_rows_are_probation(rows: int, probation: int) -> None:
    assert make_series((), rows=rows).probation == probation


@pytest.mark.parametrize(("row", "worth"), [(2000, 1.0), (2200, 0.86), (2399, 0.006)], ids=["left", "middle", "right"])
def test_an_early_detection_earns_more(row: int, worth: float) -> None:
    assert worths(make_series((WINDOW,)))[row][0] == pytest.approx(worth, abs=0.005)


def test_a_false_row_costs_little_right_after_a_window_and_soon_all() -> None:
    found = [worth for worth, _ in worths(make_series((WINDOW,)))]
    assert found[0] == found[3999] == -1.0
    assert -0.02 < found[2400] < 0.0
    assert found[2400 + 400] == pytest.approx(-0.99, abs=0.005)


def test_silence_is_0_and_perfection_100() -> None:
    corpus = [make_series((WINDOW,)), make_series((WINDOW,), name="a/c.csv")]
    for profile in PROFILES:
        assert Sweep(corpus, [scores_with(), scores_with()]).best(profile).score == 0.0
        best = Sweep(corpus, [scores_with(2000), scores_with(2000)]).best(profile)
        assert best.score == pytest.approx(100.0)
        assert (best.caught, best.false_rows) == (2, 0)


def test_with_58_windows_one_is_worth_1_72_and_a_false_row_costs_0_095() -> None:
    windows = tuple(Window(first=1000 + 50 * number, last=1019 + 50 * number) for number in range(58))
    series = make_series(windows)
    one = Sweep([series], [scores_with(1000)]).at(0.5, STANDARD).score
    assert one == pytest.approx(1.724, abs=0.001)
    assert one - Sweep([series], [scores_with(900, 1000)]).at(0.5, STANDARD).score == pytest.approx(0.0948, abs=0.0001)


def test_only_the_earliest_row_of_a_window_counts() -> None:
    series = make_series((WINDOW,))
    one = Sweep([series], [scores_with(2100)]).at(0.5, STANDARD)
    assert Sweep([series], [scores_with(2100, 2101, 2300)]).at(0.5, STANDARD) == one


def test_profiles_weigh_false_rows_and_missed_windows() -> None:
    corpus = [make_series((WINDOW, Window(first=3000, last=3399)))]
    sweep = Sweep(corpus, [scores_with(1000, 2000)])
    standard, low_fp, low_fn = (sweep.at(0.5, profile).score for profile in PROFILES)
    assert standard == pytest.approx(100 * (2 - 0.11) / 4)
    assert low_fp == pytest.approx(100 * (2 - 0.22) / 4)
    assert low_fn == pytest.approx(100 * (3 - 0.11) / 6)


def test_the_best_threshold_is_found_and_probation_does_not_count() -> None:
    scores = scores_with(2000)
    scores[10] = 1.0
    scores[3900] = 0.4
    best = Sweep([make_series((WINDOW,))], [scores]).best(STANDARD)
    assert (best.threshold, best.false_rows) == (0.9, 0)
    assert math.isinf(Sweep([make_series((WINDOW,))], [scores_with(3900)]).best(STANDARD).threshold)


def test_a_folder_without_labels_says_so(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"labels\.json"):
        read_corpus(tmp_path)


def test_the_command_prints_one_object_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks.nab", "--only", "spendwatch,river_ew_z_score"])
    assert main() == 0
    ours, peer = (line for line in capsys.readouterr().out.splitlines())
    assert '"name": "spendwatch"' in ours
    assert '"shipped"' in ours
    assert '"name": "river_ew_z_score"' in peer
