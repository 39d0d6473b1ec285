"""What bills hold that nobody has written a split for: the tag keys, and whether they are told by the hour or the day.

Looked at only where no configuration says it. Tags are named as the bill spells them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from connectors.charge import Charge, ChargeCategory
from connectors.cur import CurReader
from connectors.focus import FocusReader
from connectors.recognise import FileKind
from connectors.series import Grain
from connectors.split import MAX_TAG_KEY_LENGTH
from connectors.tabular import open_table
from connectors.tags import ALIASES, fold_key, strip_prefixes
from service.settings import Split

MAX_TAGS = 16
_HOUR, _DAY = 3600, 86_400
_HOURLY_ROWS = 0.95
"""So many of the usage rows must be an hour long, or shorter, for a bill to be an hourly one."""
_HOURLY_COVER = 0.5
"""And of the hours in its time an ordinary tag must have so many: a few hourly lines a day are judged by the day."""
_MAX_VALUES = 2_000
_FEW_VALUES = 50
_ROWS_PER_VALUE = 5.0
"""A key with nearly as many values as rows names things, such as `Name`; it divides nothing."""


class Survey:
    """Takes charges one by one."""

    def __init__(self) -> None:
        self._spellings: dict[str, Counter[str]] = {}
        self._values: dict[str, Counter[str]] = {}
        self._hours: dict[tuple[str, str], set[int]] = {}
        self._widths: Counter[bool] = Counter()
        self._seen: dict[int, tuple[object, tuple[tuple[str, str, str], ...]]] = {}
        self.charges = 0

    def add(self, charge: Charge) -> None:
        self.charges += 1
        fine = (charge.charge_period_end - charge.charge_period_start).total_seconds() <= _HOUR
        is_usage = charge.charge_category is ChargeCategory.USAGE
        if is_usage:
            self._widths[fine] += 1
        hour = int(charge.charge_period_start.timestamp()) // _HOUR
        for folded, spelling, value in self._tags_of(charge):
            self._spellings.setdefault(folded, Counter())[spelling] += 1
            values = self._values.setdefault(folded, Counter())
            if value in values or len(values) <= _MAX_VALUES:
                values[value] += 1
            if is_usage and fine and len(self._hours) <= _MAX_VALUES:
                self._hours.setdefault((folded, value), set()).add(hour)

    def tags(self) -> tuple[str, ...]:
        """Keys that divide the bill, those of the default split first, then those with the most rows."""
        listed = [fold_key(tag) for tag in Split().tags]
        wanted = [key for key, values in self._values.items() if key in listed or _divides(values)]
        wanted.sort(key=lambda key: (listed.index(key) if key in listed else len(listed), -self._rows(key), key))
        return tuple(self._spelling(key) for key in wanted[:MAX_TAGS])

    def grain(self) -> Grain:
        rows = self._widths.total()
        if not rows or self._widths[True] < _HOURLY_ROWS * rows:
            return Grain.DAY
        covers = sorted(len(hours) / (max(hours) - min(hours) + 1) for hours in self._hours.values() if len(hours) > 1)
        return Grain.HOUR if covers and covers[len(covers) // 2] >= _HOURLY_COVER else Grain.DAY

    def _rows(self, key: str) -> int:
        return self._values[key].total()

    def _spelling(self, key: str) -> str:
        return min(self._spellings[key].items(), key=lambda item: (-item[1], item[0]))[0]

    def _tags_of(self, charge: Charge) -> tuple[tuple[str, str, str], ...]:
        """(folded key, spelling, value) of each tag; readers hand out the same mapping for the same text."""
        seen = self._seen.get(id(charge.tags))
        if seen is not None:
            return seen[1]
        found = []
        for key, value in charge.tags.items():
            spelling = strip_prefixes(key).strip()
            folded = fold_key(spelling)
            if folded and len(spelling) <= MAX_TAG_KEY_LENGTH and "=" not in spelling and spelling.isprintable():
                found.append((fold_key(ALIASES.get(folded, folded)), spelling, value))
        if len(self._seen) >= 50_000:
            self._seen.clear()
        self._seen[id(charge.tags)] = (charge.tags, tuple(found))
        return self._seen[id(charge.tags)][1]


def _divides(values: Counter[str]) -> bool:
    return 1 < len(values) <= _FEW_VALUES or (
        1 < len(values) <= _MAX_VALUES and values.total() >= _ROWS_PER_VALUE * len(values)
    )


def survey(files: Iterable[tuple[Path, FileKind]]) -> Survey:
    """Read bills from beginning to end. Raises what the readers raise for a file that is none, or breaks off."""
    found = Survey()
    for path, kind in files:
        with open_table(path, str(path)) as table:
            for row in (FocusReader(table) if kind is FileKind.FOCUS else CurReader(table)).charges():
                if isinstance(row, Charge):
                    found.add(row)
    return found


def split_for(found: Survey, known: Sequence[str] = ()) -> Split:
    """The default split with the tags and the grain that are there; *known* where no tag was found."""
    return Split(tags=found.tags() or tuple(known), grain=found.grain())
