"""`/livez`, `/readyz` and `/metrics` of the roles that have no API: a few lines of HTTP/1.1, to start quickly.

Answers one request per connection and knows nothing else; it belongs on a port that only the operator reaches.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

import msgspec
import structlog
from prometheus_client import CollectorRegistry

from service.errors import ListenError
from service.metrics import expose
from service.web.readiness import ReadyCheck, readiness

_MAX_HEAD_BYTES = 16_384
_PATIENCE_SECONDS = 5.0
_log = structlog.get_logger(__name__)

Answer = tuple[int, str, bytes]
"""Status, content type, body."""


@asynccontextmanager
async def serve_probe(*, host: str, port: int, registry: CollectorRegistry, ready: ReadyCheck) -> AsyncIterator[int]:
    """Serve while the context lasts; yields the port, which is a free one when *port* is 0.

    Raises ListenError when the address cannot be taken.
    """
    answer = partial(_answer, registry=registry, ready=ready)
    busy: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_serve_one(reader, writer, answer=answer))
        busy.add(task)
        task.add_done_callback(busy.discard)

    try:
        server = await asyncio.start_server(accept, host, port, limit=_MAX_HEAD_BYTES)
    except OSError as error:
        raise ListenError(host, port, error.strerror or str(error)) from None
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        # From Python 3.12 on wait_closed waits for open connections too; an idle one must not hold up the end.
        pending = set(busy)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await server.wait_closed()


async def _serve_one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer: Callable[[str, str], Answer]
) -> None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, _, rest = head[0].partition(" ")
            target, _, protocol = rest.partition(" ")
            if not protocol.startswith("HTTP/1."):
                status, content_type, body = _problem(HTTPStatus.BAD_REQUEST, "expected an HTTP/1.1 request")
            elif method not in ("GET", "HEAD"):
                status, content_type, body = _problem(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are known here")
            else:
                status, content_type, body = answer(target.partition("?")[0], _header(head[1:], "accept"))
            writer.write(_head(status, content_type, len(body)) + (b"" if method == "HEAD" else body))
            await writer.drain()
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass  # whoever asked went away, or never was a client of ours
    except Exception:
        _log.exception("probe failed")
    finally:
        writer.close()


def _answer(path: str, accept: str, *, registry: CollectorRegistry, ready: ReadyCheck) -> Answer:
    match path:
        case "/livez":
            return 200, "application/json", b'{"status":"alive"}'
        case "/readyz":
            state = readiness(ready())
            return state.http_status, "application/json", msgspec.json.encode(state)
        case "/metrics":
            body, content_type = expose(registry, accept)
            return 200, content_type, body
    return _problem(HTTPStatus.NOT_FOUND, "known here are /livez, /readyz and /metrics")


def _problem(status: HTTPStatus, detail: str) -> Answer:
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return status.value, "application/problem+json", msgspec.json.encode(body)


def _header(lines: list[str], name: str) -> str:
    return next((line.partition(":")[2].strip() for line in lines if line.lower().startswith(f"{name}:")), "")


def _head(status: int, content_type: str, length: int) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {length}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
