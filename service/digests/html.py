"""A page as the HTML of a mail: tables and inline styles, as mail programs know little else. Pure."""

from service.delivery.texts import as_html
from service.digests.page import Cell, Page, Section

_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_CELL = "padding:6px 10px;border-bottom:1px solid #e6e8eb;vertical-align:top"
_HEAD = (
    "padding:6px 10px;border-bottom:2px solid #c9ced6;color:#5b6472;font-weight:600;font-size:12px;white-space:nowrap"
)
_NUMBER = "text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"
_TONES = {"worse": "#b42318", "better": "#067647"}
_BAR_PIXELS = 160


def html_of(page: Page) -> str:
    """A whole document."""
    title, *details = page.title.split(": ", 1)
    heading = f'<div style="color:#5b6472;font-size:13px">{as_html(title)}</div>' if details else ""
    lead = "".join(f'<p style="margin:8px 0">{as_html(line)}</p>' for line in page.lead)
    sections = "".join(map(_section, page.sections))
    link = "" if page.link is None else f' &middot; <a style="color:#175cd3" href="{as_html(page.link)}">Dashboard</a>'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light"></head>'
        f'<body style="margin:0;padding:16px;background:#f4f5f7;{_FONT};font-size:14px;line-height:1.45;color:#1d2430">'
        '<table role="presentation" align="center" width="100%" cellpadding="0" cellspacing="0" '
        'style="max-width:720px;background:#ffffff;border:1px solid #e1e4e8;border-radius:8px"><tr>'
        f'<td style="padding:24px">{heading}'
        f'<h1 style="margin:2px 0 12px;font-size:20px;line-height:1.3">{as_html(details[0] if details else title)}</h1>'
        f"{lead}{sections}"
        f'<p style="margin:24px 0 0;color:#5b6472;font-size:12px">{as_html(page.foot)}{link}</p>'
        "</td></tr></table></body></html>"
    )


def _section(section: Section) -> str:
    notes = "".join(f'<p style="margin:6px 0;color:#5b6472">{as_html(note)}</p>' for note in section.notes)
    return f'<h2 style="margin:24px 0 6px;font-size:15px">{as_html(section.title)}</h2>{_table(section)}{notes}'


def _table(section: Section) -> str:
    if not section.rows:
        return ""
    head = "".join(
        f'<th align="{"left" if section.is_words(place) else "right"}" style="{_HEAD}">{as_html(name)}</th>'
        for place, name in enumerate(section.head)
    )
    rows = "".join(
        "<tr>" + "".join(_cell(cell, is_words=section.is_words(place)) for place, cell in enumerate(row)) + "</tr>"
        for row in section.rows
    )
    top = f"<tr>{head}</tr>" if section.head else ""
    return f'<table width="100%" cellpadding="0" cellspacing="0" style="border-collapse:collapse">{top}{rows}</table>'


def _cell(cell: Cell, *, is_words: bool) -> str:
    text = as_html(cell.text)
    if cell.link is not None:
        text = f'<a style="color:#1d2430" href="{as_html(cell.link)}">{text}</a>'
    if cell.tone:
        text = f'<span style="color:{_TONES[cell.tone]};font-weight:600">{text}</span>'
    if cell.share is not None:
        width = max(1, round(cell.share * _BAR_PIXELS))
        bar = f'<div style="display:inline-block;height:8px;width:{width}px;background:#84adff;margin-right:8px"></div>'
        text = bar + text
    return f'<td style="{_CELL}{"" if is_words else ";" + _NUMBER}">{text}</td>'
