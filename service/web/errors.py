"""Errors as the API answers them: problem details (RFC 9457), saying what is wrong and where."""

from collections.abc import Callable, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any, get_args

import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct

from service.core.alerts import AlertState, Severity
from service.core.silences import SilenceError
from service.errors import UnavailableError
from service.store.silences import SilenceNotFoundError
from service.store.store import AlertNotFoundError, BadCursorError, DeliveryState
from service.web.pages import is_page, page

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
_URN = "urn:spendwatch:problem:"
_NAMES = {"data": "", "states": "state", "in_state": "state"}
"""What the framework calls by the name of our argument, by the name that clients know."""
_CHOICES: dict[str, Sequence[str]] = {
    "states": tuple(AlertState),
    "in_state": get_args(DeliveryState),
    "severity": tuple(Severity),
}
_NO_BODY = "'data'"
"""All that the framework says of a request without a body where there has to be one."""
_log = structlog.get_logger(__name__)

WebRequest = Request[Any, Any, State]


class Mistake(Struct, frozen=True, kw_only=True):
    """One thing wrong with a request. where: `query label`, `body actor`, `facts[3].value`, `header Last-Event-ID`."""

    where: str
    what: str


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every error. type: a stable name to decide by; detail: for people; instance: the path asked for."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    errors: tuple[Mistake, ...] = ()


class ProblemError(Exception):
    """Raised by a handler to be answered as a problem."""

    def __init__(
        self,
        status: HTTPStatus,
        name: str,
        detail: str,
        *,
        errors: tuple[Mistake, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.name = name
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}


def problem_spec(description: str) -> ResponseSpec:
    """How the API's description tells of a problem."""
    return ResponseSpec(
        data_container=Problem, description=description, media_type=PROBLEM_TYPE, generate_examples=False
    )


BAD_REQUEST = {400: problem_spec("A parameter or the body is not valid; `errors` says which.")}
NOT_FOUND = {404: problem_spec("No alert has this id.")}
UNAVAILABLE = {503: problem_spec("A dependency is away; send the same again after `Retry-After` seconds.")}
OF_ALERT = {**BAD_REQUEST, **NOT_FOUND, **UNAVAILABLE}


def bad_request(where: str, what: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST, "invalid-request", f"{where}: {what}", errors=(Mistake(where=where, what=what),)
    )


def unavailable(what: str) -> ProblemError:
    """Something we depend on is away; the client may send the same again."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", what, headers=headers)


def problem_response(request: WebRequest, error: ProblemError) -> Response[Any]:
    """Problem details; for a person's browser the same as a page."""
    body = Problem(
        type=_URN + error.name,
        title=error.status.phrase,
        status=error.status.value,
        detail=error.detail,
        instance=request.scope["path"],
        errors=error.errors,
    )
    if is_page(request):
        answer = page("problem.html", status=error.status, problem=body)
        answer.headers.update(error.headers)
        return answer
    return Response(body, status_code=error.status.value, media_type=PROBLEM_TYPE, headers=error.headers)


def _from_alert_not_found(request: WebRequest, error: AlertNotFoundError) -> Response[Any]:
    return problem_response(request, ProblemError(HTTPStatus.NOT_FOUND, "alert-not-found", str(error)))


def _from_silence_not_found(request: WebRequest, error: SilenceNotFoundError) -> Response[Any]:
    return problem_response(request, ProblemError(HTTPStatus.NOT_FOUND, "silence-not-found", str(error)))


def _from_silence_error(request: WebRequest, error: SilenceError) -> Response[Any]:
    return problem_response(request, bad_request(f"body {error.field}", error.what))


def _from_bad_cursor(request: WebRequest, error: BadCursorError) -> Response[Any]:
    return problem_response(request, bad_request("query cursor", str(error)))


def _from_unavailable(request: WebRequest, error: UnavailableError) -> Response[Any]:
    _log.warning("dependency away", path=request.scope["path"], error=str(error))
    return problem_response(request, unavailable(str(error)))


def _from_http_exception(request: WebRequest, error: HTTPException) -> Response[Any]:
    """What the framework refuses: unknown paths and methods, parameters and bodies of the wrong shape."""
    status = HTTPStatus(error.status_code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _from_anything(request, error)
    mistakes = tuple(_mistakes(error.extra))
    if not mistakes and status is HTTPStatus.BAD_REQUEST:
        mistakes = (Mistake(where="body", what=error.detail),)
    names = {400: "invalid-request", 404: "no-such-path", 405: "method-not-allowed", 413: "too-large"}
    detail = "; ".join(f"{mistake.where}: {mistake.what}" for mistake in mistakes) or error.detail
    problem = ProblemError(
        status, names.get(status.value, "refused"), detail, errors=mistakes, headers=dict(error.headers or {})
    )
    return problem_response(request, problem)


def _mistakes(extra: object) -> list[Mistake]:
    entries = [entry for entry in extra if isinstance(entry, dict)] if isinstance(extra, list) else []
    return [_mistake(entry) for entry in entries]


def _mistake(entry: dict[str, object]) -> Mistake:
    source = entry.get("source", "body")
    source = source.value if isinstance(source, Enum) else source
    key = str(entry.get("key", ""))
    what = str(entry.get("message", "is not valid"))
    if what == _NO_BODY:
        what = "expected a JSON object, got nothing"
    if source == "query" and key in _CHOICES:
        what = f"{what}; expected one of {', '.join(_CHOICES[key])}"
    return Mistake(where=f"{source} {_NAMES.get(key, key)}".strip(), what=what)


def _from_anything(request: WebRequest, error: Exception) -> Response[Any]:
    """A fault of ours: the log has the traceback, the answer does not."""
    _log.error("request failed", method=request.method, path=request.scope["path"], exc_info=error)
    detail = "the server failed; its log says why"
    return problem_response(request, ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail))


HANDLERS: dict[int | type[Exception], Callable[[WebRequest, Any], Response[Any]]] = {
    ProblemError: problem_response,
    AlertNotFoundError: _from_alert_not_found,
    BadCursorError: _from_bad_cursor,
    SilenceNotFoundError: _from_silence_not_found,
    SilenceError: _from_silence_error,
    UnavailableError: _from_unavailable,
    HTTPException: _from_http_exception,
    HTTPStatus.INTERNAL_SERVER_ERROR.value: _from_anything,
}
"""For Litestar's `exception_handlers`."""
