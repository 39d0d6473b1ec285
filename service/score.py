"""`spendwatch score`: `timestamp,value` CSV in, the same rows with an anomaly score out, one by one as they come.

The detector is the one that the service runs on usage metrics, or any other by its name. A row that cannot be read
keeps its place, without a score, and is told on standard error; it is not learned, and the rows after it are scored as
if it had not been there. Input may be packed with gzip.
"""

import csv
import gzip
import math
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedReader, StringIO, TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from connectors.series import Grain
from connectors.unpacking import GZIP_MAGIC
from detectors import UnknownDetectorError, names
from service.core.policies import USAGE
from service.errors import SpendwatchError
from service.scorers import METRICS, scorer_of

STANDARD_INPUT = "standard input"
MAX_LINE = 2**18
"""Characters; twice what the csv module takes for a cell, so that what was cut off is no row."""
_MISSING = frozenset({"", "nan", "null", "none", "na", "n/a"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_EPOCH = re.compile(r"-?\d{1,19}(\.\d+)?")
_MILLISECONDS_FROM = 1e11
"""As seconds this is the year 5138; exports of metrics count milliseconds, microseconds or nanoseconds, too."""
_MOST_TOLD = 20
_MOST_SHOWN = 40


class ScoreError(SpendwatchError):
    """Input that cannot be scored at all; nothing, or not all, of it was written."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Which detector, by the name a policy gives it or METRICS, and the width of the rows' buckets."""

    detector: str = USAGE
    grain: Grain = Grain.FIVE_MINUTES

    def __post_init__(self) -> None:
        known = (*names(), METRICS)
        if self.detector not in known:
            raise ScoreError(str(UnknownDetectorError(self.detector, known)))


USUAL = Scoring()


class _RowError(ValueError):
    """One row that cannot be read: what was expected, and what came."""


@dataclass(slots=True)
class Tally:
    """What became of the rows of one input. missing: those without a value; bad: those that cannot be read."""

    rows: int = 0
    missing: int = 0
    bad: int = 0


def run(files: Sequence[Path], out: Path | None, scoring: Scoring = USUAL) -> int:
    """Returns the exit code: 0; 1 if rows could not be read; 2 if an input could not be used. Raises ScoreError."""
    if len(files) > 1 and out is None:
        raise ScoreError("several files need --out FOLDER: their rows would be mixed on standard output")
    if out is None:
        return _to_standard_output(files[0] if files else None, scoring)
    if not files:
        raise ScoreError("--out FOLDER needs the names of files")
    targets = [_target(file) for file in files]
    if twice := sorted({name for name in targets if targets.count(name) > 1}):
        raise ScoreError(f"files of one name would overwrite one another in {out}: {', '.join(twice)}")
    if any(file.resolve() == (out / _target(file)).resolve() for file in files):
        raise ScoreError(f"--out {out} is where the files are: they would be overwritten")
    return max(_to_file(file, out, scoring) for file in files)


def score(lines: Iterable[str], sink: TextIO, name: str, scoring: Scoring = USUAL) -> Tally:
    """Write each row of *lines* to *sink* with its score, as soon as it has come.

    lines: the header, then one row each. name: of the input, in messages. Raises ScoreError.
    """
    rows = iter(enumerate(lines, start=1))
    columns, places, titles = _read_header(next(rows, None), name, several=scoring.detector == METRICS)
    try:
        scorer = scorer_of(scoring.detector, scoring.grain, titles)
    except ValueError as error:
        raise ScoreError(f"{name}:1: {error}") from None
    nothing = ("",) * len(scorer.columns)
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(("timestamp", *titles, *scorer.columns))
    sink.flush()
    tally = Tally()
    for number, line in rows:
        if not line.strip():
            continue
        tally.rows += 1
        cells = _split(line)
        stamp, *values = (cells[place] if place < len(cells) else "" for place in places)
        answer = nothing
        try:
            if len(cells) != columns:
                raise _RowError(f"expected {columns} columns, got {len(cells)}")
            at, amounts = _seconds(stamp), [_amount(*pair) for pair in zip(titles, values, strict=True)]
            present = [amount for amount in amounts if amount is not None]
            if len(present) < len(amounts):
                tally.missing += 1
            else:
                answer = scorer.score_and_learn(present, at)
        except _RowError as error:
            tally.bad += 1
            if tally.bad <= _MOST_TOLD:
                _tell(f"{name}:{number}: {error}")
        writer.writerow((stamp, *values, *answer))
        sink.flush()  # whoever pipes a live metric through wants its score now
    return tally


def _target(file: Path) -> str:
    """What is written is not packed, so its name does not say so."""
    return file.name.removesuffix(".gz")


def _to_standard_output(file: Path | None, scoring: Scoring) -> int:
    try:
        if file is None:
            name, tally = STANDARD_INPUT, score(_standard_input(), sys.stdout, STANDARD_INPUT, scoring)
        else:
            name, tally = str(file), score(_lines(file), sys.stdout, str(file), scoring)
    except BrokenPipeError:  # `| head` has seen enough; Python would tell of it once more when it closes the output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return _sum_up(tally, name)


def _to_file(file: Path, out: Path, scoring: Scoring) -> int:
    """One file that cannot be used does not keep the others from being scored."""
    try:
        lines = _lines(file)
        out.mkdir(parents=True, exist_ok=True)
        with (out / _target(file)).open("w", encoding="utf-8", newline="") as sink:
            return _sum_up(score(lines, sink, str(file), scoring), str(file))
    except OSError as error:
        _tell(f"{out / _target(file)}: {error.strerror or error}")
    except ScoreError as error:
        _tell(str(error))
    return ScoreError.exit_code


def _standard_input() -> Iterable[str]:
    return unpacked_lines(sys.stdin.buffer, STANDARD_INPUT)


def unpacked_lines(source: BinaryIO, name: str) -> Iterator[str]:
    """The lines of text, or of text packed with gzip: told by its first bytes. Raises ScoreError where that breaks off.

    source: buffered; nothing of it is asked for before the first line is.
    """
    packed = cast(BufferedReader, source).peek(2)[:2] == GZIP_MAGIC
    content = cast(BinaryIO, gzip.GzipFile(fileobj=source)) if packed else source
    text = TextIOWrapper(content, encoding="utf-8-sig", errors="replace")
    try:
        yield from lines_of(text)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ScoreError(f"{name}: expected complete gzip, got data that breaks off ({error})") from None
    finally:
        text.detach()  # whoever opened the source closes it


def lines_of(source: TextIO) -> Iterator[str]:
    """Line by line as they come. What a line has beyond MAX_LINE characters is dropped: no memory holds /dev/zero."""
    while line := source.readline(MAX_LINE):
        yield line
        while len(line) == MAX_LINE and not line.endswith("\n"):
            line = source.readline(MAX_LINE)


def _lines(file: Path) -> Iterator[str]:
    """Raises ScoreError, now and not with the first line."""
    try:
        opened = file.open("rb")
    except OSError as error:
        raise ScoreError(f"{file}: {error.strerror or error}") from None

    def read() -> Iterator[str]:
        with opened:
            yield from unpacked_lines(opened, str(file))

    return read()


def _read_header(
    first: tuple[int, str] | None, name: str, *, several: bool
) -> tuple[int, tuple[int, ...], tuple[str, ...]]:
    """How many columns there are, where those are that count, and what all but the first of these are called.

    several: every column counts; else the time and the value, and others are left out of the output.
    """
    if first is None or not first[1].strip():
        raise ScoreError(
            f"{name}:1: expected the header timestamp,value, got {'nothing' if first is None else 'a blank line'}"
        )
    titles = [cell.strip().lower() for cell in _split(first[1])]
    values = [title for title in titles if title and title != "timestamp"] if several else ["value"]
    wanted = ("timestamp", *values)
    if not values or not set(wanted) <= set(titles) or len(set(wanted)) < len(wanted):
        expected = "timestamp and metrics of different names" if several else "timestamp,value"
        raise ScoreError(f"{name}:1: expected the header {expected}, got {_shown(first[1].rstrip())}")
    return len(titles), tuple(map(titles.index, wanted)), tuple(values)


def _split(line: str) -> list[str]:
    # Line by line: a stray quote spoils its own row, and not all that follow.
    try:
        return next(csv.reader(StringIO(line.rstrip("\r\n"))), [])
    except csv.Error:  # a cell longer than any time or number
        return []


def _seconds(text: str) -> int:
    """ISO 8601, with or without a zone (then it is UTC), or a time since 1970 in whole seconds or finer units."""
    stripped = text.strip()
    if _EPOCH.fullmatch(stripped):
        number = float(stripped)
        while abs(number) >= _MILLISECONDS_FROM:
            number /= 1000.0
        return math.floor(number)
    try:
        at = datetime.fromisoformat(stripped)
    except ValueError:
        raise _RowError(f"timestamp: expected a time such as 2024-09-18 00:05:00, got {_shown(text)}") from None
    return math.floor((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp())


def _amount(title: str, text: str) -> float | None:
    """None for a sample that is missing: exports write an empty cell or NaN."""
    stripped = text.strip()
    if stripped.lower() in _MISSING:
        return None
    if not _NUMBER.fullmatch(stripped):
        raise _RowError(f"{title}: expected a number, got {_shown(text)}")
    number = float(stripped)
    if not math.isfinite(number):
        raise _RowError(f"{title}: expected a number up to 1.8e308, got {_shown(text)}")
    return number


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "...")


def _sum_up(tally: Tally, name: str) -> int:
    if tally.missing:
        _tell(f"{name}: {tally.missing:,} of {tally.rows:,} rows hold no value and have no score")
    if tally.bad:
        _tell(f"{name}: {tally.bad:,} of {tally.rows:,} rows could not be read and have no score")
    return 1 if tally.bad else 0


def _tell(message: str) -> None:
    sys.stderr.write(f"spendwatch: {message}\n")
