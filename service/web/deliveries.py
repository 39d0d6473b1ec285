"""`/api/v1/deliveries`: what was sent to receivers or given up, of all alerts; sends again what was given up."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.params import Body, FromPath, QueryParameter
from msgspec import Meta, Struct

from service.store.store import MAX_PAGE, DeliveryQuery, DeliveryState
from service.web.alerts import DeliveryEntry
from service.web.errors import BAD_REQUEST, UNAVAILABLE, ProblemError, bad_request, problem_spec
from service.web.parts import Given

_NAME = Annotated[str, Meta(min_length=1, max_length=100)]


class DeliveryListEntry(DeliveryEntry, frozen=True, kw_only=True):
    """alert_id: the alert it is about."""

    alert_id: str


class DeliveriesPage(Struct, frozen=True, kw_only=True):
    """Newest event first. next_cursor is None on the last page."""

    items: tuple[DeliveryListEntry, ...]
    next_cursor: str | None


class Resend(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """receiver: only what was given up for it. all: what was given up for any receiver. One of the two."""

    receiver: _NAME | None = None
    all: bool = False


class Resent(Struct, frozen=True, kw_only=True):
    """How many messages will be sent again."""

    count: int


@get("/deliveries", summary="List messages to receivers", responses={**BAD_REQUEST, **UNAVAILABLE})
async def list_all_deliveries(
    parts: Given,
    in_state: Annotated[DeliveryState | None, QueryParameter(name="state")] = None,
    receiver: Annotated[str | None, QueryParameter(max_length=100)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 50,
    cursor: Annotated[
        str | None,
        QueryParameter(description="`next_cursor` of the page before, with the same filters.", max_length=200),
    ] = None,
) -> DeliveriesPage:
    """Newest event first; `state=dead` lists what was given up, with the reason in `last_error`."""
    query = DeliveryQuery(state=in_state, receiver=receiver or None, limit=limit, cursor=cursor or None)
    page = await parts.outbox.deliveries(query)
    items = tuple(
        DeliveryListEntry(**msgspec.structs.asdict(DeliveryEntry.of(delivery)), alert_id=delivery.event.record.alert.id)
        for delivery in page.items
    )
    return DeliveriesPage(items=items, next_cursor=page.next_cursor)


@post(
    "/deliveries/{delivery_id:str}/resend",
    summary="Send a message again",
    status_code=200,
    responses={**BAD_REQUEST, **UNAVAILABLE, 404: problem_spec("No message that was given up has this id.")},
)
async def resend_delivery(parts: Given, delivery_id: FromPath[str]) -> Resent:
    """Only what was given up. It says what is so now, and its deadline begins anew."""
    count = await parts.outbox.revive(at=parts.clock.now(), delivery_id=delivery_id)
    if not count:
        detail = f"no message that was given up has the id {delivery_id[:80]!r}"
        raise ProblemError(HTTPStatus.NOT_FOUND, "delivery-not-found", detail)
    return Resent(count=count)


@post(
    "/deliveries/resend",
    summary="Send what was given up again",
    status_code=200,
    responses={**BAD_REQUEST, **UNAVAILABLE},
)
async def resend_deliveries(parts: Given, data: Annotated[Resend, Body()]) -> Resent:
    """Of one receiver, or of all."""
    if data.all == (data.receiver is not None):
        raise bad_request("body", 'expected either {"receiver": "..."} or {"all": true}')
    return Resent(count=await parts.outbox.revive(at=parts.clock.now(), receiver=data.receiver))


def deliveries_router() -> Router:
    return Router(
        path="/api/v1",
        route_handlers=[list_all_deliveries, resend_delivery, resend_deliveries],
        tags=["deliveries"],
    )
