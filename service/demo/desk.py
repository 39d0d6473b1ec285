"""A help desk on this machine: takes signed webhooks, checks each signature, and remembers what it was told."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import uvicorn

from service.delivery.signing import SignatureError, SigningSecret, verify
from service.serving import Server

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One webhook: its id, the alert it is about, what happened to it, and the first characters of its signature.

    alert_id: empty for a letter, which is about none."""

    webhook_id: str
    alert_id: str
    type: str
    signature: str


@dataclass(slots=True)
class Desk:
    """An ASGI application; answers 204 to what is signed with *secret*, 401 to anything else."""

    secret: SigningSecret
    on_receive: Callable[[Received], None] = lambda _received: None
    received: list[Received] = field(default_factory=list)
    refused: int = 0

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        status = self._take(headers, body)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        try:
            verify([self.secret], headers, body, now=datetime.now(UTC))
        except SignatureError:
            self.refused += 1
            return 401
        payload = json.loads(body)
        received = Received(
            webhook_id=headers["webhook-id"],
            alert_id=payload["data"].get("id", ""),
            type=payload["type"],
            signature=headers["webhook-signature"],
        )
        self.received.append(received)
        self.on_receive(received)
        return 204


@contextlib.asynccontextmanager
async def open_desk(desk: Desk) -> AsyncIterator[str]:
    """Serve *desk* on a free loopback port; gives its URL."""
    config = uvicorn.Config(desk, lifespan="off", log_config=None, access_log=False)
    server = Server(config)
    with socket.socket() as listener:
        # Listening before the server runs: whoever comes early waits in the queue instead of being refused.
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/alerts"
        finally:
            server.should_exit = True
            await task
