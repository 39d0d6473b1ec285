"""A uvicorn server that leaves signals to whoever runs it."""

import contextlib
from collections.abc import Iterator

import uvicorn


class Server(uvicorn.Server):
    """uvicorn would end by itself at SIGTERM; a role stops things in an order of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
