"""What a digest says to people: its tables and sentences, the same for every receiver. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from connectors.series import OTHER, UNTAGGED
from service.core.alerts import AlertState
from service.core.wording import amount, label_name, number
from service.delivery.payload import alert_link
from service.delivery.texts import cut, one_line
from service.digests.content import AlertLine, AlertList, Digest
from service.digests.page import Cell, Page, Section
from service.digests.sums import DaySpend, Spend, SpendBasis

_NAME = 60
_REASON = 300
_NAMED_LATE = 5
_NOTHING = "-"


def page_of(digest: Digest, public_url: str | None) -> Page:
    """public_url: where the dashboard is; None: without links."""
    sections = [_days(digest)] if digest.value is not None else [_spends(digest), _changes(digest)]
    sections += [_open(digest, public_url), _held(digest, public_url), _silences(digest)]
    return Page(
        title=_title(digest),
        lead=tuple(_lead(digest)),
        sections=tuple(section for section in sections if section is not None),
        foot=f"{digest.name}, made {_moment(digest.made_at)}. Days are UTC days, as those of bills.",
        link=public_url,
    )


def _title(digest: Digest) -> str:
    kind = "Daily" if digest.every == "day" else "Weekly"
    whose = "" if digest.value is None else f" of {digest.by}={_name(digest.value)}"
    sums = " and ".join(_sum_with_change(total) for total in digest.totals) or "nothing known"
    return cut(one_line(f"{kind} spend{whose}: {sums} ({_dates(digest)})"), 200)


def _sum_with_change(total: Spend) -> str:
    share = total.share
    so_far = "" if total.complete else " so far"
    return f"{amount(total.amount, total.unit)}{so_far}" + ("" if share is None else f", {_percent(share)}")


def _dates(digest: Digest) -> str:
    days = digest.period.days
    return f"{days[0]:%Y-%m-%d}" if len(days) == 1 else f"{days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}"


def _lead(digest: Digest) -> Iterable[str]:
    against = "the same day a week earlier" if digest.every == "day" else "the week before"
    if not digest.totals:
        yield f"Nothing is known of {_dates(digest)}: no spend by {label_name(digest.by)} has come for these days."
    for total in digest.totals:
        yield _sentence(total, against)
    if digest.incomplete:
        names = ", ".join(map(_name, digest.incomplete[:_NAMED_LATE]))
        more = f" and {len(digest.incomplete) - _NAMED_LATE} more" if len(digest.incomplete) > _NAMED_LATE else ""
        yield f"Not complete yet, so no change is told: {names}{more}. What is missing comes with their bill."
    happened = f"{digest.opened} opened, {digest.ended} ended"
    yield f"Alerts since {_moment(digest.since)}: {happened}; {digest.open.count} open now{_stake(digest.open)}."


def _sentence(total: Spend, against: str) -> str:
    text = f"{amount(total.amount, total.unit)} {_how(total)}"
    if total.change is not None and total.before is not None:
        share = "" if total.share is None else f" ({_percent(total.share)})"
        text += f", {amount(total.change, total.unit, signed=True)}{share} against {against}"
    month = f"{total.days[-1].day:%B}"
    text += f". {month} so far: {amount(total.month, total.unit)}"
    if total.forecast is not None and total.forecast != total.month:
        text += (
            f", {amount(total.forecast, total.unit)} at its end if the days left cost what their weekdays did lately"
        )
    return f"{text}."


def _how(spend: Spend) -> str:
    is_late = spend.known_until < spend.days[-1].day + timedelta(days=1)
    known = f", known until {_moment(spend.known_until)}" if is_late else ""
    return f"({_BASES[spend.basis]}{known})"


_BASES = {
    SpendBasis.BILLED: "billed",
    SpendBasis.ESTIMATED: "estimated, not billed yet",
    SpendBasis.MIXED: "partly estimated",
}


def _spends(digest: Digest) -> Section | None:
    if not digest.spends:
        return None
    before = "A week earlier" if digest.every == "day" else "Week before"
    rows = tuple(
        (
            Cell(text=_name(one.value)),
            Cell(text=amount(one.amount, one.unit)),
            Cell(text=_NOTHING if one.before is None else number(one.before, one.unit)),
            Cell(text=_change(one), tone=_tone(one)),
            Cell(text=_remark(one)),
        )
        for one in digest.spends
    )
    shown = len({one.value for one in digest.spends})
    notes = (f"{digest.values - shown} more are in the sum.",) if digest.values > shown else ()
    head = (label_name(digest.by).capitalize(), "Spend", before, "Change", "")
    return Section(title=f"Spend by {label_name(digest.by)}", head=head, rows=rows, notes=notes)


def _changes(digest: Digest) -> Section | None:
    if not digest.changes:
        return None
    rows = tuple(
        (
            Cell(text=_name(one.value)),
            Cell(text=amount(one.change or 0.0, one.unit, signed=True), tone=_tone(one)),
            Cell(text="new" if one.share is None else _percent(one.share), tone=_tone(one)),
        )
        for one in digest.changes
    )
    head = (label_name(digest.by).capitalize(), "Change", "")
    return Section(title="Largest changes", head=head, rows=rows)


def _days(digest: Digest) -> Section | None:
    rows = []
    for total in digest.totals:
        longest = max((abs(day.amount) for day in total.days if day.amount is not None), default=0.0)
        rows += [_day(day, total, longest) for day in total.days]
    return Section(title="Day by day", head=("Day", "Spend", ""), rows=tuple(rows)) if rows else None


def _day(day: DaySpend, total: Spend, longest: float) -> tuple[Cell, ...]:
    name = Cell(text=f"{day.day:%a %Y-%m-%d}")
    if day.amount is None:
        late = day.day + timedelta(days=1) > total.known_until
        return (name, Cell(text=_NOTHING), Cell(text="not there yet" if late else "no spend"))
    share = abs(day.amount) / longest if longest else None
    partly = day.day + timedelta(days=1) > total.known_until
    remark = "not complete yet" if partly else "" if day.basis is SpendBasis.BILLED else str(day.basis)
    return (name, Cell(text=amount(day.amount, total.unit), share=share), Cell(text=remark))


def _open(digest: Digest, public_url: str | None) -> Section | None:
    notes = []
    if digest.open.count > len(digest.open.named):
        notes.append(f"{digest.open.count - len(digest.open.named)} more are open.")
    if digest.silenced:
        notes.append(f"{digest.silenced} more are silenced.")
    if digest.other_open:
        notes.append(f"{digest.other_open} more are open that carry no {label_name(digest.by)}.")
    if not digest.open.count and not notes:
        return Section(title="No open alerts")
    rows = tuple(_alert(line, digest, public_url) for line in digest.open.named)
    title = f"Open alerts: {digest.open.count}{_stake(digest.open)}"
    return Section(title=title, head=_ALERT_HEAD if rows else (), rows=rows, notes=tuple(notes), wide=True)


def _held(digest: Digest, public_url: str | None) -> Section | None:
    held = digest.held_back
    if not held.count:
        return None
    notes = (f"{held.count - len(held.named)} more were.",) if held.count > len(held.named) else ()
    rows = tuple(_alert(line, digest, public_url) for line in held.named)
    title = f"Held back by the alert budget: {held.count}{_stake(held)}"
    return Section(title=title, head=_ALERT_HEAD, rows=rows, notes=notes, wide=True)


_ALERT_HEAD = ("Alert", "At stake", "Severity", "Since")


def _alert(line: AlertLine, digest: Digest, public_url: str | None) -> tuple[Cell, ...]:
    acknowledged = ", acknowledged" if line.state is AlertState.ACKNOWLEDGED else ""
    return (
        Cell(text=cut(one_line(line.reason) or _name(line.value), _REASON), link=alert_link(public_url, line.id)),
        Cell(text=amount(line.at_stake, line.unit, signed=True)),
        Cell(text=f"{line.severity.value}{acknowledged}"),
        Cell(text=_age(digest.made_at - line.since)),
    )


def _silences(digest: Digest) -> Section | None:
    if not digest.silences:
        return None
    rows = tuple(
        (
            Cell(text=cut(one_line(one.what), _REASON)),
            Cell(text=_moment(one.until)),
            Cell(text=cut(one_line(f"{one.owner}: {one.comment}" if one.comment else one.owner), _REASON)),
        )
        for one in digest.silences
    )
    return Section(title="Silences that end soon", head=("Silence", "Until", "Owner"), rows=rows, wide=True)


def _stake(alerts: AlertList) -> str:
    sums = [amount(money, unit, signed=True) for unit, money in alerts.at_stake.items()]
    return f", {' and '.join(sums)} at stake" if sums else ""


def _remark(spend: Spend) -> str:
    if not spend.complete:
        return f"known until {_moment(spend.known_until)}"
    return "" if spend.basis is SpendBasis.BILLED else _BASES[spend.basis]


def _change(spend: Spend) -> str:
    if spend.change is None:
        return _NOTHING if spend.before is not None or not spend.complete else "new"
    text = number(spend.change, spend.unit, signed=True)
    return text if spend.share is None else f"{text} ({_percent(spend.share)})"


def _tone(spend: Spend) -> str:
    """Of what is worth a second look: a tenth up or down."""
    share = spend.share
    return "" if share is None or abs(share) < 0.1 else "worse" if share > 0 else "better"


def _percent(share: float) -> str:
    """A tenth of a per cent up to a hundred; beyond a thousand nobody reads it.

    >>> _percent(0.0834), _percent(-0.0001), _percent(12.3), _percent(250.0)
    ('+8.3 %', '0.0 %', 'x 13.3', 'x 251')
    """
    if share >= 10:
        factor = share + 1
        return f"x {factor:.1f}" if factor < 100 else f"x {factor:,.0f}"
    tenths = round(share * 1000)
    return f"{tenths / 10:+.1f} %" if tenths else "0.0 %"


def _name(value: str) -> str:
    if value in (UNTAGGED, OTHER):
        return {UNTAGGED: "without a tag", OTHER: "all other values"}[value]
    return cut(one_line(value), _NAME) or "(empty)"


def _moment(at: datetime) -> str:
    """Midnights are dates."""
    return f"{at:%Y-%m-%d}" if not (at.hour or at.minute) else f"{at:%Y-%m-%d %H:%M}Z"


def _age(age: timedelta) -> str:
    """
    >>> _age(timedelta(hours=5)), _age(timedelta(days=3, hours=2)), _age(timedelta(minutes=5))
    ('5 hours', '3 days', '5 minutes')
    """
    for size, unit in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if age >= size:
            count = age // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "just now"
