"""What series cost, in SQL: statements in, sums by day out."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from connectors.series import SeriesKey
from service.core.spend import SpendStatement
from service.digests.sums import DaySum, SpendBasis
from service.store.database import insert_into
from service.store.documents import searchable
from service.store.tables import spend

_CHANGING = ("amount", "basis", "born", "log_offset")


async def save_spend(connection: AsyncConnection, statements: Sequence[SpendStatement]) -> None:
    """Keep the newest about each bucket, whatever the order they come in. The transaction is the caller's."""
    newest: dict[str, SpendStatement] = {}
    for one in statements:
        known = newest.get(one.key)
        if known is None or (one.born, one.offset) > (known.born, known.offset):
            newest[one.key] = one
    # In one order for all, so that two writers of the same rows cannot wait for each other.
    rows = [_row(newest[key]) for key in sorted(newest)]
    if not rows:
        return
    new = insert_into(connection, spend)
    newer = tuple_(new.excluded.born, new.excluded.log_offset) > tuple_(spend.c.born, spend.c.log_offset)
    changing = {name: new.excluded[name] for name in _CHANGING}
    upsert = new.on_conflict_do_update(index_elements=[spend.c.series, spend.c.start], set_=changing, where=newer)
    await connection.execute(upsert, rows)


async def load_sums(
    connection: AsyncConnection, *, tenant: str, label: str, metric: str, since: datetime, until: datetime
) -> list[DaySum]:
    """Of the days from *since* on, before *until*; in order of value and day."""
    keys = (spend.c.value, spend.c.unit, spend.c.grain_seconds, spend.c.day)
    query = (
        select(
            *keys,
            func.sum(spend.c.amount).label("amount"),
            func.min(spend.c.basis).label("least"),
            func.max(spend.c.basis).label("most"),
            func.max(spend.c.start).label("last"),
        )
        .where(spend.c.label == label, spend.c.metric == metric, spend.c.tenant == tenant)
        .where(spend.c.day >= since, spend.c.day < until)
        .group_by(*keys)
        .order_by(*keys)
    )
    return [
        DaySum(
            value=row.value,
            unit=row.unit,
            grain_seconds=row.grain_seconds,
            day=row.day,
            amount=float(row.amount),
            basis=SpendBasis(row.least) if row.least == row.most else SpendBasis.MIXED,
            until=row.last + timedelta(seconds=row.grain_seconds),
        )
        for row in await connection.execute(query)
    ]


async def forget_spend(connection: AsyncConnection, before: datetime) -> int:
    """How many rows were older."""
    return (await connection.execute(delete(spend).where(spend.c.day < before))).rowcount


def _row(statement: SpendStatement) -> dict[str, object]:
    series = SeriesKey.parse(statement.series)
    label, value = series.label
    return {
        "series": searchable(statement.series),
        "start": statement.start.astimezone(UTC),
        "tenant": searchable(series.tenant),
        "metric": series.metric,
        "label": searchable(label),
        "value": searchable(value),
        "unit": series.unit,
        "grain_seconds": series.grain.seconds,
        "day": statement.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0),
        "amount": statement.amount,
        "basis": statement.basis.value,
        "born": statement.born,
        "log_offset": statement.offset,
    }
