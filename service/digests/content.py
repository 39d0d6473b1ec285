"""What a digest says: the spend of a period, what changed, what is open, what the alert budget held back. Pure.

A digest is data: each receiver writes it in its own form, and a repeated attempt writes the same. Tag values stand in
it as they came.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import fsum
from typing import Literal

from msgspec import Struct

from service.core.alerts import AlertKind, AlertRecord, AlertState, Severity
from service.core.routing import severity_rank
from service.digests.schedule import Period
from service.digests.sums import DaySum, Spend, largest_changes, spends_of, together
from service.settings import Digest as Settings


class AlertLine(Struct, frozen=True, kw_only=True):
    """An alert in one line. at_stake: its impact, in `unit`; negative for a fall. since: when it was first recorded."""

    id: str
    value: str
    reason: str
    kind: AlertKind
    severity: Severity
    state: AlertState
    at_stake: float
    unit: str
    since: datetime


class AlertList(Struct, frozen=True, kw_only=True):
    """Several alerts: the most expensive by name, and how many they are.

    at_stake: how much in all, by currency; falls are negative and are left out, as on the dashboard."""

    count: int
    at_stake: dict[str, float]
    named: tuple[AlertLine, ...]


class EndingSilence(Struct, frozen=True, kw_only=True):
    """A silence that ends before the next digest. what: its matchers, as people write them."""

    what: str
    owner: str
    comment: str
    until: datetime


class Digest(Struct, frozen=True, kw_only=True):
    """One letter: the overview of all values of a label, or, with `value`, that value alone.

    due_at: when it was to be sent. made_at: what is said of alerts is as of then. since: alerts that opened, ended or
    were held back after it are told of; the due time of the digest before.
    totals: all values together, per currency; those of the value in its own letter. spends: the largest of `values`
    values; empty in the letter of one. changes: the largest. incomplete: values whose spend is not all there yet.
    opened, ended: how many alerts of these values did. silenced: how many are open that a silence matches, which are
    not among `open`. other_open: open alerts of other labels.
    """

    name: str
    by: str
    every: Literal["day", "week"]
    value: str | None
    period: Period
    due_at: datetime
    made_at: datetime
    since: datetime
    totals: tuple[Spend, ...]
    spends: tuple[Spend, ...]
    values: int
    changes: tuple[Spend, ...]
    incomplete: tuple[str, ...]
    open: AlertList
    silenced: int
    opened: int
    ended: int
    held_back: AlertList
    other_open: int
    silences: tuple[EndingSilence, ...] = ()


class Moment(Struct, frozen=True, kw_only=True):
    """When a digest is made; see Digest."""

    period: Period
    due_at: datetime
    made_at: datetime
    since: datetime


def overview(settings: Settings, moment: Moment, rows: Iterable[DaySum], alerts: Iterable[AlertRecord]) -> Digest:
    """Of all values, or of those that `only` names."""
    return _digest(settings, moment, None, rows, alerts)


def of_value(
    settings: Settings, moment: Moment, value: str, rows: Iterable[DaySum], alerts: Iterable[AlertRecord]
) -> Digest:
    """Of one value alone."""
    return _digest(settings, moment, value, rows, alerts)


def _digest(
    settings: Settings, moment: Moment, value: str | None, rows: Iterable[DaySum], alerts: Iterable[AlertRecord]
) -> Digest:
    def is_meant(found: str) -> bool:
        return found == value if value is not None else settings.only is None or found in settings.only

    period, top = moment.period, settings.top
    spends = spends_of((row for row in rows if is_meant(row.value)), period)
    known = [record for record in alerts if record.created_at <= moment.made_at and record.pending_since is None]
    labelled = [one for one in known if settings.by in one.alert.labels and is_meant(one.alert.labels[settings.by])]
    # One that another of these is told in place of is the same money once more.
    ids = {record.alert.id for record in labelled}
    own = [record for record in labelled if record.inhibited_by not in ids]
    open_now = [record for record in own if _is_open(record, moment.made_at)]
    others = (
        0
        if value is not None
        else sum(settings.by not in one.alert.labels for one in known if _is_open(one, moment.made_at))
    )
    return Digest(
        name=settings.name,
        by=settings.by,
        every=settings.every,
        value=value,
        period=period,
        due_at=moment.due_at,
        made_at=moment.made_at,
        since=moment.since,
        totals=together(spends, period) if value is None else tuple(spends),
        spends=tuple(spends[: max(top, _LEAST_SPENDS)]) if value is None else (),
        values=len({one.value for one in spends}),
        changes=largest_changes(spends, top) if value is None else (),
        incomplete=tuple(dict.fromkeys(one.value for one in spends if not one.complete)),
        open=_listed([one for one in open_now if not one.held_back and not _is_silenced(one)], settings.by, top),
        silenced=sum(map(_is_silenced, open_now)),
        opened=sum(record.created_at > moment.since for record in own),
        ended=sum(moment.since < at <= moment.made_at for record in own if (at := _ended_at(record)) is not None),
        held_back=_listed([one for one in own if _was_held(one, moment)], settings.by, top),
        other_open=others,
    )


_LEAST_SPENDS = 10
"""A table of ten teams is as easily read as one of five."""


def _ended_at(record: AlertRecord) -> datetime | None:
    """When it was over; None while it is not. A withdrawal leaves no time of its own."""
    return (record.resolved_at or record.updated_at) if record.state.is_over else None


def _is_open(record: AlertRecord, at: datetime) -> bool:
    ended = _ended_at(record)
    return ended is None or ended > at


def _is_silenced(record: AlertRecord) -> bool:
    return record.state is AlertState.SILENCED


def _was_held(record: AlertRecord, moment: Moment) -> bool:
    """Held back since the digest before, or still open and untold."""
    return record.held_back and (record.created_at > moment.since or _is_open(record, moment.made_at))


def _listed(records: Sequence[AlertRecord], by: str, top: int) -> AlertList:
    at_stake = [record.alert for record in records if record.alert.impact > 0]
    units = sorted({alert.unit for alert in at_stake})
    ordered = sorted(records, key=_by_money)
    return AlertList(
        count=len(records),
        at_stake={unit: fsum(one.impact for one in at_stake if one.unit == unit) for unit in units},
        named=tuple(_line(record, by) for record in ordered[:top]),
    )


def _by_money(record: AlertRecord) -> tuple[str, float, int, str]:
    alert = record.alert
    return (alert.unit, -abs(alert.impact), -severity_rank(alert.severity), alert.id)


def _line(record: AlertRecord, by: str) -> AlertLine:
    alert = record.alert
    return AlertLine(
        id=alert.id,
        value=alert.labels.get(by, ""),
        reason=alert.reason,
        kind=alert.kind,
        severity=alert.severity,
        state=record.state,
        at_stake=alert.impact,
        unit=alert.unit,
        since=record.created_at,
    )
