"""The loop that FOCUS and CUR readers share: rows in, charges and bad rows out."""

from collections.abc import Callable, Iterator, Sequence

from connectors.cells import CellError
from connectors.charge import Charge
from connectors.tabular import BadRow, Table


class FieldError(ValueError):
    """A row that is no charge. field: the column at fault, as the file spells it where it has it."""

    def __init__(self, field: str, error: CellError) -> None:
        super().__init__(f"{field}: {error}")
        self.field = field
        self.reason = error.reason


def read_charges(
    table: Table, wanted: Sequence[int | None], convert: Callable[[Sequence[object]], Charge | None]
) -> Iterator[Charge | BadRow | None]:
    """Every row of *table* as what *convert* makes of its *wanted* cells; a FieldError becomes a BadRow.

    None, from *convert* too, stands for a row that is no charge of its own: it counts as read.
    """
    for row in table.rows(wanted):
        if isinstance(row, BadRow):
            yield row
            continue
        line, cells = row
        try:
            yield convert(cells)
        except FieldError as error:
            yield BadRow(line=line, field=error.field, reason=error.reason, message=str(error), raw=table.raw)
