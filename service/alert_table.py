"""A list of alerts in a terminal: a table where there is room for one, else a few lines for each.

The id is what the next command is given: it is never cut, and never broken into two lines.
"""

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from service.console import SEVERITY_STYLES, SIGNS, clean, moment, shortened
from service.core.alerts import AlertRecord, AlertState
from service.core.wording import amount, who

_WIDE = 100
"""Columns of a terminal from which on there is room for when and who beside the rest."""
_GAP = 2
_LONGEST_SERIES = 80
_STATES = {AlertState.FIRING: "bold", AlertState.PENDING: "dim", AlertState.ACKNOWLEDGED: "yellow"}
_SERIES = "series, id"
_WIDE_COLUMNS = ("severity", "state", _SERIES, "at stake", "since (UTC)", "who")
_NARROW_COLUMNS = ("severity", "state, who", _SERIES, "at stake, since")


def print_alerts(records: Sequence[AlertRecord], console: Console) -> None:
    layouts: list[tuple[Sequence[str], Callable[[AlertRecord], Sequence[Text]]]] = [(_NARROW_COLUMNS, _narrow)]
    if console.width >= _WIDE:
        layouts.insert(0, (_WIDE_COLUMNS, _wide))
    for columns, cells in layouts:
        rows = [cells(record) for record in records]
        if _least_width(columns, rows) <= console.width:
            console.print(_table(columns, rows))
            return
    for record in records:
        _print_below_one_another(record, console)


def _least_width(columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> int:
    """What a table takes that breaks no line but those of the series."""
    widths = [max(_widest(name, cell) for cell in column) for name, *column in zip(columns, *rows, strict=True)]
    return sum(widths) + _GAP * (len(widths) - 1)


def _widest(name: str, cell: Text) -> int:
    lines = cell.plain.split("\n")
    return max(cell_len(line) for line in (name, *(lines[1:] if name == _SERIES else lines)))


def _table(columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> Table:
    """Each alert in two lines, its id in the second."""
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for name in columns:
        justify: JustifyMethod = "right" if name.startswith("at stake") else "left"
        table.add_column(name, justify=justify, no_wrap=name != _SERIES, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _wide(record: AlertRecord) -> Sequence[Text]:
    series = _below(_series(record), clean(record.alert.id))
    ends = Text(_since(record)), Text(shortened(_people(record), 20))
    return _severity(record), _state(record), series, _stake(record), *ends


def _narrow(record: AlertRecord) -> Sequence[Text]:
    return (
        _severity(record),
        _below(_state(record), shortened(_people(record), 14)),
        _below(_series(record), clean(record.alert.id)),
        _below(_stake(record), _since(record)),
    )


def _print_below_one_another(record: AlertRecord, console: Console) -> None:
    console.print(Text("  ").join([_severity(record), _state(record), _stake(record)]))
    console.print(_indented(_series(record)))
    console.print(Text(f"{' ' * _GAP}{clean(record.alert.id)}", style="dim"), soft_wrap=True)
    people = _people(record)
    console.print(_indented(Text(f"{_since(record)}{'  ' if people else ''}{people}", style="dim")))


def _indented(text: Text) -> Padding:
    text.overflow = "fold"
    return Padding(text, (0, 0, 0, _GAP))


def _below(first: Text, second: str) -> Text:
    return Text("\n").join([first, Text(second, style="dim")])


def _severity(record: AlertRecord) -> Text:
    alert = record.alert
    return Text(f"{SIGNS[alert.kind]} {alert.severity.value}", style=SEVERITY_STYLES[alert.severity])


def _state(record: AlertRecord) -> Text:
    return Text(record.state.value, style=_STATES.get(record.state, "dim"))


def _series(record: AlertRecord) -> Text:
    return Text(shortened(clean(who(record.alert.series)), _LONGEST_SERIES))


def _stake(record: AlertRecord) -> Text:
    return Text(clean(amount(record.alert.impact, record.alert.unit, signed=True)))


def _since(record: AlertRecord) -> str:
    return moment(record.alert.starts_at, record.alert.grain).removesuffix("Z")


def _people(record: AlertRecord) -> str:
    """Whose task it is, or else who looks after it, or ended it."""
    by = record.resolved_by if record.state.is_over else record.acknowledged_by
    return clean(record.assigned_to or by or "")
