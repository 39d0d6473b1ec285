"""The page on which people silence alerts: what is silenced, a form, and what the form would keep."""

from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect
from msgspec import Meta, Struct

from service.core.silences import Silence, SilenceError, SilenceKind, usual_start
from service.web.pages import page
from service.web.parts import Given, Parts
from service.web.silences import NewSilence, add, draft_of, listed, would_keep
from service.web.views import row

Asked = Request[Any, Any, State]
_SHOWN = 200
_EMPTY = {
    "matchers": "",
    "created_by": "",
    "hours": "8",
    "kind": SilenceKind.SILENCE.value,
    "comment": "",
    "amount_per_day": "",
    "unit": "",
}
"""The form as it is found."""


class SilenceForm(Struct, frozen=True, kw_only=True):
    """matchers: one a line. hours: from now on. amount_per_day: empty, or a number."""

    matchers: Annotated[str, Meta(max_length=20_000)]
    created_by: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\S")]
    hours: Annotated[float, Meta(gt=0, le=24 * 366)]
    kind: SilenceKind = SilenceKind.SILENCE
    comment: Annotated[str, Meta(max_length=2000)] = ""
    amount_per_day: Annotated[str, Meta(max_length=30)] = ""
    unit: Annotated[str, Meta(max_length=64)] = ""
    action: Annotated[str, Meta(max_length=20)] = "add"


class Longer(Struct, frozen=True, kw_only=True):
    """hours: after its end as it is."""

    hours: Annotated[float, Meta(gt=0, le=24 * 366)]


@get("/silences", include_in_schema=False)
async def show_silences(request: Asked, parts: Given) -> Response[str]:
    """`?matcher=team="search"` fills the form."""
    matchers = request.query_params.getall("matcher", [])
    return await _shown(parts, {**_EMPTY, "matchers": "\n".join(matchers)[:20_000]})


@post("/silences", include_in_schema=False)
async def add_silence(
    parts: Given, data: Annotated[SilenceForm, Body(media_type=RequestEncodingType.URL_ENCODED)]
) -> Response[str] | Redirect:
    filled = {
        "matchers": data.matchers,
        "created_by": data.created_by,
        "hours": f"{data.hours:g}",
        "kind": data.kind.value,
        "comment": data.comment,
        "amount_per_day": data.amount_per_day,
        "unit": data.unit,
    }
    try:
        asked = _asked(parts, data)
        if data.action == "preview":
            return await _shown(parts, filled, tried=draft_of(asked, parts.clock.now()))
        await add(parts, asked)
    except SilenceError as error:
        return await _shown(parts, filled, mistake=str(error))
    return Redirect("/silences", status_code=303)


@post("/silences/{silence_id:str}/extend", include_in_schema=False)
async def extend_silence(
    parts: Given, silence_id: FromPath[str], data: Annotated[Longer, Body(media_type=RequestEncodingType.URL_ENCODED)]
) -> Response[str] | Redirect:
    known = await parts.silences.silence(silence_id)
    try:
        await parts.silences.change_silence(
            silence_id,
            ends_at=known.ends_at + timedelta(hours=data.hours),
            comment=known.comment,
            amount_per_day=known.amount_per_day,
            at=parts.clock.now(),
        )
    except SilenceError as error:
        return await _shown(parts, _EMPTY, mistake=str(error))
    return Redirect("/silences", status_code=303)


@post("/silences/{silence_id:str}/expire", include_in_schema=False)
async def expire_silence(parts: Given, silence_id: FromPath[str]) -> Redirect:
    await parts.silences.expire_silence(silence_id, at=parts.clock.now())
    return Redirect("/silences", status_code=303)


async def _shown(
    parts: Parts, filled: dict[str, str], *, mistake: str = "", tried: Silence | None = None
) -> Response[str]:
    now = parts.clock.now()
    found = [] if tried is None else await would_keep(parts, tried)
    return page(
        "silences.html",
        entries=(await listed(parts, None))[:_SHOWN],
        kinds=[kind.value for kind in SilenceKind],
        filled=filled,
        mistake=mistake,
        tried=tried is not None,
        kept=[row(record, now) for record in found],
        session=parts.access.needs_token,
    )


def _asked(parts: Parts, data: SilenceForm) -> NewSilence:
    """Raises SilenceError."""
    now = parts.clock.now()
    hours = timedelta(hours=data.hours)
    amount: float | None = None
    if data.amount_per_day.strip():
        try:
            amount = float(data.amount_per_day)
        except ValueError:
            raise SilenceError("amount_per_day", f"expected a number, got {data.amount_per_day!r}") from None
    return NewSilence(
        matchers=tuple(line.strip() for line in data.matchers.splitlines() if line.strip()),
        created_by=data.created_by,
        comment=data.comment,
        kind=data.kind,
        starts_at=usual_start(data.kind, now),
        ends_at=now + hours,
        amount_per_day=amount,
        unit=data.unit.strip() or None,
    )


def silences_page_router() -> Router:
    return Router(
        path="/", route_handlers=[show_silences, add_silence, extend_silence, expire_silence], include_in_schema=False
    )
