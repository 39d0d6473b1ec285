"""Listings of alerts: filters, pages, counts."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, FromClause, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.alerts import COUNTED, AlertRecord, AlertState, Severity
from service.store.database import last_seq
from service.store.documents import decode_record, searchable
from service.store.store import (
    BY_PEOPLE,
    LATELY,
    MAX_PAGE,
    MAX_PEOPLE,
    AlertQuery,
    BadCursorError,
    Page,
    Summary,
    named_last,
)
from service.store.tables import LABEL_LENGTH, alert_labels, alerts, events


async def find(connection: AsyncConnection, query: AlertQuery) -> Page:
    """Raises BadCursorError."""
    where = _conditions(query)
    if query.folded:
        where.append(_is_not_part_of_another(query))
    total = (await connection.execute(select(func.count()).select_from(alerts).where(*where))).scalar_one()
    if query.cursor is not None:
        where.append(alerts.c.seq < _position(query.cursor))
    limit = max(1, min(query.limit, MAX_PAGE))
    # One more than asked for tells whether there is a next page.
    page = select(alerts.c.document, alerts.c.seq).where(*where).order_by(alerts.c.seq.desc()).limit(limit + 1)
    rows = (await connection.execute(page)).all()
    items = tuple(decode_record(row.document) for row in rows[:limit])
    return Page(items=items, next_cursor=f"s{items[-1].seq}" if len(rows) > limit else None, total=total)


async def inhibited(connection: AsyncConnection, heads: Sequence[str]) -> list[AlertRecord]:
    """What these alerts are told in place of, largest impact first; without history."""
    if not heads:
        return []
    of_heads = alerts.c.inhibited_by.in_([searchable(head) for head in heads])
    order = func.abs(alerts.c.impact).desc(), alerts.c.id
    rows = await connection.execute(select(alerts.c.document).where(of_heads).order_by(*order))
    records = (decode_record(row.document) for row in rows)
    return [replace(record, alert=replace(record.alert, history=())) for record in records]


async def people(connection: AsyncConnection) -> list[str]:
    """As AlertStore says."""
    last = func.max(alerts.c.seq)
    is_owned = alerts.c.assigned_to.is_not(None)
    owners = select(last, alerts.c.assigned_to).where(is_owned).group_by(alerts.c.assigned_to)
    lately = events.c.seq > await last_seq(connection) - LATELY
    by_people = events.c.type.in_([kind.value for kind in BY_PEOPLE])
    actors = select(func.max(events.c.seq), events.c.actor).where(lately, by_people).group_by(events.c.actor)
    return named_last(
        [(seq, name) for seq, name in await connection.execute(owners.order_by(last.desc()).limit(MAX_PEOPLE))],
        [(seq, name) for seq, name in await connection.execute(actors)],
    )


async def summarize(connection: AsyncConnection, tenant: str | None) -> Summary:
    of_tenant = [] if tenant is None else [alerts.c.tenant == searchable(tenant)]
    is_open = alerts.c.state.in_([state.value for state in COUNTED])
    groups = select(alerts.c.state, func.count()).where(*of_tenant).group_by(alerts.c.state)
    by_state = _counts(await connection.execute(groups))
    groups = select(alerts.c.severity, func.count()).where(is_open, *of_tenant).group_by(alerts.c.severity)
    by_severity = _counts(await connection.execute(groups))
    sums = (
        select(alerts.c.unit, func.sum(alerts.c.impact))
        .where(is_open, alerts.c.impact > 0, *of_tenant)
        .group_by(alerts.c.unit)
        .order_by(alerts.c.unit)
    )
    return Summary(
        states={state: by_state.get(state.value, 0) for state in AlertState},
        severities={severity: by_severity.get(severity.value, 0) for severity in Severity},
        impact={unit: float(total) for unit, total in await connection.execute(sums)},
    )


def _counts(rows: Iterable[Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in rows}


def _position(cursor: str) -> int:
    digits = cursor.removeprefix("s")
    if digits == cursor or not digits.isdecimal() or len(digits) > 18:
        raise BadCursorError(cursor)
    return int(digits)


def _conditions(query: AlertQuery, of: FromClause = alerts) -> list[ColumnElement[bool]]:
    """of: the table of alerts, or an alias of it."""
    where: list[ColumnElement[bool]] = []
    if query.states:
        where.append(of.c.state.in_([state.value for state in query.states]))
    if query.severities:
        where.append(of.c.severity.in_([severity.value for severity in query.severities]))
    if query.tenant is not None:
        where.append(of.c.tenant == searchable(query.tenant))
    if query.since is not None:
        where.append(of.c.updated_at >= query.since)
    if query.assigned_to is not None:
        where.append(of.c.assigned_to == searchable(query.assigned_to))
    if query.unassigned:
        where.append(of.c.assigned_to.is_(None))
    if query.inhibited_by is not None:
        where.append(of.c.inhibited_by == searchable(query.inhibited_by))
    if query.text:
        text = searchable(query.text)
        where.append(or_(of.c.series.icontains(text, autoescape=True), of.c.reason.icontains(text, autoescape=True)))
    where.extend(_has_label(of, name, value) for name, value in query.labels.items())
    return where


def _is_not_part_of_another(query: AlertQuery) -> ColumnElement[bool]:
    """Told by itself, or its head is not in the list. A head that has one of its own counts for none: of two that
    name each other both are shown."""
    head = alerts.alias("head")
    shown = exists().where(head.c.id == alerts.c.inhibited_by, head.c.inhibited_by.is_(None), *_conditions(query, head))
    return or_(alerts.c.inhibited_by.is_(None), ~shown)


def _has_label(of: FromClause, name: str, value: str) -> ColumnElement[bool]:
    # IN and not EXISTS: few alerts carry a label, so it is where the search should begin.
    carriers = select(alert_labels.c.alert_id).where(
        alert_labels.c.name == searchable(name, LABEL_LENGTH), alert_labels.c.value == searchable(value, LABEL_LENGTH)
    )
    return of.c.id.in_(carriers)
