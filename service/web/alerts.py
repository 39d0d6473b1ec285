"""`/api/v1/alerts`: list and look at alerts, and follow them live. What people do to them: service/web/deeds.py."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Request, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import FromPath, QueryParameter, SkipValidation
from msgspec import Struct

from service.core.alerts import AlertEvent, AlertRecord, AlertState, EventType, Severity
from service.core.budget import BudgetState
from service.store.store import MAX_PAGE, AlertQuery, Delivery, DeliveryState, Page, Summary
from service.web.deeds import DEEDS
from service.web.errors import BAD_REQUEST, OF_ALERT, UNAVAILABLE, bad_request, unavailable
from service.web.filters import matches, provide_filter
from service.web.live import EventStream
from service.web.parts import Given

Filter = NamedDependency[SkipValidation[AlertQuery]]


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One change of an alert, with what it was afterwards. actor: `detection`, or the user who did it.

    assigned_to: whose task it is since then; null is nobody's. acknowledged_until: null is for good, or not at all.
    """

    seq: int
    at: datetime
    type: EventType
    actor: str
    comment: str
    state: AlertState
    severity: Severity
    version: int
    actual: float
    expected: float
    impact: float
    assigned_to: str | None
    acknowledged_until: datetime | None

    @classmethod
    def of(cls, event: AlertEvent) -> "AuditEntry":
        alert = event.record.alert
        return cls(
            seq=event.seq,
            at=event.at,
            type=event.type,
            actor=event.actor,
            comment=event.comment,
            state=event.record.state,
            severity=alert.severity,
            version=alert.version,
            actual=alert.actual,
            expected=alert.expected,
            impact=alert.impact,
            assigned_to=event.record.assigned_to,
            acknowledged_until=event.record.acknowledged_until,
        )


class AuditTrail(Struct, frozen=True, kw_only=True):
    """Oldest first."""

    items: tuple[AuditEntry, ...]


class DeliveryEntry(Struct, frozen=True, kw_only=True):
    """One message to one receiver. id: the `webhook-id` of the message; event: what it told of."""

    id: str
    receiver: str
    event: EventType
    seq: int
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    delivered_at: datetime | None
    last_error: str | None
    remote_id: str | None

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryEntry":
        return cls(
            id=delivery.id,
            receiver=delivery.receiver,
            event=delivery.event.type,
            seq=delivery.event.seq,
            state=delivery.state,
            attempts=delivery.attempts,
            created_at=delivery.created_at,
            next_attempt_at=delivery.next_attempt_at,
            delivered_at=delivery.delivered_at,
            last_error=delivery.last_error,
            remote_id=delivery.remote_id,
        )


class Deliveries(Struct, frozen=True, kw_only=True):
    items: tuple[DeliveryEntry, ...]


class Budgets(Struct, frozen=True, kw_only=True):
    items: tuple[BudgetState, ...]


@get("/alerts", summary="List alerts", responses={**BAD_REQUEST, **UNAVAILABLE})
async def list_alerts(
    parts: Given,
    filters: Filter,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 50,
    cursor: Annotated[
        str | None,
        QueryParameter(description="`next_cursor` of the page before, with the same filters.", max_length=200),
    ] = None,
    folded: Annotated[
        bool, QueryParameter(description="Leave out what is told as part of another alert in the list.")
    ] = False,
) -> Page:
    """Newest activity first. `history` is left out here; ask for the single alert to get it."""
    page = await parts.store.find(msgspec.structs.replace(filters, limit=limit, cursor=cursor or None, folded=folded))
    return msgspec.structs.replace(page, items=tuple(_without_history(record) for record in page.items))


@get("/alerts/{alert_id:str}", summary="Get one alert", responses=OF_ALERT)
async def get_alert(parts: Given, alert_id: FromPath[str]) -> AlertRecord:
    """With `history`, the points of its series and their expected band, and the drivers, which add up to `impact`."""
    return await parts.store.get(alert_id)


