"""The pages: a live list, one page per alert, signing in, and the API's description for people."""

import math
from collections import Counter
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from litestar import Request, Response, Router, get, post
from litestar.datastructures import CacheControlHeader, Cookie, State
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery
from litestar.response import Redirect
from litestar.static_files import create_static_files_router
from msgspec import Meta, Struct

from connectors.facts import FeedbackVerdict
from service.core.alerts import Severity
from service.core.matchers import Matcher, Op
from service.store.store import BadCursorError
from service.web import docs
from service.web.alerts import AuditEntry, delivery_entries
from service.web.auth import COOKIE, PUBLIC, safe_target
from service.web.errors import bad_request
from service.web.live import position
from service.web.pages import STATIC, page
from service.web.parts import Given
from service.web.silences_page import silences_page_router
from service.web.views import SHOWS, ListView, age, chart_data, driver_rows, row, stakes, who

ACTOR_COOKIE = "spendwatch_actor"
"""The name somebody gave last, to be offered again."""
_YEAR_SECONDS = 365 * 24 * 3600

Asked = Request[Any, Any, State]


class ActionForm(Struct, frozen=True, kw_only=True):
    actor: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\S")]
    comment: Annotated[str, Meta(max_length=2000)] = ""


class FeedbackForm(ActionForm, frozen=True, kw_only=True):
    verdict: FeedbackVerdict


class AcknowledgeForm(ActionForm, frozen=True, kw_only=True):
    """minutes: for how long; 0 until it is over."""

    minutes: Annotated[int, Meta(ge=0, le=60 * 24 * 366)] = 0


class AssignForm(ActionForm, frozen=True, kw_only=True):
    """whom: the button: `to` is the name of somebody, or it is the actor, or nobody."""

    to: Annotated[str, Meta(max_length=128)] = ""
    whom: Literal["named", "me", "nobody"] = "named"

    @property
    def assignee(self) -> str | None:
        """Raises ProblemError."""
        if self.whom == "nobody":
            return None
        if self.whom == "me":
            return self.actor.strip()
        if not self.to.strip():
            raise bad_request("body to", "expected the name of somebody whose task it is")
        return self.to.strip()


class LoginForm(Struct, frozen=True, kw_only=True):
    token: Annotated[str, Meta(max_length=4096)] = ""
    next: str = "/"


Form = Annotated[ActionForm, Body(media_type=RequestEncodingType.URL_ENCODED)]


@get("/", include_in_schema=False)
async def show_list(request: Asked, parts: Given) -> Response[str]:
    """The list; only its moving part when a page already there asks for it."""
    # Read first: what happens while the rest is read is then told by the stream once more, never missed.
    seq = await position(parts.hub, parts.store)
    view = ListView.read(request.query_params, seq=seq)
    summary = await parts.store.summary(view.tenant or None)
    try:
        found = await parts.store.find(view.query)
    except BadCursorError:
        return _see(view.first_url)
    more = Counter(record.inhibited_by for record in await parts.store.inhibited([one.alert.id for one in found.items]))
    now = parts.clock.now()
    is_part = "hx-request" in request.headers and "hx-history-restore-request" not in request.headers
    return page(
        "board.html" if is_part else "list.html",
        view=view,
        assignees=[] if is_part else view.assignees(await parts.store.people()),
        shows=[(name, text) for name, (text, _) in SHOWS.items()],
        severities=[severity.value for severity in Severity],
        summary=summary,
        stakes=stakes(summary),
        rows=[row(record, now) for record in found.items],
        total=found.total,
        more=more,
        next_url=view.url(cursor=found.next_cursor) if found.next_cursor else "",
        session=parts.access.needs_token,
    )


@get("/alerts/{alert_id:str}", include_in_schema=False)
async def show_alert(request: Asked, parts: Given, alert_id: FromPath[str]) -> Response[str]:
    seq = await position(parts.hub, parts.store)
    record = await parts.store.get(alert_id)
    events = await parts.store.events_of(alert_id)
    dimension, value = who(record.alert)
    return page(
        "alert.html",
        record=record,
        seq=seq,
        dimension=dimension,
        value=value,
        members=[row(member, parts.clock.now()) for member in await parts.store.inhibited([alert_id])],
        age=age(record, parts.clock.now()),
        points=chart_data(record.alert),
        drivers=driver_rows(record.alert.drivers),
        driver_sum=math.fsum(driver.change for driver in record.alert.drivers),
        timeline=[AuditEntry.of(event) for event in reversed(events)],
        silence_url="/silences?"
        + urlencode([("matcher", str(Matcher(name, Op.EQUAL, text))) for name, text in record.alert.labels.items()]),
        deliveries=delivery_entries(await parts.outbox.deliveries_of(alert_id))[::-1],
        actor=request.cookies.get(ACTOR_COOKIE, ""),
        people=await parts.store.people(),
        session=parts.access.needs_token,
    )


