"""Parquet files as tables; pyarrow is imported only when there is one to read."""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import IO, Any

import msgspec

from connectors.errors import MissingExtraError, NotABillError

MAGIC = b"PAR1"
_BATCH = 16_384


class ParquetTable:
    """Satisfies tabular.Table. Line numbers count rows as a CSV file with a header would: the first row is 2."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        """Raises MissingExtraError without pyarrow, NotABillError for a damaged file."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise MissingExtraError(path, "parquet", "a Parquet file and no pyarrow") from None
        self.path = path
        self._arrow: Any = pyarrow  # publishes no types
        # pyarrow reports damage as one of its own errors, most often as a bare OSError.
        self._broken: tuple[type[Exception], ...] = (pyarrow.ArrowException, OSError, UnicodeDecodeError)
        try:
            self._file: Any = pyarrow.parquet.ParquetFile(file)
        except self._broken as error:
            raise NotABillError(path, "a complete Parquet file", str(error)) from error
        self.columns: tuple[str, ...] = tuple(self._file.schema_arrow.names)
        self._row: Sequence[object] = ()
        self._names: list[str] = []

    @property
    def raw(self) -> bytes:
        return msgspec.json.encode(dict(zip(self._names, self._row, strict=False)), enc_hook=str)

    def rows(self, wanted: Sequence[int | None]) -> Iterator[tuple[int, Sequence[object]]]:
        names = [None if number is None else self.columns[number] for number in wanted]
        present = [name for name in names if name is not None]
        self._names = [name or "" for name in names]
        line = 1
        try:
            for batch in self._file.iter_batches(_BATCH, columns=present):
                cells = [repeat(None, len(batch)) if name is None else self._values(batch, name) for name in names]
                for row in zip(*cells, strict=True):
                    line += 1
                    self._row = row
                    yield line, row
        except self._broken as error:
            found = f"that it breaks off after row {line - 1} ({error})"
            raise NotABillError(self.path, "a complete Parquet file", found) from error

    def _values(self, batch: Any, name: str) -> list[object]:
        column = batch.column(batch.schema.get_field_index(name))
        kind = column.type
        if self._arrow.types.is_timestamp(kind) and kind.unit == "ns":
            # Python's datetime ends at microseconds; without this, a stray nanosecond raises.
            column = column.cast(self._arrow.timestamp("us", kind.tz), safe=False)
        values: list[object] = column.to_pylist()
        return values
