"""Lines of a text file that may be packed with gzip: told by its first bytes, never by its name."""

import gzip
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from connectors.errors import NotABillError

GZIP_MAGIC = b"\x1f\x8b"
MAX_LINE_BYTES = 16 * 1024 * 1024
"""A few kilobytes of gzip unpack to a line that no memory holds."""
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error)


@contextmanager
def open_bytes(path: Path) -> Generator[BinaryIO]:
    """The content of *path*, unpacked. Raises OSError."""
    with path.open("rb") as file:
        magic = file.read(2)
        file.seek(0)
        if magic == GZIP_MAGIC:
            with gzip.open(file, "rb") as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield file


def head_of(path: Path, size: int = 4096) -> bytes:
    """The first bytes. Raises NotABillError where they cannot be unpacked, and OSError."""
    try:
        with open_bytes(path) as file:
            return file.read(size)
    except _BROKEN as error:
        raise NotABillError(str(path), "a complete file", f"that it breaks off at its beginning ({error})") from error


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line without its end). Raises NotABillError where the file breaks off, and OSError."""
    number = 0
    try:
        with open_bytes(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), start=1):
                if len(line) > MAX_LINE_BYTES:
                    raise NotABillError(
                        str(path), f"lines of at most {MAX_LINE_BYTES} bytes", f"a longer line {number}"
                    )
                yield number, line.rstrip(b"\r\n")
    except _BROKEN as error:
        found = f"that it breaks off after line {number} ({error})"
        raise NotABillError(str(path), "a complete file", found) from error
