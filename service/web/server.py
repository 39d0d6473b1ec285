"""uvicorn, told when to stop by the process instead of by signals of its own, and not held up by open streams."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator

import uvicorn
from litestar import Litestar

from service.web.live import Streams

GRACE_SECONDS = 5
"""How long requests that have begun may take once the server stops; streams end at once."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals belong to the process (service/processes.py), which sets an event."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Before uvicorn waits for its connections: a stream would otherwise go on until the grace is over.
        self._streams.close()
        await super().shutdown(sockets)


def bind(host: str, port: int) -> socket.socket:
    """A listening address, a free port when *port* is 0. Raises OSError when it is taken."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.asynccontextmanager
async def serve_api(app: Litestar, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve *app* while the context lasts; yields the port. Raises OSError when the address cannot be taken.

    app: made by `create_api`. Leaving the context ends open streams, lets requests finish and returns within
    GRACE_SECONDS and a bit.
    """
    listener = bind(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=30,
    )
    server = _Server(config, app.state["streams"])
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="api")
    try:
        listening = asyncio.ensure_future(server.listening.wait())
        await asyncio.wait((serving, listening), return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if serving.done():
            await serving
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()
