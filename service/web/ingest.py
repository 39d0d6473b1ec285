"""`POST /api/v1/facts`: facts over HTTP, answered once the broker has them."""

import asyncio
import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Request, Response, Router, post
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, Operation, RequestBody, Schema
from litestar.openapi.spec import OpenAPIMediaType as Body
from litestar.params import HeaderParameter
from msgspec import Struct

from connectors.ingest import parse
from service.web.errors import Mistake, ProblemError, bad_request, problem_spec
from service.web.idempotency import Answer
from service.web.parts import Given, Parts

MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_FACTS = 50_000
MAX_REJECTED_SHOWN = 100


class Rejected(Struct, frozen=True, kw_only=True):
    """One item that no fact could be made of. index: its place in the batch, or its line in NDJSON, from 0."""

    index: int
    path: str
    message: str


class Receipt(Struct, frozen=True, kw_only=True):
    """What became of the facts. accepted: acknowledged by the broker. errors: the first 100 of those rejected."""

    accepted: int
    rejected: int
    errors: tuple[Rejected, ...] = ()


_FACT_EXAMPLE = {
    "series": "default/effective_cost/USD/1d/tag:team=search",
    "charge_period_start": "2024-09-18T00:00:00Z",
    "value": 12.4,
    "origin": "billing-export:2024-09",
    "revision": 7,
}
_EVENT_EXAMPLE = {
    "specversion": "1.0",
    "type": "dev.spendwatch.fact",
    "source": "billing-export",
    "id": "42",
    "data": _FACT_EXAMPLE,
}


def _body(description: str, example: object) -> Body:
    return Body(schema=Schema(description=description), examples={"example": Example(value=example)})


@dataclass
class _FactsOperation(Operation):
    """The handler reads the raw body, so its forms are told here."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            required=True,
            description=f"At most {MAX_FACTS:,} facts and {MAX_BODY_BYTES // 1024 // 1024} MiB.",
            content={
                "application/json": _body('One fact, an array of facts, or {"facts": [...]}.', _FACT_EXAMPLE),
                "application/x-ndjson": _body("One fact a line.", msgspec.json.encode(_FACT_EXAMPLE).decode()),
                "application/cloudevents+json": _body("One CloudEvent whose data is a fact.", _EVENT_EXAMPLE),
                "application/cloudevents-batch+json": _body("An array of such CloudEvents.", [_EVENT_EXAMPLE]),
            },
        )


@post(
    "/facts",
    summary="Send facts",
    status_code=HTTPStatus.ACCEPTED.value,
    request_max_body_size=MAX_BODY_BYTES,
    operation_class=_FactsOperation,
    tags=["facts"],
    responses={
        207: ResponseSpec(
            data_container=Receipt, description="Some were rejected; `errors` says why.", generate_examples=False
        ),
        400: problem_spec("None of them could be read; nothing was published."),
        413: problem_spec("Too many facts or bytes; nothing was published."),
        422: problem_spec("The Idempotency-Key was used for another body."),
        503: problem_spec("The broker is away; send the same again after `Retry-After` seconds."),
    },
)
async def send_facts(
    request: Request[object, object, State],
    parts: Given,
    idempotency_key: Annotated[
        str | None,
        HeaderParameter(
            name="Idempotency-Key",
            max_length=255,
            description="The same key and body get the same answer for a day, without publishing again.",
        ),
    ] = None,
) -> Response[Receipt]:
    """One fact, a batch, NDJSON or CloudEvents. The answer comes after the broker's acknowledgement.

    Sending the same facts again changes nothing: `set` facts replace by origin and revision, others count once by
    `event_id`.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content-encoding", "send the body without a Content-Encoding"
        )
    body = await request.body()
    digest = hashlib.sha256(request.headers.get("content-type", "").encode() + b"\n" + body).hexdigest()
    if idempotency_key and (known := await parts.idempotency.get(idempotency_key)):
        if known.digest != digest:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "this Idempotency-Key was used for another body",
                errors=(Mistake(where="header Idempotency-Key", what="was used for another body"),),
            )
        return Response(msgspec.json.decode(known.body, type=Receipt), status_code=known.status)
    receipt = await _take(parts, body, request)
    status = HTTPStatus.MULTI_STATUS if receipt.rejected else HTTPStatus.ACCEPTED
    if idempotency_key:
        answer = Answer(digest=digest, status=status.value, body=msgspec.json.encode(receipt))
        await parts.idempotency.put(idempotency_key, answer)
    return Response(receipt, status_code=status.value)


async def _take(parts: Parts, body: bytes, request: Request[object, object, State]) -> Receipt:
    content_type = request.headers.get("content-type", "application/json")
    # A large batch takes long enough to parse that live streams would notice.
    parsed = await asyncio.to_thread(parse, body, content_type, dict(request.headers))
    if len(parsed.facts) + len(parsed.rejected) > MAX_FACTS:
        raise ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too-large",
            f"at most {MAX_FACTS} facts at once, got {len(parsed.facts) + len(parsed.rejected)}",
        )
    rejected = tuple(
        Rejected(index=index, path=path, message=message)
        for index, path, message in parsed.rejected[:MAX_REJECTED_SHOWN]
    )
    if not parsed.facts:
        parts.metrics.ingested(accepted=0, rejected=len(parsed.rejected))
        if not rejected:
            raise bad_request("body", "expected at least one fact, got none")
        first = f"{_place(rejected[0])}: {rejected[0].message}"
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "no-valid-fact",
            f"none of {len(parsed.rejected)} facts could be read; the first: {first}",
            errors=tuple(Mistake(where=_place(item), what=item.message) for item in rejected),
        )
    await parts.send(parsed.facts)
    parts.metrics.ingested(accepted=len(parsed.facts), rejected=len(parsed.rejected))
    return Receipt(accepted=len(parsed.facts), rejected=len(parsed.rejected), errors=rejected)


def _place(item: Rejected) -> str:
    return f"facts[{item.index}]" + (f".{item.path}" if item.path else "")


def ingest_router() -> Router:
    return Router(path="/api/v1", route_handlers=[send_facts])
