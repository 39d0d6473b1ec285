"""Requests as our handlers read them: a body that cannot be read, or ends too soon, is the client's mistake."""

from http import HTTPStatus
from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.types import HTTPRequestEvent, Receive, Scope, Send

from service.web.errors import ProblemError, bad_request


class ApiRequest(Request[Any, Any, State]):
    """Litestar's, which answers 500 to what msgspec leaves to Python, and to a client that goes away."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_body() -> HTTPRequestEvent:
            message = await receive()
            if message["type"] != "http.request":
                # Nobody reads it; but it is counted, and it is not our failure.
                raise ProblemError(HTTPStatus.BAD_REQUEST, "broken-off", "the connection ended before the body did")
            return message

        super().__init__(scope, receive_body, send)

    async def json(self) -> Any:
        """Raises ProblemError, and litestar's SerializationException for other malformed JSON."""
        try:
            return await super().json()
        except RecursionError:
            raise bad_request("body", "is nested too deeply") from None
        except UnicodeDecodeError:
            raise bad_request("body", "expected UTF-8") from None
