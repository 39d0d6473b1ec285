"""`/api/v1/deliveries`: what was sent to receivers or given up, of all alerts; sends again what was given up."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from litestar import Router, get, post
from litestar.params import Body, FromPath, QueryParameter
from msgspec import Meta, Struct

from service.core.alerts import EventType
from service.digests.expiry import ExpiryWarning
from service.store.store import MAX_PAGE, Delivery, DeliveryQuery, DeliveryState, Letter, LetterDelivery
from service.web.errors import BAD_REQUEST, UNAVAILABLE, ProblemError, bad_request, problem_spec
from service.web.parts import Given

_NAME = Annotated[str, Meta(min_length=1, max_length=100)]


class LetterEntry(Struct, frozen=True, kw_only=True):
    """What a message is about that is about no alert: a digest by its name, or the end of a silence by the silence's
    id; the other is null. value: of the digest's label; null for the overview."""

    digest: str | None
    value: str | None
    due_at: datetime
    silence: str | None

    @classmethod
    def of(cls, letter: Letter) -> "LetterEntry":
        silence = letter.content.silence if isinstance(letter.content, ExpiryWarning) else None
        return cls(digest=letter.digest, value=letter.value, due_at=letter.due_at, silence=silence)


class DeliveryListEntry(Struct, frozen=True, kw_only=True):
    """One message to one receiver: about an alert (event and alert_id), or a letter. id: the message's `webhook-id`.
    seq: number of the event; of a letter, that of the last event when it was written."""

    id: str
    receiver: str
    event: EventType | None
    alert_id: str | None
    letter: LetterEntry | None
    seq: int
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    delivered_at: datetime | None
    last_error: str | None
    remote_id: str | None

    @classmethod
    def of(cls, delivery: Delivery | LetterDelivery) -> "DeliveryListEntry":
        event = delivery.event if isinstance(delivery, Delivery) else None
        letter = delivery.letter if isinstance(delivery, LetterDelivery) else None
        return cls(
            id=delivery.id,
            receiver=delivery.receiver,
            event=None if event is None else event.type,
            alert_id=None if event is None else event.record.alert.id,
            letter=None if letter is None else LetterEntry.of(letter),
            seq=delivery.event.seq if isinstance(delivery, Delivery) else delivery.seq,
            state=delivery.state,
            attempts=delivery.attempts,
            created_at=delivery.created_at,
            next_attempt_at=delivery.next_attempt_at,
            delivered_at=delivery.delivered_at,
            last_error=delivery.last_error,
            remote_id=delivery.remote_id,
        )


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
    items = tuple(map(DeliveryListEntry.of, page.items))
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
