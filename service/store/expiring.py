"""Warnings of silences that end soon, in SQL: each end is told once, however many processes look after it.

What there is to tell is decided and written in one transaction, under the lock on the events; the letter's id, made of
the silence and its end, is what tells that it is told. So a crash leaves a warning with all its deliveries, or none.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.alerts import AlertState
from service.core.silences import Silence
from service.digests.expiry import ExpiryWarning, warning_of
from service.store.database import Database, last_seq
from service.store.documents import decode_record
from service.store.letters import put_letters
from service.store.store import Letter
from service.store.tables import alerts, letters, silences

_decode = msgspec.json.Decoder(Silence).decode


class SqlExpiryWarnings:
    """`warn_of_expiry` of service/delivery/expiry.py. Raises StoreUnavailableError when the database is away."""

    _database: Database

    async def warn_of_expiry(self, *, at: datetime, within: timedelta, receivers: Sequence[str]) -> list[ExpiryWarning]:
        """Put a letter to *receivers* into the outbox about each silence that ends until *at* and *within*; returns
        what they say. Also of those that have ended since as long before *at*, if nobody was warned.

        One whose end is moved is warned of again. One that a person ended, or gave an end that had been, is not: that
        person knows.
        """
        # Asked without the lock first: nearly always there is none.
        async with self._database.reading() as connection:
            if not await _untold(connection, at, within):
                return []
        async with self._database.writing() as connection:
            await last_seq(connection, lock=True)
            found = await _untold(connection, at, within)
            count = await _silenced(connection) if found else {}
            warnings = [warning_of(one, at=at, silenced=count.get(one.id, 0)) for one in found]
            await put_letters(connection, [_letter(one, receivers) for one in warnings], at)
            return warnings


async def _untold(connection: AsyncConnection, at: datetime, within: timedelta) -> list[Silence]:
    near = select(silences.c.document).where(silences.c.until > at - within, silences.c.until <= at + within)
    rows = await connection.execute(near.order_by(silences.c.until, silences.c.id))
    found = [one for one in (_decode(row.document) for row in rows) if _ends_by_itself(one) and one.starts_at <= at]
    ids = {letter_id(one.id, one.until): one for one in found}
    told = await connection.execute(select(letters.c.id).where(letters.c.id.in_(ids)))
    for row in told:
        del ids[row.id]
    return list(ids.values())


def _ends_by_itself(silence: Silence) -> bool:
    return silence.expired_at is None and silence.ends_at > silence.updated_at


async def _silenced(connection: AsyncConnection) -> dict[str, int]:
    """How many open alerts each silence keeps."""
    held = select(alerts.c.document).where(alerts.c.state == AlertState.SILENCED.value)
    counts: dict[str, int] = {}
    for row in await connection.execute(held):
        for silence in decode_record(row.document).silenced_by:
            counts[silence] = counts.get(silence, 0) + 1
    return counts


def letter_id(silence: str, until: datetime) -> str:
    """The same for the same end of a silence, whoever tells of it."""
    return "letter_" + hashlib.sha256(f"silence\n{silence}\n{until.isoformat()}".encode()).hexdigest()[:32]


def _letter(warning: ExpiryWarning, receivers: Sequence[str]) -> Letter:
    return Letter(
        id=letter_id(warning.silence, warning.until),
        digest=None,
        value=None,
        due_at=warning.made_at,
        content=warning,
        receivers=tuple(receivers),
    )
