"""Silences in SQL: written by people, read by the dispatch."""

import secrets
from datetime import datetime
from typing import Protocol

import msgspec
import structlog
from msgspec.structs import replace
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.silences import Silence, SilenceError, SilenceKind, SilenceState, check, state_of
from service.store.database import SILENCES, Database
from service.store.tables import counters, silences

MAX_KEPT = 2_000
"""Beyond it new ones are refused: all that are not over are asked for every alert."""
_decode = msgspec.json.Decoder(Silence).decode
_log = structlog.get_logger(__name__)


class SilenceNotFoundError(LookupError):
    """No silence has this id."""

    def __init__(self, silence_id: str) -> None:
        super().__init__(f"no silence has the id {silence_id[:100]!r}")
        self.silence_id = silence_id


class SilenceStore(Protocol):
    """Silences, maintenance windows and plans of people. Each change is one transaction."""

    async def add_silence(self, draft: Silence) -> Silence:
        """Keep it under an id of its own, whatever the draft's. Raises SilenceError."""

    async def silence(self, silence_id: str) -> Silence:
        """Raises SilenceNotFoundError."""

    async def change_silence(
        self, silence_id: str, *, ends_at: datetime, comment: str, amount_per_day: float | None, at: datetime
    ) -> Silence:
        """Raises SilenceNotFoundError, and SilenceError also for one that is over."""

    async def expire_silence(self, silence_id: str, *, at: datetime) -> Silence:
        """End it now; one that is over stays as it is. Raises SilenceNotFoundError."""

    async def silences(self, *, at: datetime, state: SilenceState | None = None, limit: int = 500) -> list[Silence]:
        """Those in this state, or all; what ends last comes first."""


class SqlSilences:
    """The SilenceStore protocol. All methods raise StoreUnavailableError when the database is away."""

    _database: Database

    async def add_silence(self, draft: Silence) -> Silence:
        silence, at = replace(draft, id=secrets.token_hex(8)), draft.created_at
        check(silence)
        async with self._database.writing() as connection:
            if (await connection.scalar(select(func.count()).where(silences.c.until > at)) or 0) >= MAX_KEPT:
                raise SilenceError("matchers", f"there are {MAX_KEPT} silences already; expire some first")
            await connection.execute(insert(silences).values(id=silence.id, **_row(silence)))
            await _changed(connection)
        return silence

    async def silence(self, silence_id: str) -> Silence:
        async with self._database.reading() as connection:
            return await _one(connection, silence_id)

    async def change_silence(
        self, silence_id: str, *, ends_at: datetime, comment: str, amount_per_day: float | None, at: datetime
    ) -> Silence:
        async with self._database.writing() as connection:
            known = await _one(connection, silence_id)
            if state_of(known, at) is SilenceState.EXPIRED:
                raise SilenceError("id", "it has expired; make a new one")
            changed = replace(known, ends_at=ends_at, comment=comment, amount_per_day=amount_per_day, updated_at=at)
            check(changed)
            await _write(connection, changed)
            return changed

    async def expire_silence(self, silence_id: str, *, at: datetime) -> Silence:
        async with self._database.writing() as connection:
            known = await _one(connection, silence_id)
            if state_of(known, at) is SilenceState.EXPIRED:
                return known
            expired = replace(known, expired_at=at, updated_at=at)
            await _write(connection, expired)
            return expired

    async def silences(self, *, at: datetime, state: SilenceState | None = None, limit: int = 500) -> list[Silence]:
        query = select(silences.c.document).order_by(silences.c.until.desc(), silences.c.id)
        if state is SilenceState.EXPIRED:
            query = query.where(silences.c.until <= at)
        elif state is not None:
            query = query.where(silences.c.until > at)
        async with self._database.reading() as connection:
            rows = await connection.execute(query.limit(max(1, min(limit, MAX_KEPT))))
            found = [_decode(row.document) for row in rows]
        return [one for one in found if state is None or state_of(one, at) is state]


async def version_of(connection: AsyncConnection) -> int:
    """Another one after every change, whoever's clock it was made by."""
    query = select(counters.c.value).where(counters.c.name == SILENCES)
    return int((await connection.execute(query)).scalar_one())


async def load_silences(connection: AsyncConnection, now: datetime, *, since: datetime) -> list[Silence]:
    """All that are not over, and of maintenance and plans those that were not at *since*: bills come late."""
    query = select(silences.c.document).where(silences.c.until > since).order_by(silences.c.id)
    found = [_decode(row.document) for row in await connection.execute(query)]
    return [one for one in found if (one.kind is not SilenceKind.SILENCE or one.until > now) and _makes_sense(one)]


def _makes_sense(silence: Silence) -> bool:
    """One that another version of ours has let pass must not keep all others from being asked."""
    try:
        check(silence)
    except SilenceError as error:
        _log.error("a silence cannot be read, and silences nothing", silence=silence.id, problem=str(error))
        return False
    return True


async def _one(connection: AsyncConnection, silence_id: str) -> Silence:
    query = select(silences.c.document).where(silences.c.id == silence_id.replace("\0", ""))
    document = (await connection.execute(query)).scalar_one_or_none()
    if document is None:
        raise SilenceNotFoundError(silence_id)
    return _decode(document)


async def _write(connection: AsyncConnection, silence: Silence) -> None:
    await connection.execute(update(silences).where(silences.c.id == silence.id).values(**_row(silence)))
    await _changed(connection)


async def _changed(connection: AsyncConnection) -> None:
    change = update(counters).where(counters.c.name == SILENCES)
    await connection.execute(change.values(value=counters.c.value + 1))


def _row(silence: Silence) -> dict[str, object]:
    document = msgspec.json.encode(silence).decode()
    return {"until": silence.until, "updated_at": silence.updated_at, "document": document}
