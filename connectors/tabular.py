"""The rows of a CSV, CSV.gz, zipped CSV or Parquet file, with the line each stands on.

What a file is, its first bytes say, never its name. Cells are asked for by column number, so that a file with 200
columns costs no more than the few that are read. One bad row is one BadRow; a file that breaks (truncated, binary)
raises NotABillError, and since that can happen at the last line, callers use nothing before the end was reached.
"""

import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from connectors.connector import BadReason
from connectors.errors import NotABillError
from connectors.parquet import MAGIC as PARQUET_MAGIC
from connectors.parquet import ParquetTable

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_PUNCTUATION = re.compile(r"[\W_]+")
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile, UnicodeError)

MAX_ROW_CHARACTERS = 16 * 1024 * 1024
"""Of a row with all its lines: a few kilobytes of gzip unpack to a line that no memory holds."""
MAX_COLUMNS = 10_000
"""A CUR has a few hundred, and one for each activated tag."""

Row = tuple[int, Sequence[object]]
"""Line number (1 is the header; of the first line where a quoted cell spans several) and the cells asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that cannot be used. raw: the row as it was read, UTF-8."""

    line: int
    field: str | None
    reason: BadReason
    message: str
    raw: bytes


class Table(Protocol):
    """An open file of rows. To be iterated once."""

    @property
    def path(self) -> str: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def raw(self) -> bytes:
        """The row that was yielded last, as it was read."""

    def rows(self, wanted: Sequence[int | None]) -> Iterator[Row | BadRow]:
        """The cells of the *wanted* columns (None: a column that is not there, its cells are null), row by row.

        Raises NotABillError when the file breaks off.
        """


@contextmanager
def open_table(path: Path, name: str | None = None) -> Generator[Table]:
    """Open *path*; *name* is what messages call it. Raises NotABillError, MissingExtraError, OSError."""
    name = name or path.name
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        try:
            if magic == PARQUET_MAGIC:
                yield ParquetTable(file, name)
            elif magic[:2] == GZIP_MAGIC:
                with gzip.open(file, "rb") as unpacked:
                    yield CsvTable(io.BufferedReader(unpacked, 1 << 18), name)
            elif magic == ZIP_MAGIC:
                with _open_member(file, name) as member:
                    yield CsvTable(io.BufferedReader(member, 1 << 18), name)  # type: ignore[type-var]  # so is ZipExtFile
            else:
                yield CsvTable(file, name)
        except _BROKEN as error:
            raise NotABillError(name, "a complete file", f"that it breaks off at its beginning ({error})") from error


def fold_column(name: str) -> str:
    """The form in which names are compared: `ChargePeriodStart`, `charge_period_start`, `Charge Period Start`."""
    return _PUNCTUATION.sub("", name.casefold())


def index_columns(table: Table, wanted: Sequence[str]) -> dict[str, int]:
    """Folded column name -> number. Raises NotABillError when a *wanted* column is there twice.

    Others may repeat: a CUR has both `resourceTags/user:Name` and `resourceTags/user:name` when people tagged so.
    """
    index: dict[str, int] = {}
    folded_wanted = {fold_column(column) for column in wanted}
    for number, column in enumerate(table.columns):
        folded = fold_column(column)
        if folded in index and folded in folded_wanted:
            first = table.columns[index[folded]]
            raise NotABillError(table.path, "each column once", f"both {first!r} and {column!r}")
        index.setdefault(folded, number)
    return index


class CsvTable:
    """Comma-separated text: UTF-8 with or without a byte order mark, or UTF-16 with one.

    A line that is not UTF-8 is read as Windows-1252, which is what spreadsheets write.
    """

    def __init__(self, stream: BinaryIO | io.BufferedReader, path: str) -> None:
        """Reads the header. Raises NotABillError for empty and binary files, and what unpacking raises."""
        self.path = path
        head = stream.peek(1 << 13) if isinstance(stream, io.BufferedReader) else b""
        if not head:
            raise NotABillError(path, "a header line", "an empty file")
        utf16 = head.startswith(_UTF16_MARKS)
        if not utf16 and (b"\0" in head or head.startswith((PARQUET_MAGIC, GZIP_MAGIC))):
            raise NotABillError(path, "CSV or Parquet", f"binary data that begins with {head[:8].hex()}")
        self._text = io.TextIOWrapper(
            stream,
            encoding="utf-16" if utf16 else "utf-8-sig",
            errors="strict" if utf16 else "surrogateescape",
            newline="",
        )
        self._pending: list[str] = []
        self._reader = csv.reader(self._lines())
        try:
            self.columns = tuple(column.strip() for column in next(self._reader, []))
        except csv.Error as error:
            raise NotABillError(path, "a header line", str(error)) from error
        if not any(self.columns):
            raise NotABillError(path, "a header line", "an empty line")
        if len(self.columns) > MAX_COLUMNS:
            raise NotABillError(path, f"at most {MAX_COLUMNS} columns", f"{len(self.columns)} columns")

    @property
    def raw(self) -> bytes:
        return "".join(self._pending).encode("utf-8", "surrogateescape")

    def rows(self, wanted: Sequence[int | None]) -> Iterator[Row | BadRow]:
        width = len(self.columns)
        # Two further cells after the last: one stands for absent columns, the other makes itemgetter return a tuple
        # when a single column is wanted.
        pick = itemgetter(*[width if number is None else number for number in wanted], width)
        reader, pending = self._reader, self._pending
        try:
            while True:
                line = reader.line_num + 1
                pending.clear()
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    # Practically always a quote that never ends and has swallowed 128 KiB.
                    yield self._bad(line, f"expected a row of CSV, got {error}")
                    continue
                if len(cells) != width:
                    if cells:
                        yield self._bad(line, f"expected {width} columns, got {len(cells)}")
                    continue
                cells.append("")
                yield line, pick(cells)
        except _BROKEN as error:
            found = f"that it breaks off after line {reader.line_num} ({error})"
            raise NotABillError(self.path, "a complete file", found) from error

    def _bad(self, line: int, message: str) -> BadRow:
        return BadRow(line=line, field=None, reason=BadReason.MALFORMED, message=message, raw=self.raw)

    def _lines(self) -> Iterator[str]:
        pending = self._pending
        read_line = partial(self._text.readline, MAX_ROW_CHARACTERS + 1)
        size = 0
        for number, line in enumerate(iter(read_line, "")):
            size = size + len(line) if pending else len(line)
            if size > MAX_ROW_CHARACTERS:
                expected = f"rows of at most {MAX_ROW_CHARACTERS} characters"
                raise NotABillError(self.path, expected, f"a longer row after line {number}")
            if not line.isascii():
                try:
                    line.encode()
                except UnicodeEncodeError:
                    line = line.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
            pending.append(line)
            yield line


@contextmanager
def _open_member(file: BinaryIO, name: str) -> Generator[IO[bytes]]:
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(file))
            member = stack.enter_context(archive.open(_only_member(archive, name)))
        except RuntimeError as error:  # encrypted; or NotImplementedError, for a method or version Python has not
            raise NotABillError(name, "a ZIP archive that can be unpacked", str(error)) from error
        yield member


def _only_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    # Not is_dir(): it fails on a damaged archive whose member has no name.
    members = [info for info in archive.infolist() if not info.filename.endswith("/")]
    if len(members) != 1:
        raise NotABillError(name, "a ZIP archive with one file", f"{len(members)} files")
    return members[0]
