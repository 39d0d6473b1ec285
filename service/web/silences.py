"""`/api/v1/silences`: what keeps alerts from people for a while, and what it would keep."""

from datetime import UTC, datetime
from typing import Annotated

from litestar import Router, delete, get, post, put
from litestar.params import Body, FromPath, QueryParameter
from msgspec import Meta, Struct
from msgspec.structs import replace

from service.core.alerts import AlertRecord, AlertState
from service.core.silences import (
    MAX_MATCHERS,
    MAX_WINDOWS,
    Silence,
    SilenceError,
    SilenceKind,
    SilenceState,
    Weekly,
    check,
    expires_soon,
    planned,
    silenced_by,
    state_of,
)
from service.maintenance import maintenance_of
from service.store.store import MAX_PAGE, AlertQuery
from service.web.errors import BAD_REQUEST, UNAVAILABLE, problem_spec
from service.web.parts import Given, Parts, person_named

_OPEN = tuple(state for state in AlertState if not state.is_over)
_MATCHER = Annotated[str, Meta(min_length=1, max_length=2048)]
_Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\S")]
_Text = Annotated[str, Meta(max_length=2000)]
_Instant = Annotated[datetime, Meta(tz=True)]
NOT_FOUND = {404: problem_spec("No silence has this id.")}


