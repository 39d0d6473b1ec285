"""Records as the database keeps them: a JSON document beside the columns that are asked for."""

from collections.abc import Iterable

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.alerts import AlertRecord
from service.store.database import chunks
from service.store.tables import alerts

decode_record = msgspec.json.Decoder(AlertRecord).decode


def searchable(text: str, length: int | None = None) -> str:
    """Text for a column: PostgreSQL refuses NUL, which JSON may carry (and the document keeps)."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:length]


async def read_records(connection: AsyncConnection, alert_ids: Iterable[str]) -> dict[str, AlertRecord]:
    """By id; those that are there."""
    found: dict[str, AlertRecord] = {}
    for ids in chunks(sorted(set(alert_ids))):
        rows = await connection.execute(select(alerts.c.id, alerts.c.document).where(alerts.c.id.in_(ids)))
        found.update((row.id, decode_record(row.document)) for row in rows)
    return found
