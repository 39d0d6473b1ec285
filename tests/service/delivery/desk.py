"""A help desk for tests: a real HTTP server that keeps every webhook, once its signature was checked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from service.delivery.signing import parse_secrets, verify
from tests.service.delivery.fakes import SECRET


class Desk:
    """got: webhook-id and body of all that came, in order. Accepts everything that is signed with SECRET."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[tuple[str, bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers["content-length"]))
            verify(parse_secrets(SECRET), headers, body, now=datetime.now(UTC))
            self.got.append((headers["webhook-id"], body))
            writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def open_desk() -> AsyncIterator[Desk]:
    """A desk on a free loopback port."""
    desk = Desk()
    async with await asyncio.start_server(desk, "127.0.0.1", 0) as server:
        desk.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        yield desk
