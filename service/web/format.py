"""Changes and times as the dashboard shows them: plain text, which templates escape; only `prose` is HTML.

Numbers and money are said as everywhere else: service/core/wording.py.
"""

from datetime import UTC, datetime, timedelta

from markupsafe import Markup

from service.core.wording import amount, number


def signed(value: float, unit: str) -> str:
    """With a sign also when it rises: what a change adds or takes away."""
    return amount(value, unit, signed=True)


def change(actual: float, expected: float) -> str:
    """How far *actual* is from *expected*: `+240 %`, `4.2x` beyond tenfold, empty when nothing was expected."""
    if abs(expected) < 1e-9:
        return ""
    ratio = actual / expected
    if ratio >= 10:
        return f"{ratio:,.0f}\N{MULTIPLICATION SIGN}"
    percent = (actual - expected) / abs(expected) * 100
    text = f"{abs(percent):,.0f} %"
    if text == "0 %":
        return text
    return f"+{text}" if percent > 0 else f"-{text}"


def moment(at: datetime | None) -> str:
    """`2024-09-18 14:05`, in UTC; the title of the element says so in full."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if at else ""


def full_moment(at: datetime | None) -> str:
    """`2024-09-18T14:05:00Z`: for titles and `datetime` attributes."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else ""


def bucket(at: datetime, grain: str) -> str:
    """The start of a charge period: a day needs no time."""
    return at.astimezone(UTC).strftime("%Y-%m-%d" if grain == "1d" else "%Y-%m-%d %H:%M")


def span(length: timedelta) -> str:
    """`3 d 4 h`, `12 min`, `45 s`: the two largest parts."""
    seconds = max(0, int(length.total_seconds()))
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes = rest // 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"


def prose(text: str) -> Markup:
    """Text with `code` in backticks as HTML; everything else is escaped."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in enumerate(parts)
    )


FILTERS = {
    "amount": amount,
    "bucket": bucket,
    "change": change,
    "full_moment": full_moment,
    "moment": moment,
    "number": number,
    "prose": prose,
    "signed": signed,
    "span": span,
}
"""For Jinja's environment."""
