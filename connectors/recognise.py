"""What a file is: its first bytes and its columns say so, never its name."""

from enum import StrEnum
from pathlib import Path

from connectors.errors import NotABillError, UnreadableFileError
from connectors.tabular import fold_column, open_table
from connectors.unpacking import head_of


class FileKind(StrEnum):
    FOCUS = "focus"
    CUR = "cur"
    METRIC_CSV = "metric_csv"
    FACTS = "facts"


KNOWN = "a FOCUS or CUR bill, a `timestamp,value` recording, or facts as JSON lines"
_MARKS = {
    fold_column("ChargePeriodStart"): FileKind.FOCUS,
    fold_column("BilledCost"): FileKind.FOCUS,
    fold_column("ContractCommitmentId"): FileKind.FOCUS,  # no charges: the FOCUS reader says so
    fold_column("lineItem/LineItemType"): FileKind.CUR,
    fold_column("lineItem/UsageStartDate"): FileKind.CUR,
}


def recognise(path: Path) -> FileKind:
    """Raises NotABillError for an empty file and for one that no connector reads, MissingExtraError, and OSError."""
    try:
        if head_of(path).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            return FileKind.FACTS
        with open_table(path, str(path)) as table:
            columns = table.columns
    except UnreadableFileError as error:
        if isinstance(error, NotABillError):
            raise NotABillError(str(path), KNOWN, error.found) from error
        raise
    folded = [fold_column(column) for column in columns]
    if folded == ["timestamp", "value"]:
        return FileKind.METRIC_CSV
    for mark, kind in _MARKS.items():
        if mark in folded:
            return kind
    raise NotABillError(str(path), KNOWN, f"the columns {', '.join(columns[:6])}{', ...' if len(columns) > 6 else ''}")