@post("/alerts/{alert_id:str}/acknowledge", include_in_schema=False)
async def acknowledge(
    parts: Given,
    alert_id: FromPath[str],
    data: Annotated[AcknowledgeForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Redirect:
    until = parts.clock.now() + timedelta(minutes=data.minutes) if data.minutes else None
    await parts.acknowledge(alert_id, actor=data.actor, comment=data.comment, until=until)
    return _acted(alert_id, data)


@post("/alerts/{alert_id:str}/reopen", include_in_schema=False)
async def reopen(parts: Given, alert_id: FromPath[str], data: Form) -> Redirect:
    await parts.reopen(alert_id, actor=data.actor, comment=data.comment)
    return _acted(alert_id, data)


@post("/alerts/{alert_id:str}/assign", include_in_schema=False)
async def assign(
    parts: Given,
    alert_id: FromPath[str],
    data: Annotated[AssignForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Redirect:
    await parts.assign(alert_id, to=data.assignee, actor=data.actor, comment=data.comment)
    return _acted(alert_id, data)


@post("/alerts/{alert_id:str}/comment", include_in_schema=False)
async def comment(parts: Given, alert_id: FromPath[str], data: Form) -> Redirect:
    if data.comment.strip():
        await parts.comment(alert_id, actor=data.actor, comment=data.comment)
    return _acted(alert_id, data)


@post("/alerts/{alert_id:str}/resolve", include_in_schema=False)
async def resolve(parts: Given, alert_id: FromPath[str], data: Form) -> Redirect:
    await parts.resolve(alert_id, actor=data.actor, comment=data.comment)
    return _acted(alert_id, data)


@post("/alerts/{alert_id:str}/feedback", include_in_schema=False)
async def give_feedback(
    parts: Given,
    alert_id: FromPath[str],
    data: Annotated[FeedbackForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Redirect:
    await parts.give_feedback(alert_id, verdict=data.verdict, actor=data.actor, comment=data.comment)
    return _acted(alert_id, data)


def _acted(alert_id: FromPath[str], form: ActionForm) -> Redirect:
    answer = _see(f"/alerts/{alert_id}")
    # A cookie takes no line breaks or separators; a name that has them is simply not offered again.
    if form.actor.isascii() and form.actor.replace(" ", "").replace(".", "").replace("-", "").isalnum():
        answer.set_cookie(
            Cookie(key=ACTOR_COOKIE, value=form.actor.strip(), max_age=_YEAR_SECONDS, httponly=True, samesite="strict")
        )
    return answer


@get("/login", opt={PUBLIC: True}, include_in_schema=False)
async def ask_token(parts: Given, next: FromQuery[str] = "/") -> Response[str]:  # noqa: A002  # the name in the address
    if not parts.access.needs_token:
        return _see("/")
    return page("login.html", next=safe_target(next), mistake="")


@post("/login", opt={PUBLIC: True}, include_in_schema=False)
async def sign_in(
    request: Asked, parts: Given, data: Annotated[LoginForm, Body(media_type=RequestEncodingType.URL_ENCODED)]
) -> Response[str]:
    parts.access.check_same_origin(request)
    if not parts.access.is_token(data.token.strip()):
        return page(
            "login.html",
            status=HTTPStatus.UNAUTHORIZED,
            next=safe_target(data.next),
            mistake="This is not the token.",
        )
    answer = _see(safe_target(data.next))
    answer.set_cookie(parts.access.session_cookie(secure=request.url.scheme == "https"))
    return answer


@post("/logout", opt={PUBLIC: True}, include_in_schema=False)
async def sign_out(request: Asked, parts: Given) -> Redirect:
    parts.access.check_same_origin(request)
    answer = _see("/login")
    answer.delete_cookie(COOKIE)
    return answer


@get("/api/docs", include_in_schema=False)
async def show_docs(request: Asked, parts: Given) -> Response[str]:
    """The OpenAPI document for people, from this server: no scripts from elsewhere, readable without a network."""
    document = request.app.openapi_schema.to_schema()
    return page(
        "docs.html",
        document=document,
        operations=docs.operations(document),
        schemas=docs.schemas(document),
        session=parts.access.needs_token,
    )


def _see(path: str) -> Redirect:
    return Redirect(path, status_code=HTTPStatus.SEE_OTHER.value)


def dashboard_routers() -> list[Router]:
    pages = [
        show_list,
        show_alert,
        acknowledge,
        resolve,
        reopen,
        assign,
        comment,
        give_feedback,
        ask_token,
        sign_in,
        sign_out,
        show_docs,
    ]
    static = create_static_files_router(
        "/static",
        [STATIC],
        opt={PUBLIC: True},
        include_in_schema=False,
        # The address holds a digest of the content, see pages.py.
        cache_control=CacheControlHeader(public=True, max_age=_YEAR_SECONDS, immutable=True),
    )
    return [Router(path="/", route_handlers=pages, include_in_schema=False), silences_page_router(), static]