@get("/alerts/{alert_id:str}/events", summary="Get an alert's audit trail", responses=OF_ALERT)
async def list_events(parts: Given, alert_id: FromPath[str]) -> AuditTrail:
    return AuditTrail(items=tuple(AuditEntry.of(event) for event in await parts.store.events_of(alert_id)))


@get("/alerts/{alert_id:str}/deliveries", summary="Get an alert's messages", responses=OF_ALERT)
async def list_deliveries(parts: Given, alert_id: FromPath[str]) -> Deliveries:
    """What was sent to which receiver, and what became of it."""
    await parts.store.get(alert_id)
    return Deliveries(items=delivery_entries(await parts.outbox.deliveries_of(alert_id)))


def delivery_entries(deliveries: Sequence[Delivery]) -> tuple[DeliveryEntry, ...]:
    return tuple(DeliveryEntry.of(delivery) for delivery in deliveries)


@get("/summary", summary="Count alerts and the money at stake", responses={**BAD_REQUEST, **UNAVAILABLE})
async def get_summary(parts: Given, tenant: Annotated[str | None, QueryParameter(max_length=64)] = None) -> Summary:
    """`states` counts all alerts, `severities` and `impact` (unit to amount) only open ones."""
    return await parts.store.summary(tenant or None)


@get("/budgets", summary="What the alert budgets held back", responses=UNAVAILABLE)
async def list_budgets(parts: Given) -> Budgets:
    """For each budget and value of its label: pages sent in its latest days, and what was held back, dearest first."""
    return Budgets(items=tuple(await parts.store.budgets()))


@get(
    "/alerts/stream",
    summary="Follow alerts live",
    media_type="text/event-stream",
    responses={
        200: ResponseSpec(
            data_container=str,
            media_type="text/event-stream",
            generate_examples=False,
            description="Server-sent events: `id` is the number of the event, `event` its type, `data` an AlertEvent.",
            examples=[Example(value='id: 42\nevent: opened\ndata: {"seq":42,"type":"opened", ...}\n\n')],
        ),
        **BAD_REQUEST,
        **UNAVAILABLE,
    },
)
async def stream_alerts(
    request: Request[object, object, State],
    parts: Given,
    filters: Filter,
    alert: Annotated[str | None, QueryParameter(description="Only events of the alert with this id.")] = None,
    last_event_id: Annotated[
        str | None, QueryParameter(description="As the Last-Event-ID header, for clients that cannot set it.")
    ] = None,
) -> EventStream:
    """Every change from now on, or after `Last-Event-ID` without a gap or a repetition; 0 replays everything.

    A comment every 15 s keeps the connection open. A client that does not read fast enough is cut with an `error`
    event and resumes where it was; `reset` tells it that the store was replaced.
    """
    after = _event_number(request.headers.get("last-event-id") or last_event_id)
    if parts.streams.full:
        parts.metrics.stream_cut("limit")
        raise unavailable(f"{parts.streams.limit} live streams are open on this server, which is its limit")

    def wants(event: AlertEvent) -> bool:
        return (alert is None or event.record.alert.id == alert) and matches(filters, event.record)

    return EventStream(
        store=parts.store,
        hub=parts.hub,
        streams=parts.streams,
        metrics=parts.metrics,
        wants=wants,
        after=after,
    )


def _event_number(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise bad_request("header Last-Event-ID", f"expected the number of an event, got {text[:40]!r}")
    return int(text)


def _without_history(record: AlertRecord) -> AlertRecord:
    return msgspec.structs.replace(record, alert=msgspec.structs.replace(record.alert, history=()))


def alerts_router() -> Router:
    return Router(
        path="/api/v1",
        route_handlers=[
            list_alerts,
            stream_alerts,
            get_alert,
            list_events,
            list_deliveries,
            *DEEDS,
            get_summary,
            list_budgets,
        ],
        dependencies={"filters": Provide(provide_filter, sync_to_thread=False)},
        tags=["alerts"],
    )
