"""The live stream in a terminal: reads the API's server-sent events and goes on where it was after a break."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import httpx
import msgspec
from msgspec import Struct

from service.api_client import address, authorization, printable
from service.console import make_console, render, write_json
from service.core.alerts import AlertEvent, EventType
from service.errors import UnavailableError

_FIRST_TRIES = 10
"""About ten seconds: an API that is being started comes up, and a wrong address is said to be one."""
_STREAM = "/api/v1/alerts/stream"
_EVENTS = frozenset(EventType)


class _Reset(Struct, frozen=True):
    last_seq: int


async def follow(
    base_url: str,
    *,
    token: str | None = None,
    after: int | None = None,
    retry: bool = True,
    pause_seconds: float = 1.0,
    first_tries: int | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    on_wait: Callable[[str], None] = lambda _reason: None,
) -> AsyncGenerator[AlertEvent, None]:
    """Events as they happen, each once and in order, across breaks of the connection.

    after: the number of the last event already seen; None begins with what comes next. pause_seconds: before it
    connects again. first_tries: so often an API that has never answered is tried; None for as long as it takes.
    on_wait: told why, once for each time that the API is away.
    Raises ConfigError for an address or token that is none, UnavailableError when the API refuses us, or does not
    answer and *retry* is off.
    """
    url = address(base_url)
    place = printable(url)
    headers = {"Accept": "text/event-stream"} | authorization(token)
    timeout = httpx.Timeout(10.0, read=60.0)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, transport=transport) as client:
        is_away, tries = False, first_tries
        while True:
            resume = {} if after is None else {"Last-Event-ID": str(after)}
            try:
                async with client.stream("GET", _STREAM, headers=resume) as response:
                    if response.is_client_error:
                        raise UnavailableError(f"{place} answered {response.status_code} to the live stream")
                    response.raise_for_status()
                    is_away, tries = False, None
                    async for event in _events(response.aiter_lines()):
                        if isinstance(event, int):
                            after = event
                            continue
                        after = event.seq
                        yield event
            except httpx.HTTPError as error:
                tries = None if tries is None else tries - 1
                if not retry or tries == 0:
                    raise UnavailableError(f"{place} does not answer: {type(error).__name__}") from None
                if not is_away:
                    is_away = True
                    on_wait(f"{place} does not answer ({type(error).__name__}), waiting for it")
            await asyncio.sleep(pause_seconds)


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[AlertEvent | int]:
    """The event of each message, or the number to go on from where the server says that the store was replaced.

    Comments and messages without data are passed over.
    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """
    data, name = "", ""
    async for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data += value
        elif field == "event":
            name = value
        elif not line:
            if name == "reset":
                yield msgspec.json.decode(data, type=_Reset).last_seq
            elif data and name in _EVENTS:
                yield msgspec.json.decode(data, type=AlertEvent)
            data, name = "", ""


def _say_waiting(reason: str) -> None:
    sys.stderr.write(f"{reason}\n")


async def tail(base_url: str, *, token: str | None, after: int | None, as_json: bool, everything: bool) -> None:
    """Print until interrupted. everything: also what nobody is told of: pending, or told with another alert."""
    console = make_console()
    if console.is_terminal and not as_json:
        console.print(f"following {printable(address(base_url))}, Ctrl-C ends", style="dim")
    following = follow(base_url, token=token, after=after, first_tries=_FIRST_TRIES, on_wait=_say_waiting)
    # Closed by hand: what printing raises would else leave the connection to whoever collects it, which is heard.
    async with contextlib.aclosing(following) as events:
        async for event in events:
            if not everything and is_aside(event):
                continue
            if as_json:
                write_json(event, console)
            else:
                console.print(render(event))


def is_aside(event: AlertEvent) -> bool:
    """Whether people are not told of it: it is not decided yet, or another alert is told in its place."""
    return event.record.pending_since is not None or event.record.inhibited_by is not None
