"""How NAB counts: early detections in a window earn, windows without one and rows outside of all cost.

Source: Lavin, A. and Ahmad, S., 2015, Evaluating Real-time Anomaly Detection Algorithms, and NAB's `sweeper.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.nab.corpus import Series

_STEEPNESS = 5.0
_FAR = 3.0
"""So many window widths behind a window, a false row costs all it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """false_row: what a row outside of the windows costs at most. missed_window: what a window without a row costs."""

    name: str
    false_row: float
    missed_window: float


STANDARD = Profile(name="standard", false_row=0.11, missed_window=1.0)
PROFILES = (
    STANDARD,
    Profile(name="reward_low_FP", false_row=0.22, missed_window=1.0),
    Profile(name="reward_low_FN", false_row=0.11, missed_window=2.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """score: 0 for a silent detector, 100 for a perfect one. threshold: infinite when silence is best."""

    score: float
    threshold: float
    caught: int
    windows: int
    false_rows: int


@dataclass(frozen=True, slots=True)
class _Row:
    """What a detection in this row is worth. window: its number over all series, or None outside."""

    score: float
    worth: float
    window: int | None


def sigmoid(y: float) -> float:
    """From 1 far before the end of a window over 0 at it to -1 far behind; y in window widths.

    >>> round(sigmoid(-1.0), 3), sigmoid(0.0), round(sigmoid(-0.5) / sigmoid(-1.0), 2), sigmoid(3.1)
    (0.987, 0.0, 0.86, -1.0)
    """
    return -1.0 if y > _FAR else 2.0 / (1.0 + math.exp(_STEEPNESS * y)) - 1.0


def worths(series: Series) -> list[tuple[float, int | None]]:
    """For each row what a detection there is worth before the profile's costs, and the number of its window."""
    found: list[tuple[float, int | None]] = [(-1.0, None)] * len(series.values)
    for number, window in enumerate(series.windows):
        for row in range(window.last + 1, len(found)):
            found[row] = (sigmoid((row - window.last) / max(window.width - 1, 1)), None)
        for row in range(window.first, window.last + 1):
            found[row] = (sigmoid(-(window.last - row + 1) / window.width) / sigmoid(-1.0), number)
    return found


class Sweep:
    """All thresholds at once: rows join in the order of their scores, the highest first."""

    def __init__(self, corpus: Sequence[Series], scores: Sequence[Sequence[float]]) -> None:
        self.windows = sum(len(series.windows) for series in corpus)
        self._rows: list[_Row] = []
        first_window = 0
        for series, given in zip(corpus, scores, strict=True):
            for row, (worth, window) in enumerate(worths(series)):
                if row >= series.probation and given[row] > 0.0:
                    number = None if window is None else first_window + window
                    self._rows.append(_Row(given[row], worth, number))
            first_window += len(series.windows)
        self._rows.sort(key=lambda row: -row.score)

    def best(self, profile: Profile) -> Outcome:
        """At the threshold that is best for this profile."""
        best = Outcome(score=0.0, threshold=math.inf, caught=0, windows=self.windows, false_rows=0)
        for outcome in self._outcomes(profile):
            if outcome.score > best.score:
                best = outcome
        return best

    def at(self, threshold: float, profile: Profile) -> Outcome:
        """Every row whose score is at least *threshold* is a detection."""
        last = Outcome(score=0.0, threshold=threshold, caught=0, windows=self.windows, false_rows=0)
        for outcome in self._outcomes(profile):
            if outcome.threshold < threshold:
                break
            last = outcome
        return last

    def _outcomes(self, profile: Profile) -> list[Outcome]:
        """One for every score that occurs, the highest first."""
        found: list[Outcome] = []
        earned: dict[int, float] = {}
        total, false_rows = 0.0, 0
        scale = 100.0 / ((1.0 + profile.missed_window) * self.windows) if self.windows else 0.0
        for place, row in enumerate(self._rows):
            if row.window is None:
                total += profile.false_row * row.worth
                false_rows += 1
            elif row.window not in earned:
                total += row.worth + profile.missed_window
                earned[row.window] = row.worth
            elif row.worth > earned[row.window]:
                total += row.worth - earned[row.window]
                earned[row.window] = row.worth
            if place + 1 == len(self._rows) or self._rows[place + 1].score < row.score:
                found.append(
                    Outcome(
                        score=total * scale,
                        threshold=row.score,
                        caught=len(earned),
                        windows=self.windows,
                        false_rows=false_rows,
                    )
                )
        return found


def jackknife(corpus: Sequence[Series], scores: Sequence[Sequence[float]], threshold: float) -> tuple[float, float]:
    """Standard error of the standard score at *threshold*, and its lowest value, with each series left out in turn."""
    left = [
        Sweep([*corpus[:out], *corpus[out + 1 :]], [*scores[:out], *scores[out + 1 :]]).at(threshold, STANDARD).score
        for out in range(len(corpus))
    ]
    mean = math.fsum(left) / len(left)
    error = math.sqrt((len(left) - 1) / len(left) * math.fsum((score - mean) ** 2 for score in left))
    return error, min(left)


def without_each_family(corpus: Sequence[Series], scores: Sequence[Sequence[float]]) -> dict[str, tuple[float, float]]:
    """Per family: its own standard score at the threshold that is best for all the others, and that threshold."""
    found = {}
    for family in sorted({series.family for series in corpus}):
        inside = [place for place, series in enumerate(corpus) if series.family == family]
        outside = [place for place in range(len(corpus)) if place not in inside]
        threshold = Sweep([corpus[i] for i in outside], [scores[i] for i in outside]).best(STANDARD).threshold
        score = Sweep([corpus[i] for i in inside], [scores[i] for i in inside]).at(threshold, STANDARD).score
        found[family] = (score, threshold)
    return found