class NewSilence(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """matchers: in Alertmanager's syntax, all must hold; at least one that can leave an alert out.

    starts_at: now where it is left out. recurrence: within starts_at and ends_at only while one of these windows is
    open. amount_per_day, unit: of planned_spend: how much more than usual is covered.
    """

    matchers: Annotated[tuple[_MATCHER, ...], Meta(min_length=1, max_length=MAX_MATCHERS)]
    created_by: _Name
    ends_at: _Instant
    comment: _Text = ""
    kind: SilenceKind = SilenceKind.SILENCE
    starts_at: _Instant | None = None
    recurrence: Annotated[tuple[Weekly, ...], Meta(max_length=MAX_WINDOWS)] = ()
    amount_per_day: float | None = None
    unit: Annotated[str, Meta(max_length=64)] | None = None


class SilenceChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be changed of one that is not over."""

    ends_at: _Instant
    comment: _Text
    amount_per_day: float | None = None


class SilenceEntry(Struct, frozen=True, kw_only=True):
    """A silence with what is so at the moment. expires_soon: it ends within
    `silences.expires_soon_seconds` of the configuration. fixed: of the configuration."""

    silence: Silence
    state: SilenceState
    expires_soon: bool
    fixed: bool = False

    @classmethod
    def of(cls, parts: Parts, silence: Silence, *, fixed: bool = False) -> "SilenceEntry":
        at, within = parts.clock.now(), parts.settings.silences.expires_soon
        soon = expires_soon(silence, at, within)
        return cls(silence=silence, state=state_of(silence, at), expires_soon=soon, fixed=fixed)


class SilenceList(Struct, frozen=True, kw_only=True):
    items: tuple[SilenceEntry, ...]


class PreviewEntry(Struct, frozen=True, kw_only=True):
    alert_id: str
    series: str
    state: AlertState
    impact: float
    unit: str


class Preview(Struct, frozen=True, kw_only=True):
    """Open alerts that it would keep from people if it were active now, newest activity first; at most MAX_PAGE are
    looked at."""

    items: tuple[PreviewEntry, ...]


async def listed(parts: Parts, state: SilenceState | None) -> list[SilenceEntry]:
    """Those of the configuration first, then those of people, what ends last first."""
    now = parts.clock.now()
    fixed = [SilenceEntry.of(parts, one, fixed=True) for one in maintenance_of(parts.settings)]
    made = [SilenceEntry.of(parts, one) for one in await parts.silences.silences(at=now, state=state)]
    return [*(one for one in fixed if state in (None, one.state)), *made]


def draft_of(data: NewSilence, now: datetime) -> Silence:
    """Without an id, which the store gives. Raises SilenceError."""
    silence = Silence(
        id="",
        kind=data.kind,
        matchers=data.matchers,
        created_by=person_named(data.created_by),
        comment=data.comment,
        starts_at=_in_utc("starts_at", data.starts_at or now),
        ends_at=_in_utc("ends_at", data.ends_at),
        recurrence=data.recurrence,
        amount_per_day=data.amount_per_day,
        unit=data.unit,
        created_at=now,
        updated_at=now,
    )
    check(silence)
    return silence


def _in_utc(field: str, at: datetime) -> datetime:
    """Raises SilenceError for what lies beyond the calendar there."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise SilenceError(field, f"expected a time that exists in UTC, got {at.isoformat()}") from None


async def add(parts: Parts, data: NewSilence) -> SilenceEntry:
    """Raises SilenceError."""
    now = parts.clock.now()
    made = await parts.silences.add_silence(draft_of(data, now))
    return SilenceEntry.of(parts, made)


async def would_keep(parts: Parts, silence: Silence) -> list[AlertRecord]:
    """Of a silence, as if it were active now: its windows do not count."""
    now = parts.clock.now()
    found = (await parts.store.find(AlertQuery(states=_OPEN, limit=MAX_PAGE))).items
    return [record for record in found if _keeps(silence, record, now)]


def _keeps(silence: Silence, record: AlertRecord, now: datetime) -> bool:
    if silence.kind is SilenceKind.PLANNED_SPEND:
        return planned([silence], record.alert) is not None
    if silence.kind is SilenceKind.SILENCE:
        silence = replace(silence, recurrence=())
    at = silence.starts_at if now < silence.starts_at else now
    return bool(silenced_by([silence], record.alert, at))


@get("/silences", summary="List silences", responses={**BAD_REQUEST, **UNAVAILABLE})
async def list_silences(
    parts: Given,
    in_state: Annotated[SilenceState | None, QueryParameter(name="state", description="Only these.")] = None,
) -> SilenceList:
    """Silences, maintenance windows and planned spend; the windows of the configuration among them."""
    return SilenceList(items=tuple(await listed(parts, in_state)))


@post("/silences", summary="Silence alerts", status_code=201, responses={**BAD_REQUEST, **UNAVAILABLE})
async def add_silence(parts: Given, data: Annotated[NewSilence, Body()]) -> SilenceEntry:
    """It holds within a second: open alerts that match become `silenced`, and only their end is told.

    `maintenance` and `planned_spend` look at the time of the alert's own periods instead of the clock, since bills come
    late; spend within a plan becomes `expected`.
    """
    return await add(parts, data)


@post(
    "/silences/preview",
    summary="See what a silence would keep",
    status_code=200,
    responses={**BAD_REQUEST, **UNAVAILABLE},
)
async def preview_silence(parts: Given, data: Annotated[NewSilence, Body()]) -> Preview:
    found = await would_keep(parts, draft_of(data, parts.clock.now()))
    return Preview(items=tuple(map(_previewed, found)))


@get("/silences/{silence_id:str}", summary="Get one silence", responses={**BAD_REQUEST, **NOT_FOUND, **UNAVAILABLE})
async def get_silence(parts: Given, silence_id: FromPath[str]) -> SilenceEntry:
    fixed = next((one for one in maintenance_of(parts.settings) if one.id == silence_id), None)
    if fixed is not None:
        return SilenceEntry.of(parts, fixed, fixed=True)
    return SilenceEntry.of(parts, await parts.silences.silence(silence_id))


@put("/silences/{silence_id:str}", summary="Change a silence", responses={**BAD_REQUEST, **NOT_FOUND, **UNAVAILABLE})
async def change_silence(
    parts: Given, silence_id: FromPath[str], data: Annotated[SilenceChange, Body()]
) -> SilenceEntry:
    """Its end, comment or amount; what it matches stays: make a new one for that."""
    now = parts.clock.now()
    ends_at = _in_utc("ends_at", data.ends_at)
    changed = await parts.silences.change_silence(
        silence_id, ends_at=ends_at, comment=data.comment, amount_per_day=data.amount_per_day, at=now
    )
    return SilenceEntry.of(parts, changed)


@delete(
    "/silences/{silence_id:str}",
    summary="End a silence",
    status_code=200,
    responses={**BAD_REQUEST, **NOT_FOUND, **UNAVAILABLE},
)
async def expire_silence(parts: Given, silence_id: FromPath[str]) -> SilenceEntry:
    """It is over at once, and stays listed as expired. Doing it again changes nothing."""
    return SilenceEntry.of(parts, await parts.silences.expire_silence(silence_id, at=parts.clock.now()))


def _previewed(record: AlertRecord) -> PreviewEntry:
    alert = record.alert
    return PreviewEntry(
        alert_id=alert.id, series=alert.series, state=record.state, impact=alert.impact, unit=alert.unit
    )


def silences_router() -> Router:
    handlers = [list_silences, add_silence, preview_silence, get_silence, change_silence, expire_silence]
    return Router(path="/api/v1", route_handlers=handlers, tags=["silences"])
