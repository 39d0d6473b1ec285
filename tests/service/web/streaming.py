"""Reading server-sent events off a real server."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import httpx

from service.web.server import serve
from tests.service.web.builders import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One block of the stream; comment is the text after the colon, data is decoded."""

    id: str = ""
    event: str = ""
    data: object = None
    retry: str = ""
    comment: str = ""

    @classmethod
    def parse(cls, lines: list[str]) -> "Frame":
        fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
        comment = next((line[1:].strip() for line in lines if line.startswith(":")), "")
        data = json.loads(fields["data"]) if "data" in fields else None
        return cls(
            id=fields.get("id", ""),
            event=fields.get("event", ""),
            data=data,
            retry=fields.get("retry", ""),
            comment=comment,
        )


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    stop: asyncio.Event
    task: asyncio.Task[None]


@contextlib.asynccontextmanager
async def running(world: World) -> AsyncIterator[Running]:
    """A real server on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    stop = asyncio.Event()
    async with world.hub:
        task = asyncio.create_task(serve(world.app, host="127.0.0.1", port=port, stop=stop))
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient() as client, asyncio.timeout(10):
            while not task.done():
                with contextlib.suppress(httpx.ConnectError):
                    await client.get(f"{url}/livez")
                    break
                await asyncio.sleep(0.02)
        try:
            yield Running(url, stop, task)
        finally:
            stop.set()
            await task


@contextlib.asynccontextmanager
async def frames(
    url: str, params: str = "", headers: dict[str, str] | None = None
) -> AsyncIterator[AsyncIterator[Frame]]:
    async with (
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", f"{url}/api/v1/alerts/stream?{params}", headers=headers) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        async with contextlib.aclosing(_frames(answer)) as found:
            yield found


async def _frames(answer: httpx.Response) -> AsyncGenerator[Frame, None]:
    lines: list[str] = []
    async for line in answer.aiter_lines():
        if line:
            lines.append(line)
        elif lines:
            yield Frame.parse(lines)
            lines = []


async def take(found: AsyncIterator[Frame], count: int) -> list[Frame]:
    """The next *count* events, without comments and the retry hint."""
    taken: list[Frame] = []
    async with asyncio.timeout(10):
        async for frame in found:
            if frame.event:
                taken.append(frame)
            if len(taken) == count:
                break
    return taken
