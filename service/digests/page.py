"""A letter in tables and lines, before any markup: what each receiver writes in its own form. Pure.

Plain text, cleaned and cut; tag values stand in it as they came, so each receiver escapes it for its markup.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from service.delivery.texts import cut


class Cell(Struct, frozen=True, kw_only=True):
    """text: one line. link: where it leads. share: of the longest bar beside it, 0 to 1; None: no bar. tone: of a
    change for the worse, or for the better."""

    text: str
    link: str | None = None
    share: float | None = None
    tone: str = ""


class Section(Struct, frozen=True, kw_only=True):
    """head: names of the columns, of which the first is of words and the others of numbers; empty for a plain list.
    wide: the first column holds sentences."""

    title: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    notes: tuple[str, ...] = ()
    wide: bool = False

    def is_words(self, place: int) -> bool:
        """Of the first column, and of remarks, which have no head."""
        return place == 0 or not (self.head and self.head[place])


class Page(Struct, frozen=True, kw_only=True):
    """title: one line, also the subject. lead: what stands before the first table."""

    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    foot: str
    link: str | None


def lines_of(page: Page, *, width: int | None = None) -> Sequence[str]:
    """The page as plain text, its tables in columns. width: that lines are cut to; None: not at all."""
    lines = [*page.lead]
    for section in page.sections:
        lines += ["", section.title, *_table(section), *section.notes]
    lines += ["", page.foot]
    if page.link is not None:
        lines.append(page.link)
    return lines if width is None else [cut(line, width) for line in lines]


def _table(section: Section) -> Iterable[str]:
    rows = [tuple(cell.text for cell in row) for row in section.rows]
    if section.wide:
        for first, *others in rows:
            yield f"  - {first}"
            yield "    " + "; ".join(text for text in others if text)
        return
    if section.head:
        rows.insert(0, section.head)
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(len(rows[0]) if rows else 0)]
    for row in rows:
        cells = [
            f"{text:<{widths[place]}}" if section.is_words(place) else f"{text:>{widths[place]}}"
            for place, text in enumerate(row)
        ]
        yield ("  " + "  ".join(cells)).rstrip()
