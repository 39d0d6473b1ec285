"""Listings of alerts: filters, pages, counts."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.alerts import COUNTED, AlertState, Severity
from service.store.recording import decode_record, searchable
from service.store.store import MAX_PAGE, AlertQuery, BadCursorError, Page, Summary
from service.store.tables import LABEL_LENGTH, alert_labels, alerts


async def find(connection: AsyncConnection, query: AlertQuery) -> Page:
    """Raises BadCursorError."""
    where = _conditions(query)
    total = (await connection.execute(select(func.count()).select_from(alerts).where(*where))).scalar_one()
    if query.cursor is not None:
        where.append(alerts.c.seq < _position(query.cursor))
    limit = max(1, min(query.limit, MAX_PAGE))
    # One more than asked for tells whether there is a next page.
    page = select(alerts.c.document, alerts.c.seq).where(*where).order_by(alerts.c.seq.desc()).limit(limit + 1)
    rows = (await connection.execute(page)).all()
    items = tuple(decode_record(row.document) for row in rows[:limit])
    return Page(items=items, next_cursor=f"s{items[-1].seq}" if len(rows) > limit else None, total=total)


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


def _conditions(query: AlertQuery) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if query.states:
        where.append(alerts.c.state.in_([state.value for state in query.states]))
    if query.severities:
        where.append(alerts.c.severity.in_([severity.value for severity in query.severities]))
    if query.tenant is not None:
        where.append(alerts.c.tenant == searchable(query.tenant))
    if query.since is not None:
        where.append(alerts.c.updated_at >= query.since)
    if query.text:
        text = searchable(query.text)
        where.append(
            or_(alerts.c.series.icontains(text, autoescape=True), alerts.c.reason.icontains(text, autoescape=True))
        )
    where.extend(_has_label(name, value) for name, value in query.labels.items())
    return where


def _has_label(name: str, value: str) -> ColumnElement[bool]:
    # IN and not EXISTS: few alerts carry a label, so it is where the search should begin.
    carriers = select(alert_labels.c.alert_id).where(
        alert_labels.c.name == searchable(name, LABEL_LENGTH), alert_labels.c.value == searchable(value, LABEL_LENGTH)
    )
    return alerts.c.id.in_(carriers)
