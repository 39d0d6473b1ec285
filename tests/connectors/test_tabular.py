import gzip
import io
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from connectors.connector import BadReason
from connectors.errors import MissingExtraError, NotABillError
from connectors.tabular import MAX_ROW_CHARACTERS, BadRow, Row, index_columns, open_table

TEXT = "a,b,c\n1,2,3\n4,5,6\n"


def rows_of(path: Path, wanted: Sequence[int | None] = (0, 1, 2)) -> list[Row | BadRow]:
    with open_table(path) as table:
        return [row if isinstance(row, BadRow) else (row[0], row[1][: len(wanted)]) for row in table.rows(wanted)]


def zipped(text: str, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("bill.csv", text)
    return buffer.getvalue()


def patched_headers(content: bytes, *, local: int, central: int, value: int) -> bytes:
    """A ZIP archive with a 16-bit field changed in both headers of its member, at these places in them."""
    changed = bytearray(content)
    for place in (content.index(b"PK\x03\x04") + local, content.index(b"PK\x01\x02") + central):
        changed[place : place + 2] = value.to_bytes(2, "little")
    return bytes(changed)


def damaged(content: bytes, place: float) -> bytes:
    at = int(len(content) * place)
    return content[:at] + bytes(byte ^ 0xFF for byte in content[at : at + 8]) + content[at + 8 :]


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.replace("\n", "\r\n").encode(),
        gzip.compress(TEXT.encode()),
        gzip.compress(TEXT.encode("utf-8-sig")),
        gzip.compress(TEXT[:10].encode()) + gzip.compress(TEXT[10:].encode()),
        zipped(TEXT),
        zipped(TEXT).replace(b"bill.csv", b"\0ill.csv"),
    ],
    ids=["plain", "BOM", "UTF-16", "CRLF", "gzip", "gzip with BOM", "two gzip members", "zip", "nameless zip"],
)
def test_contents_are_recognised_by_their_first_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no-name-that-tells"
    path.write_bytes(content)
    assert rows_of(path) == [(2, ("1", "2", "3")), (3, ("4", "5", "6"))]


