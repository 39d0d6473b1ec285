"""The other side of a receiver on a loopback port: a real HTTP server with the state machine its reference tells of.

A remote answers what the reference says it answers, enforces its limits, and fails on command: it may refuse, hang,
break the connection before it has done anything, or do it and lose the answer.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from service.core.inbound import Action
from tests.remotes.hooks import Hook
from tests.remotes.listener import Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """path: decoded, without the query. headers: names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Fault(Enum):
    """What happens to one request instead of an ordinary answer."""

    BREAK = "the connection ends before anything is done"
    LOSE = "it is done, and the connection ends before the answer"
    HANG = "nothing ever comes"
    STALL = "it is done, and no answer ever comes"


class RefusedError(Exception):
    """Raised by a handler: an error as the remote words it."""

    def __init__(self, status: int, body: object = b"", **headers: str) -> None:
        super().__init__(str(body))
        self.reply = Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def require(condition: object, body: object, status: int = 400) -> None:
    """A limit or a rule of the remote."""
    if not condition:
        raise RefusedError(status, body)


class Remote(Listener):
    """`async with Remote() as remote`: `remote.url` is where it answers.

    faults: what becomes of the next requests, one each; a Reply is given as it is. always: of all, while it is set.
    decide: what becomes of a request, by what it asks. hooks: what it tells of what happens there, also of what we do
    ourselves, oldest first; whoever takes them away carries them. now: its clock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self.faults: deque[Fault | Reply | None] = deque()
        self.always: Fault | Reply | None = None
        self.decide: Callable[[Request], Fault | Reply | None] = lambda _request: None
        self.hooks: deque[Hook] = deque()
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def handle(self, request: Request) -> Reply:
        """What the remote does. May raise RefusedError."""
        raise NotImplementedError

    def states(self) -> dict[str, list[str]]:
        """marker or alert id -> the state of each ticket it has: `open`, `acknowledged` or `resolved`."""
        raise NotImplementedError

    def person(self, alert: str, does: Action, who: str = "alice", comment: str = "") -> None:
        """Somebody does it there, to the newest ticket of an alert (its marker or id), if it can be done."""
        raise NotImplementedError

    def _fault_of(self, request: Request) -> Fault | Reply | None:
        if self.always is not None:
            return self.always
        return self.faults.popleft() if self.faults else self.decide(request)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await self._answer(reader, writer):
            pass

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        request = await _read(reader)
        fault = self._fault_of(request)
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        if fault is Fault.BREAK:
            return False
        self.requests.append(request)
        if isinstance(fault, Reply):
            reply = fault
        else:
            try:
                reply = self.handle(request)
            except RefusedError as refused:
                reply = refused.reply
        if fault is Fault.LOSE:
            return False
        if fault is Fault.STALL:
            await asyncio.Event().wait()
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        lines = [f"HTTP/1.1 {reply.status} X", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        return True


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    return Request(method=method, path=unquote(parts.path), query=query, headers=headers, body=body)


@contextlib.asynccontextmanager
async def opened(*remotes: Remote) -> AsyncIterator[None]:
    """All of them, for as long as the block lasts."""
    async with contextlib.AsyncExitStack() as stack:
        for remote in remotes:
            await stack.enter_async_context(remote)
        yield
