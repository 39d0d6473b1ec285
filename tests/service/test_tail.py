"""The live stream in a terminal: each event once, across breaks of the connection."""

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import httpx
import msgspec
import pytest

from service import tail
from service.core.alerts import AlertEvent
from service.errors import ConfigError, UnavailableError
from tests.builders import make_event


def frame(seq: int) -> bytes:
    one = make_event(seq=seq)
    return b"id: %d\nevent: opened\ndata: %s\n\n" % (seq, msgspec.json.encode(one))


class Api:
    """Answers each connection with the next of *answers* and notes what it was asked to resume after."""

    def __init__(self, *answers: httpx.Response) -> None:
        self._answers = list(answers)
        self.asked: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.headers.get("Last-Event-ID"))
        if not self._answers:
            raise httpx.ConnectError("gone")
        return self._answers.pop(0)


async def read(api: Api, *, after: int | None = None) -> list[AlertEvent]:
    """Everything up to the moment when the API is gone."""
    events: list[AlertEvent] = []
    stream = tail.follow("http://api", after=after, retry=False, pause_seconds=0, transport=httpx.MockTransport(api))
    with contextlib.suppress(UnavailableError):
        while True:
            events.append(await anext(stream))
    return events


async def test_events_come_in_order_and_comments_are_passed_over() -> None:
    api = Api(httpx.Response(200, content=b": heartbeat\nid: 1\n\n" + frame(1) + frame(2)))
    assert [one.seq for one in await read(api)] == [1, 2]


async def test_after_a_break_it_goes_on_behind_the_last_event() -> None:
    api = Api(httpx.Response(200, content=frame(1)), httpx.Response(200, content=frame(2)))
    assert [one.seq for one in await read(api)] == [1, 2]
    assert api.asked == [None, "1", "2"]


async def test_it_begins_where_it_is_told_to() -> None:
    api = Api(httpx.Response(200, content=frame(8)))
    await read(api, after=7)
    assert api.asked[0] == "7"


async def test_a_frame_cut_in_the_middle_is_read_again() -> None:
    api = Api(httpx.Response(200, content=frame(1) + frame(2)[:-3]), httpx.Response(200, content=frame(2)))
    assert [one.seq for one in await read(api)] == [1, 2]


async def test_where_the_store_was_replaced_it_goes_on_from_the_new_number() -> None:
    reset = b'id: 3\nevent: reset\ndata: {"last_seq":3}\n\n'
    api = Api(httpx.Response(200, content=reset + frame(4)))
    assert [one.seq for one in await read(api, after=900)] == [4]
    assert api.asked == ["900", "4"]


@pytest.mark.parametrize("status", [401, 404])
async def test_a_refusal_is_said_at_once(status: int) -> None:
    with pytest.raises(UnavailableError, match=f"answered {status} to the live stream"):
        await anext(tail.follow("http://api", transport=httpx.MockTransport(Api(httpx.Response(status)))))


async def test_an_address_that_never_answers_is_given_up() -> None:
    api = Api()
    stream = tail.follow("http://api", first_tries=3, pause_seconds=0, transport=httpx.MockTransport(api))
    with pytest.raises(UnavailableError, match="http://api does not answer: ConnectError"):
        await anext(stream)
    assert len(api.asked) == 3


async def test_one_that_has_answered_once_is_waited_for() -> None:
    api = Api(httpx.Response(200, content=frame(1)), *[httpx.Response(503)] * 5, httpx.Response(200, content=frame(2)))
    stream = tail.follow("http://api", first_tries=2, pause_seconds=0, transport=httpx.MockTransport(api))
    assert [(await anext(stream)).seq, (await anext(stream)).seq] == [1, 2]
    await stream.aclose()


async def test_a_password_in_the_address_is_not_repeated() -> None:
    said: list[str] = []
    transport = httpx.MockTransport(Api(httpx.Response(503), httpx.Response(401)))
    stream = tail.follow("http://ada:s3cret@api", pause_seconds=0, transport=transport, on_wait=said.append)
    with pytest.raises(UnavailableError, match=r"^http://api answered 401 to the live stream$"):
        await anext(stream)
    assert said == ["http://api does not answer (HTTPStatusError), waiting for it"]


async def test_an_address_that_is_none_is_said_at_once() -> None:
    with pytest.raises(ConfigError, match="--url: expected an address such as"):
        await anext(tail.follow("not a url"))


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
async def test_it_ends_quietly_when_nobody_reads_it_any_more(form: tuple[str, ...]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + frame(1) * 5_000)  # more than the buffers on the way hold
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        reading, writing = os.pipe()
        command = [str(Path(sys.executable).with_name("spendwatch")), "tail", "--url", url, *form]
        process = await asyncio.create_subprocess_exec(*command, stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)
        assert await asyncio.to_thread(os.read, reading, 1)
        os.close(reading)
        _, said = await process.communicate()
    assert (process.returncode, said) == (141, b"")