def test_only_the_wanted_cells_come_and_absent_columns_are_null(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(TEXT)
    assert rows_of(path, [2, None, 0]) == [(2, ("3", "", "1")), (3, ("6", "", "4"))]


def test_line_numbers_are_those_of_the_file_when_cells_span_lines(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text('a,b,c\n1,"two\nlines, ""quoted""",3\n\n4,5\n7,8,9\n')
    found = rows_of(path)
    assert found[0] == (2, ("1", 'two\nlines, "quoted"', "3"))
    assert isinstance(found[1], BadRow)
    assert (found[1].line, found[1].raw) == (5, b"4,5\n")
    assert found[2] == (6, ("7", "8", "9"))


def test_short_and_long_rows_do_not_end_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text("a,b,c\n1,2\n1,2,3,4\n4,5,6\n")
    short, long, good = rows_of(path)
    assert isinstance(short, BadRow)
    assert isinstance(long, BadRow)
    assert (short.reason, short.message) == (BadReason.MALFORMED, "expected 3 columns, got 2")
    assert (long.line, long.message) == (3, "expected 3 columns, got 4")
    assert good == (4, ("4", "5", "6"))


def test_a_quote_that_never_ends_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text('a,b,c\n1,2,3\n1,"2,3\n' + "4,5,6\n" * 40_000)
    found = rows_of(path)
    assert found[0] == (2, ("1", "2", "3"))
    bad = next(row for row in found if isinstance(row, BadRow))
    assert bad.line == 3
    assert "field larger than field limit" in bad.message


def test_lines_that_are_not_utf8_are_read_as_windows_1252(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_bytes("a,b,c\nZürich,2,3\n".encode() + b"M\xfcnchen,\x80,6\n")
    assert rows_of(path) == [(2, ("Zürich", "2", "3")), (3, ("München", "\u20ac", "6"))]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (gzip.compress(b""), "an empty file"),
        (b"\n\n", "an empty line"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary data that begins with 89504e470d0a1a0a"),
        (gzip.compress(b"PAR1\0\0\0\0"), "binary data that begins with 50415231"),
        (b"\x1f\x8b\x08\x00broken", "that it breaks off at its beginning"),
        (b"PK\x03\x04broken", "that it breaks off at its beginning"),
        (b"PAR1broken", "Parquet"),
        (patched_headers(zipped(TEXT), local=6, central=8, value=1), "is encrypted"),
        (patched_headers(zipped(TEXT), local=8, central=10, value=99), "compression method"),
        (damaged(zipped("a,b,c\n" + "1,2,3\n" * 999, zipfile.ZIP_LZMA), 0.15), "breaks off"),
        (damaged(zipped("a,b,c\n" + "1,2,3\n" * 999, zipfile.ZIP_BZIP2), 0.2), "breaks off"),
        (b'a,"' + b"x" * 200_000 + b'"\n1,2\n', "field larger than field limit"),
        (b"a," * 10_000 + b"b\n", "10001 columns"),
        (gzip.compress(b"a" * (MAX_ROW_CHARACTERS + 1)), "longer row"),
        (gzip.compress(b"a,b,c\n1,2,3\n" + b" " * (MAX_ROW_CHARACTERS + 1)), "longer row after line 2"),
        (gzip.compress(b"a,b,c\n1,2,3\n" + b'"x\n",' * (MAX_ROW_CHARACTERS // 5 + 1)), "longer row after line"),
    ],
    ids=[
        "empty",
        "empty gzip",
        "blank",
        "image",
        "gzipped Parquet",
        "broken gzip",
        "broken zip",
        "broken Parquet",
        "encrypted zip",
        "unknown method",
        "broken LZMA",
        "broken bzip2",
        "huge header cell",
        "too many columns",
        "endless header",
        "endless line",
        "endless row",
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "bill.csv"
    path.write_bytes(content)
    with pytest.raises(NotABillError) as caught:
        rows_of(path)
    assert found in str(caught.value)
    assert str(caught.value).startswith("bill.csv: expected ")


def test_a_truncated_gzip_says_after_which_line(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv.gz"
    content = gzip.compress("".join(["a,b,c\n"] + [f"{n},{n * 7919},x\n" for n in range(50_000)]).encode())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        NotABillError, match=r"bill\.csv\.gz: expected a complete file, found that it breaks off after line \d{4,}"
    ):
        rows_of(path)


def test_a_zip_of_several_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bills.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TEXT)
        archive.writestr("b.csv", TEXT)
    with pytest.raises(NotABillError, match="expected a ZIP archive with one file, found 2 files"):
        rows_of(path)


def test_a_wanted_column_must_not_be_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text("Tags,tags,x,X\n1,2,3,4\n")
    with open_table(path) as table:
        assert index_columns(table, ["Cost"]) == {"tags": 0, "x": 2}
        with pytest.raises(NotABillError, match="expected each column once, found both 'Tags' and 'tags'"):
            index_columns(table, ["Tags"])


def test_parquet_rows_count_as_if_there_were_a_header(tmp_path: Path) -> None:
    path = tmp_path / "bill.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2], "b": ["x", None], "c": [0.5, 1.5]}), path)
    with open_table(path) as table:
        assert table.columns == ("a", "b", "c")
        assert list(table.rows([1, None, 2])) == [(2, ("x", None, 0.5)), (3, (None, None, 1.5))]
        assert table.raw == b'{"b":null,"":null,"c":1.5}'


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bill.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'spendwatch\[parquet\]'") as caught:
        rows_of(path, [0])
    assert caught.value.extra == "parquet"


def test_a_missing_file_is_an_ordinary_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        rows_of(tmp_path / "nothing.csv")
