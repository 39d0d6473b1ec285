"""A door in front of a server that tests can shut: connections through it break, and new ones are refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Gate:
    """port: where clients come in; the same before and after it was shut."""

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._through: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._through):
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection(*self._target)
            self._through |= {writer, back}
            try:
                await asyncio.gather(_copy(reader, back), _copy(there, writer))
            finally:
                self._through -= {writer, back}
                back.transport.abort()
        writer.transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    target.close()


@contextlib.asynccontextmanager
async def open_gate(host: str, port: int) -> AsyncIterator[Gate]:
    gate = Gate(host, port)
    await gate.open()
    try:
        yield gate
    finally:
        await gate.shut()
