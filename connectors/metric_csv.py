"""Recordings of a metric: `timestamp,value` CSV files, one series a file, as gauge facts.

The files of one connector are merged by time, so that a series that begins where another ends does not come behind
the source's watermark. Within a file the order of its lines is kept: recordings have gaps, repeated stamps
and steps back, and each line is a sample of its own (`event_id` is file and line).

A file may be packed with gzip.

Format of the Numenta Anomaly Benchmark (https://github.com/numenta/NAB): stamps without a zone are UTC.
"""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from connectors import cells
from connectors.connector import BadReason, BadRecord, CursorError, FactBatch, Refused
from connectors.errors import NotABillError
from connectors.facts import MAX_TEXT, Basis, Fact, Fold, format_instant
from connectors.pace import Pace
from connectors.paths import find_files, has_files
from connectors.series import Grain, SeriesKey
from connectors.tags import clip
from connectors.unpacking import head_of, lines_of

_HEADER = ("timestamp", "value")
_ROWS_AT_ONCE = 2000
_TICK_SECONDS = 0.1
"""A replay sends what is due this often, rather than sample by sample."""

_LONGEST_GAP_SECONDS = 86_400
"""What comes after a longer gap is sent after the watermark that leads up to it: a jump of more than a year without
one is refused downstream as a mistake."""
_FARTHEST_SECONDS = 400 * 86_400
"""A stamp this far after all lines before it is a mistake: believed, it would put every later line behind it."""

