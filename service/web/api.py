"""The HTTP application: API, live stream, ingest, dashboard, health; put together from what the caller chose."""

from collections.abc import Sequence
from time import perf_counter

from litestar import Litestar
from litestar.datastructures import MutableScopeHeaders, State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry

from service.announcing import Announce
from service.clock import Clock
from service.core.alerts import AlertEvent
from service.inbound.metrics import InboundMetrics
from service.inbound.senders import make_senders
from service.metrics import HttpMetrics, service_version
from service.settings import Settings
from service.store.silences import SilenceStore
from service.store.store import AlertStore, Inbox, Outbox
from service.web import health
from service.web.alerts import alerts_router
from service.web.auth import Access, AccessMiddleware, HostMiddleware
from service.web.dashboard import dashboard_routers
from service.web.deliveries import deliveries_router
from service.web.errors import HANDLERS
from service.web.idempotency import Idempotency, LocalIdempotency
from service.web.inbound import inbound_router
from service.web.ingest import ingest_router
from service.web.live import Hub, Streams
from service.web.parts import Parts, Publish
from service.web.readiness import ReadyCheck
from service.web.request import ApiRequest
from service.web.silences import silences_router

_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def create_api(
    *,
    settings: Settings,
    store: AlertStore,
    outbox: Outbox,
    inbox: Inbox,
    silences: SilenceStore,
    hub: Hub,
    publish: Publish,
    registry: CollectorRegistry,
    clock: Clock,
    ready: ReadyCheck,
    announce: Announce | None = None,
    idempotency: Idempotency | None = None,
) -> Litestar:
    """One API process. It owns none of what it is given: the caller opens and closes store, hub and publisher.

    publish: returns once the broker has acknowledged. ready: dependency -> None or why it is away; must not block.
    announce: tells other processes' hubs of what was done by hand; left out, they notice within a second.
    idempotency: where answers are remembered; this process's memory when left out.
    """
    metrics = HttpMetrics(registry)
    senders = make_senders(settings)
    parts = Parts(
        settings=settings,
        store=store,
        outbox=outbox,
        inbox=inbox,
        silences=silences,
        hub=hub,
        publish=publish,
        announce=announce or _announce_nothing,
        registry=registry,
        metrics=metrics,
        clock=clock,
        ready=ready,
        access=Access(settings.api),
        streams=Streams(),
        idempotency=idempotency or LocalIdempotency(clock),
        senders=senders,
        inbound_metrics=InboundMetrics(registry, senders),
    )
    app = Litestar(
        route_handlers=[
            alerts_router(),
            deliveries_router(),
            silences_router(),
            ingest_router(),
            inbound_router(),
            *dashboard_routers(),
            *health.HANDLERS,
        ],
        dependencies={"parts": Provide(lambda: parts, sync_to_thread=False)},
        middleware=[HostMiddleware(), AccessMiddleware(parts.access)],
        request_class=ApiRequest,
        exception_handlers=HANDLERS,
        before_send=[_secure],
        openapi_config=_openapi(),
        # Our own logging is configured per process (service/logs.py); Litestar must not configure it again.
        logging_config=None,
        state=State({"streams": parts.streams}),
    )
    # Around everything, so that what no route matches is counted as well.
    app.asgi_handler = _Counting(app.asgi_handler, metrics)
    return app


async def _announce_nothing(_events: Sequence[AlertEvent]) -> None: ...


async def _secure(message: Message, scope: Scope) -> None:
    """Runs for every answer, errors included."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        if scope["path"].startswith("/api/"):
            headers.setdefault("Cache-Control", "no-store")


class _Counting:
    """Counts and times every request by the template of its route."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        status, is_stream = 500, False
        start = perf_counter()

        async def noting_send(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                is_stream = _is_event_stream(message["headers"])
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        finally:
            self._metrics.answered(
                method=scope["method"],
                route=scope.get("path_template") or "unmatched",
                status=status,
                seconds=None if is_stream else perf_counter() - start,
            )


def _is_event_stream(headers: object) -> bool:
    pairs = headers if isinstance(headers, list) else []
    return any(name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in pairs)


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Spendwatch",
        version=service_version(),
        description="Alerts about unusual cloud and AI cost: list, follow live, acknowledge; and facts to judge.",
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        path="/api",
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        use_handler_docstrings=True,
        components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
        security=[{"token": []}],
    )
