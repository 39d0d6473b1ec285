"""The book of the alert budgets in SQL."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.budget import PageEntry
from service.store.tables import pages


async def load_pages(connection: AsyncConnection, since: datetime | None = None) -> list[PageEntry]:
    """Entries after *since*, oldest first; None for all."""
    query = select(pages).order_by(pages.c.at, pages.c.alert_id)
    rows = await connection.execute(query if since is None else query.where(pages.c.at > since))
    return [
        PageEntry(
            label=row.label,
            group=row.group_value,
            alert_id=row.alert_id,
            at=row.at,
            held=bool(row.held),
            impact=row.impact,
            unit=row.unit,
            series=row.series,
        )
        for row in rows
    ]


async def save_pages(connection: AsyncConnection, entries: Iterable[PageEntry]) -> None:
    """Replace what is kept of these. The transaction is the caller's."""
    latest = {(entry.label, entry.group, entry.alert_id): entry for entry in entries}
    rows = [
        {
            "label": entry.label,
            "group_value": entry.group,
            "alert_id": entry.alert_id,
            "at": entry.at,
            "held": entry.held,
            "impact": entry.impact,
            "unit": entry.unit,
            "series": entry.series,
        }
        for entry in latest.values()
    ]
    if not rows:
        return
    key = [pages.c[name] == bindparam(f"old_{name}") for name in ("label", "group_value", "alert_id")]
    old = [{f"old_{name}": row[name] for name in ("label", "group_value", "alert_id")} for row in rows]
    await connection.execute(delete(pages).where(*key), old)
    await connection.execute(insert(pages), rows)
