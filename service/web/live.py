"""The live stream of alerts as server-sent events, resumable by `Last-Event-ID`.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html. The hub (service/store/live.py) replays what a
client has missed and goes on live without a gap or a repetition; here is the wire, patience and the end of a stream.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from typing import Protocol

import msgspec
import structlog
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Send

from service.core.alerts import AlertEvent
from service.metrics import HttpMetrics
from service.store.live import SubscriptionEndedError
from service.store.store import AlertStore

HEARTBEAT_SECONDS = 15.0
SEND_SECONDS = 20.0
RETRY_MILLISECONDS = 2000
MAX_STREAMS = 500
_log = structlog.get_logger(__name__)


class Hub(Protocol):
    """Where events come from, once per process; service/store/live.py has the real one."""

    def seen(self) -> int | None:
        """Number of the last event it has read; None before it could read any. Answers of the store are as new."""

    def subscribe(self, after: int | None = None) -> AbstractAsyncContextManager[AsyncIterator[AlertEvent]]:
        """Every event above *after*, in order, each once; the iterator raises SubscriptionEndedError."""


async def position(hub: Hub, store: AlertStore) -> int:
    """Number of the last event that an answer given from now on includes."""
    seen = hub.seen()
    return await store.last_seq() if seen is None else seen


class Streams:
    """The open streams of this process; `close` ends them all, so that the server can stop."""

    def __init__(self, *, limit: int = MAX_STREAMS) -> None:
        self.closing = asyncio.Event()
        self.limit = limit
        self.open = 0

    def close(self) -> None:
        self.closing.set()

    @property
    def full(self) -> bool:
        return self.open >= self.limit


class Frames:
    """Text of the stream, in UTF-8."""

    RETRY = b"retry: %d\n\n" % RETRY_MILLISECONDS

    @staticmethod
    def event(event: AlertEvent) -> bytes:
        # JSON has no raw line breaks, so one data line is always enough. Only CR and LF end a line of the stream, but
        # many clients split at everything that Unicode calls a line break.
        data = msgspec.json.encode(event)
        for raw, escaped in ((b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"), (b"\xc2\x85", rb"\u0085")):
            data = data.replace(raw, escaped)
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.value.encode(), data)

    @staticmethod
    def heartbeat(seq: int) -> bytes:
        """A comment that keeps proxies from closing; the id (an event without data is not dispatched) moves the
        client's point of resumption past events that its filters left out."""
        return b": heartbeat\nid: %d\n\n" % seq

    @staticmethod
    def reset(seq: int) -> bytes:
        """The client knows more events than there are: the store was replaced, and it should load everything again."""
        return b'id: %d\nevent: reset\ndata: {"last_seq":%d}\n\n' % (seq, seq)

    @staticmethod
    def error(reason: str) -> bytes:
        return b"event: error\ndata: %s\n\n" % msgspec.json.encode({"reason": reason})


class EventStream(ASGIResponse):
    """One open stream. Ends when the client goes, is too slow, or the server stops.

    after: number of the last event the client has; None for only what comes from now on.
    wants: filter; what it leaves out only moves the point of resumption.
    """

    _should_set_content_length = False

    def __init__(
        self,
        *,
        store: AlertStore,
        hub: Hub,
        streams: Streams,
        metrics: HttpMetrics,
        wants: Callable[[AlertEvent], bool],
        after: int | None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(media_type="text/event-stream; charset=utf-8", headers=headers)
        self._store = store
        self._hub = hub
        self._streams = streams
        self._metrics = metrics
        self._wants = wants
        self._after = after
        self._heartbeat_seconds = heartbeat_seconds
        self._send_seconds = send_seconds

    async def send_body(self, send: Send, receive: Receive) -> None:
        self._streams.open += 1
        self._metrics.streams.inc()
        writing = asyncio.ensure_future(self._write(send))
        gone = asyncio.ensure_future(_until_gone(receive))
        closing = asyncio.ensure_future(self._streams.closing.wait())
        try:
            await asyncio.wait((writing, gone, closing), return_when=asyncio.FIRST_COMPLETED)
            if closing.done() and not writing.done():
                self._metrics.stream_cut("shutdown")
            if not writing.done():
                writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(0.2):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            for task in (writing, gone, closing):
                task.cancel()
            await asyncio.gather(writing, gone, closing, return_exceptions=True)
            self._streams.open -= 1
            self._metrics.streams.dec()

    async def _write(self, send: Send) -> None:
        async def put(frame: bytes) -> None:
            async with asyncio.timeout(self._send_seconds):
                await send({"type": "http.response.body", "body": frame, "more_body": True})

        try:
            last = await self._store.last_seq()
            start = await position(self._hub, self._store) if self._after is None else min(self._after, last)
            async with self._hub.subscribe(start) as events:
                await put(Frames.RETRY)
                if self._after is not None and self._after > last:
                    await put(Frames.reset(last))
                # Says at once where the client stands, so that a break before the first event loses nothing.
                await put(Frames.heartbeat(start))
                await self._follow(put, events, start)
        except SubscriptionEndedError as error:
            self._metrics.stream_cut(error.reason)
            with suppress(TimeoutError):
                await put(Frames.error(error.reason))
        except TimeoutError:
            # Its buffers are full: an error event would not get through either.
            self._metrics.stream_cut("slow")
        except OSError:
            pass  # the client is gone
        except Exception:
            _log.exception("live stream failed")
            with suppress(TimeoutError, OSError):
                await put(Frames.error("unavailable"))

    async def _follow(self, put: "Put", events: AsyncIterator[AlertEvent], seq: int) -> None:
        async with aclosing(_with_pauses(events, self._heartbeat_seconds)) as paced:
            async for event in paced:
                if event is None:
                    await put(Frames.heartbeat(seq))
                    continue
                seq = event.seq
                if self._wants(event):
                    await put(Frames.event(event))
                    self._metrics.stream_events.inc()


class Put(Protocol):
    async def __call__(self, frame: bytes) -> None: ...


async def _with_pauses(events: AsyncIterator[AlertEvent], seconds: float) -> AsyncGenerator[AlertEvent | None, None]:
    """The same events, and None whenever *seconds* went by without one."""
    upcoming: asyncio.Future[AlertEvent] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait((upcoming,), timeout=seconds)
            if not done:
                yield None
                continue
            try:
                event = upcoming.result()
            except StopAsyncIteration:
                return
            upcoming = None
            yield event
    finally:
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
