"""Serving the API until asked to end, open live streams included."""

import asyncio

import uvicorn
from litestar import Litestar

from service.errors import ListenError
from service.serving import Server

_GRACE_SECONDS = 3


async def serve(app: Litestar, *, host: str, port: int, stop: asyncio.Event) -> None:
    """Returns when *stop* is set and the last answer is out. Raises ListenError."""
    server = Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )

    async def end() -> None:
        await stop.wait()
        app.state.streams.close()
        server.should_exit = True

    ending = asyncio.create_task(end(), name="end of the server")
    try:
        await server.serve()
    except SystemExit:  # what uvicorn does about an address it cannot have
        raise ListenError(host, port, "is something else listening there?") from None
    finally:
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)
