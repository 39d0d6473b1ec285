"""The letter about a silence that ends soon: somebody may want it to last longer. Pure.

What people wrote stands in it as it came; each receiver escapes it for its markup.
"""

from datetime import datetime

from msgspec import Struct

from service.core.silences import Silence, SilenceKind, Weekly
from service.core.wording import amount
from service.delivery.texts import clean, cut, one_line
from service.digests.page import Page

_TITLE = 200
_TEXT = 1000
_NAMED = {SilenceKind.SILENCE: "silence", SilenceKind.MAINTENANCE: "maintenance", SilenceKind.PLANNED_SPEND: "plan"}


class ExpiryWarning(Struct, frozen=True, kw_only=True):
    """A silence, a maintenance window or a plan of people as it was at made_at, shortly before its end; after it, if
    nobody was up to tell before.

    until: its own end, not that of one of its windows. silenced: how many open alerts it keeps from people.
    """

    silence: str
    kind: SilenceKind
    matchers: tuple[str, ...]
    owner: str
    comment: str
    recurrence: tuple[Weekly, ...]
    amount_per_day: float | None
    unit: str | None
    until: datetime
    made_at: datetime
    silenced: int

    @property
    def is_over(self) -> bool:
        return self.made_at >= self.until


def warning_of(silence: Silence, *, at: datetime, silenced: int) -> ExpiryWarning:
    return ExpiryWarning(
        silence=silence.id,
        kind=silence.kind,
        matchers=silence.matchers,
        owner=silence.created_by,
        comment=silence.comment,
        recurrence=silence.recurrence,
        amount_per_day=silence.amount_per_day,
        unit=silence.unit,
        until=silence.until,
        made_at=at,
        silenced=silenced,
    )


def page_of_warning(warning: ExpiryWarning, public_url: str | None) -> Page:
    """public_url: where the dashboard is; None: without a link."""
    ends = "has ended" if warning.is_over else "ends"
    named, matchers = _NAMED[warning.kind], ", ".join(warning.matchers)
    made = f"Made by {warning.owner}" + (f": {clean(warning.comment)}" if warning.comment.strip() else "")
    lines = [made, _what_follows(warning)]
    if warning.recurrence:
        lines.append(f"Its windows end with it: {'; '.join(map(_window, warning.recurrence))}.")
    return Page(
        title=cut(one_line(f"{named.capitalize()} {ends} {_moment(warning.until)}: {matchers}"), _TITLE),
        lead=tuple(cut(one_line(line), _TEXT) for line in lines),
        sections=(),
        foot=f"{named} {warning.silence}, said {_moment(warning.made_at)}.",
        link=None if public_url is None else f"{public_url.rstrip('/')}/silences",
    )


def _what_follows(warning: ExpiryWarning) -> str:
    match warning.kind:
        case SilenceKind.SILENCE:
            count = f"{warning.silenced} open {'alert' if warning.silenced == 1 else 'alerts'}"
            if warning.is_over:
                return "What it kept from people is told, if it is still open."
            return f"It keeps {count} from people now; what is still open then is told."
        case SilenceKind.MAINTENANCE:
            return "What happened within it stays silenced, also when its bill comes late; what comes after it is told."
        case SilenceKind.PLANNED_SPEND:
            planned = amount(warning.amount_per_day or 0.0, warning.unit or "")
            return f"It covers {planned} a day more than usual; a rise beyond its end is an alert."


def _window(window: Weekly) -> str:
    days = ", ".join(window.weekdays) or "every day"
    return f"{days} {window.start_time} to {window.end_time} {window.location}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"
