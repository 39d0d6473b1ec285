"""`/livez`, `/readyz` and `/metrics` of the API; the other roles have service/web/probe.py. No token, no I/O."""

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec

from service.metrics import expose
from service.web.auth import PUBLIC
from service.web.parts import Given
from service.web.readiness import Readiness, readiness

_NO_STORE = {"Cache-Control": "no-store"}


@get("/livez", summary="Is the process alive?", opt={PUBLIC: True}, tags=["operation"])
async def livez() -> Response[dict[str, str]]:
    return Response({"status": "alive"}, headers=_NO_STORE)


@get(
    "/readyz",
    summary="Are the dependencies there?",
    opt={PUBLIC: True},
    tags=["operation"],
    responses={
        503: ResponseSpec(data_container=Readiness, description="At least one is away.", generate_examples=False)
    },
)
async def readyz(parts: Given) -> Response[Readiness]:
    state = readiness(parts.ready())
    return Response(state, status_code=state.http_status, headers=_NO_STORE)


@get("/metrics", summary="Metrics for Prometheus", opt={PUBLIC: True}, media_type=MediaType.TEXT, tags=["operation"])
async def metrics(request: Request[object, object, State], parts: Given) -> Response[bytes]:
    body, content_type = expose(parts.registry, request.headers.get("accept", ""))
    return Response(body, media_type=content_type, headers=_NO_STORE)


HANDLERS = [livez, readyz, metrics]