_cursor_decoder = msgspec.json.Decoder(dict[str, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSeries:
    """Which series a file becomes: the value of *dimension* is the file's name without its extension."""

    metric: str
    unit: str
    grain: Grain = Grain.FIVE_MINUTES
    dimension: str = "resource_id"
    tenant: str = "default"

    def key_of(self, file: str) -> str:
        """Raises SeriesKeyError when the settings do not make a series."""
        key = SeriesKey(
            tenant=self.tenant,
            metric=self.metric,
            unit=self.unit,
            grain=self.grain,
            dimension=self.dimension,
            value=Path(file).stem,
        )
        return str(SeriesKey.parse(str(key)))


@dataclass(frozen=True, slots=True)
class _Row:
    """One line. latest: the greatest stamp of its file up to here, seconds since 1970; orders the merge."""

    latest: float
    file: str
    line: int
    sample: Fact | BadRecord


class MetricCsvConnector:
    """path: a file, a folder (its `.csv` files, with those of its subfolders) or a glob (connectors/paths.py).

    speed: event seconds a second, None for all at once. The cursor names the last line taken of every file, so that
    a file may grow, and files may be added, between two runs.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        series: MetricSeries,
        *,
        speed: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        series.key_of("probe")  # a mistake in the settings is told now, not with the first file
        self._name = name
        self._path = path
        self._series = series
        self._speed = speed
        self._clock = clock
        self._sleep = sleep

    @property
    def name(self) -> str:
        return self._name

    def has_files(self) -> bool:
        """Whether the path names any file now; reads the folders."""
        return has_files(self._path, is_wanted=_is_csv)

    async def batches(self, cursor: str | None) -> AsyncIterator[FactBatch]:
        """Samples in the order of time. Raises CursorError, and OSError when the path does not exist."""
        taken = self._read_cursor(cursor)
        files, refused = self._open(taken)
        if refused:
            yield FactBatch(facts=(), watermark=None, cursor=_write_cursor(taken), refused=refused)
        pace = Pace(self._speed, longest_wait=2.0, clock=self._clock, sleep=self._sleep)
        pending: list[_Row] = []
        last: _Row | None = None
        # The rows hold still while we yield: each file's generator is advanced by the merge alone.
        for row in heapq.merge(*files, key=lambda row: (row.latest, row.file, row.line)):
            due = row.latest == 0 or pace.wait_seconds(row.latest) <= _TICK_SECONDS
            gap = last is not None and row.latest - last.latest > _LONGEST_GAP_SECONDS
            if pending and (len(pending) >= _ROWS_AT_ONCE or gap or not due):
                yield self._batch(pending, taken, row.latest)
                pending = []
            if not pending and row.latest > 0:
                await pace.until(row.latest)
            pending.append(row)
            last = row
        if last is not None:
            end = last.latest - last.latest % self._series.grain.seconds + self._series.grain.seconds
            yield self._batch(pending, taken, end)

    def _batch(self, rows: list[_Row], taken: dict[str, int], complete_until: float) -> FactBatch:
        for row in rows:
            taken[row.file] = row.line
        return FactBatch(
            facts=tuple(row.sample for row in rows if isinstance(row.sample, Fact)),
            bad=tuple(row.sample for row in rows if isinstance(row.sample, BadRecord)),
            rows=len(rows),
            watermark=format_instant(datetime.fromtimestamp(complete_until, UTC)) if complete_until > 0 else None,
            cursor=_write_cursor(taken),
        )

    def _read_cursor(self, cursor: str | None) -> dict[str, int]:
        if cursor is None:
            return {}
        try:
            return _cursor_decoder.decode(cursor)
        except msgspec.DecodeError:
            raise CursorError(self._name, cursor, "a JSON object of file names and line numbers") from None

    def _open(self, taken: Mapping[str, int]) -> tuple[list[Iterator[_Row]], tuple[Refused, ...]]:
        files, refused = [], []
        for label, path in self._discover():
            found = _header_of(path)
            if found is None:
                files.append(self._rows(label, path, taken.get(label, 1)))
            else:
                expected = f"a CSV file with the header {','.join(_HEADER)}"
                refused.append(Refused(origin=f"{self._name}:{label}", path=str(path), expected=expected, found=found))
        return files, tuple(refused)

    def _discover(self) -> list[tuple[str, Path]]:
        """(name within the connector, path), in the order of paths."""
        root, files = find_files(self._path, is_wanted=_is_csv, connector=self._name)
        return [(file.relative_to(root).as_posix(), file) for file in files]

    def _rows(self, label: str, path: Path, after: int) -> Iterator[_Row]:
        """The lines of a file after line *after*; those before it still say how far its time has come."""
        series, latest = self._series.key_of(label), 0.0
        # Split by hand: with the csv module one stray quote would swallow the rest of the file as a single cell.
        for line, text in lines_of(path):
            row = text.decode("utf-8-sig", errors="replace")
            if line > 1 and row.strip():
                sample, at = self._sample(series, label, line, row, latest)
                latest = max(latest, at)
                if line > after:
                    yield _Row(latest, label, line, sample)

    def _sample(self, series: str, label: str, line: int, row: str, latest: float) -> tuple[Fact | BadRecord, float]:
        """The fact of a line with its time, or what is wrong with it (and no time)."""
        field: str | None = None
        try:
            parts = [part.strip().strip('"') for part in row.split(",")]
            if len(parts) != len(_HEADER):
                raise cells.CellError(BadReason.MALFORMED, f"{len(_HEADER)} columns", row)
            field = "timestamp"
            at = cells.instant(parts[0])
            if latest and at.timestamp() - latest > _FARTHEST_SECONDS:
                raise cells.CellError(BadReason.OUT_OF_RANGE, "a date within 400 days of the lines before", parts[0])
            field = "value"
            value = float(cells.amount(parts[1]))
        except cells.CellError as error:
            bad = BadRecord(
                source=self._name,
                place=f"{label}:{line}",
                field=field,
                reason=error.reason,
                message=f"{field or 'line'}: {error} at {label}:{line}",
                raw=row.encode(),
            )
            return bad, 0.0
        fact = Fact(
            series=series,
            charge_period_start=format_instant(at),
            value=value,
            origin=clip(f"{self._name}:{label}", MAX_TEXT),
            fold=Fold.GAUGE,
            basis=Basis.ESTIMATED,
            event_id=clip(f"{label}:{line}", MAX_TEXT),
        )
        return fact, at.timestamp()


def _is_csv(file: Path) -> bool:
    return file.suffix.casefold() == ".csv"


def _header_of(path: Path) -> str | None:
    """None for a file with the right header, else what was found in its place."""
    try:
        first = head_of(path).partition(b"\n")[0]
    except NotABillError as error:
        return error.found
    if b"\0" in first:
        return "binary data"
    header = first.decode("utf-8-sig", errors="replace").strip()
    if not header:
        return "an empty file"
    return None if tuple(name.strip().lower() for name in header.split(",")) == _HEADER else f"the header {header!r}"


def _write_cursor(taken: Mapping[str, int]) -> str:
    return msgspec.json.encode(dict(sorted(taken.items()))).decode()
