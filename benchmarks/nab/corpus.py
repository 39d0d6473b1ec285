"""The labelled series of the Numenta Anomaly Benchmark as they lie on disk.

A folder with `data/<category>/<name>.csv` (`timestamp,value`) and `labels.json`, which gives each series its windows of
anomaly as pairs of stamps. Format and labels: https://github.com/numenta/NAB.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PROBATION_PART = 0.15
PROBATION_ROWS = 750


class CorpusError(Exception):
    """A folder that is no such corpus, or scores that do not belong to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Rows *first* to *last*, both included."""

    first: int
    last: int

    @property
    def width(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """times: seconds since 1970, stamps without a zone taken as UTC. windows: in the order of their rows."""

    name: str
    times: list[int]
    values: list[float]
    windows: tuple[Window, ...]

    @property
    def family(self) -> str:
        return self.name.split("/")[0]

    @property
    def probation(self) -> int:
        """So many first rows are not scored."""
        return min(int(PROBATION_PART * len(self.values)), PROBATION_ROWS)


def read_corpus(folder: Path) -> list[Series]:
    """All labelled series, by name. Raises CorpusError."""
    try:
        labels = json.loads((folder / "labels.json").read_text())
    except (OSError, ValueError) as error:
        raise CorpusError(f"{folder / 'labels.json'}: {error}") from None
    return [_read(folder / "data" / name, name, labels[name]) for name in sorted(labels)]


def read_scores(folder: Path, series: Series) -> list[float]:
    """The anomaly_score of each row, from `<folder>/<category>/<name>.csv`. Raises CorpusError."""
    path = folder / series.name
    scores = [float(row["anomaly_score"]) for row in _rows(path)]
    if len(scores) != len(series.values):
        raise CorpusError(f"{path}: expected {len(series.values)} rows, got {len(scores)}")
    return scores


def _read(path: Path, name: str, stamps: list[tuple[str, str]]) -> Series:
    times, values = [], []
    for row in _rows(path):
        times.append(_seconds(row["timestamp"]))
        values.append(float(row["value"]))
    return Series(
        name=name, times=times, values=values, windows=tuple(_window(times, first, last) for first, last in stamps)
    )


def _window(times: list[int], first: str, last: str) -> Window:
    """From the first row with the one stamp to the last row with the other."""
    backwards = times[::-1]
    return Window(first=times.index(_seconds(first)), last=len(times) - 1 - backwards.index(_seconds(last)))


def _seconds(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp())


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(newline="") as file:
            yield from csv.DictReader(file)
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}") from None
