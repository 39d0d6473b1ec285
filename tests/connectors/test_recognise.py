"""What a file is, its content says."""

import gzip
from pathlib import Path

import pytest

from connectors.errors import NotABillError
from connectors.recognise import FileKind, recognise

FOCUS = b"BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (FOCUS, FileKind.FOCUS),
        (b"\xef\xbb\xbf" + FOCUS.lower(), FileKind.FOCUS),
        (b"lineItem/LineItemType,lineItem/UsageStartDate\n", FileKind.CUR),
        (b"line_item_line_item_type,x\n", FileKind.CUR),
        (b"timestamp,value\n2024-01-01 00:00:00,1\n", FileKind.METRIC_CSV),
        (b'{"series": "x"}\n', FileKind.FACTS),
        (b'\n  {"source": "x"}', FileKind.FACTS),
    ],
    ids=["focus", "focus-with-bom", "cur", "cur-2", "metric", "facts", "facts-after-space"],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_file_is_recognised_whatever_its_name(tmp_path: Path, content: bytes, kind: FileKind, pack: type) -> None:
    path = tmp_path / "download.bin"
    path.write_bytes(pack(content))
    assert recognise(path) is kind


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"a,b,c\n", "the columns a, b, c"),
        (b"[1]\n", "the columns [1]"),
        (b"\0\1", "binary data"),
    ],
    ids=["empty", "other", "list", "binary"],
)
def test_anything_else_is_told_with_what_was_found(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "bill.csv"
    path.write_bytes(content)
    with pytest.raises(NotABillError, match="expected a FOCUS or CUR bill") as error:
        recognise(path)
    assert found in error.value.found
