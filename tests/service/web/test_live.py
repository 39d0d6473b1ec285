"""The live stream: complete, in order, resumable, patient up to a point, and gone when the server stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import httpx
import pytest
from litestar.types import HTTPReceiveMessage, Message
from prometheus_client import CollectorRegistry

from service.core.alerts import AlertEvent, Severity
from service.metrics import HttpMetrics
from service.store.live import LiveHub, SubscriptionEndedError
from service.web.live import EventStream, Streams
from tests.builders import make_alert
from tests.fakes import MemoryStore
from tests.service.web.builders import World
from tests.service.web.conftest import Client
from tests.service.web.streaming import frames, running, take
from tests.waiting import until


async def test_event_carries_number_type_and_record(world: World) -> None:
    async with running(world) as server, frames(server.url) as stream:
        first = await anext(stream)
        assert first.retry == "2000"
        await world.store.record([make_alert()])
        (frame,) = await take(stream, 1)
    assert (frame.id, frame.event) == ("1", "opened")
    assert isinstance(frame.data, dict)
    assert frame.data["seq"] == 1
    assert frame.data["record"]["alert"]["id"] == "a1"


async def test_stream_begins_with_now_unless_asked(world: World) -> None:
    await world.store.record([make_alert("old")])
    async with running(world) as server, frames(server.url) as stream:
        hello = [await anext(stream), await anext(stream)]
        assert [frame.id for frame in hello] == ["", "1"]
        await world.store.record([make_alert("new")])
        (frame,) = await take(stream, 1)
    assert frame.id == "2"


@pytest.mark.parametrize(
    ("params", "headers"),
    [("last_event_id=2", {}), ("", {"Last-Event-ID": "2"}), ("last_event_id=0", {"Last-Event-ID": "2"})],
    ids=["parameter", "header", "header wins"],
)
async def test_resuming_replays_what_was_missed(world: World, params: str, headers: dict[str, str]) -> None:
    await world.store.record([make_alert(f"a{number}") for number in range(5)])
    async with running(world) as server, frames(server.url, params, headers) as stream:
        found = await take(stream, 3)
    assert [frame.id for frame in found] == ["3", "4", "5"]


async def test_nothing_is_lost_or_repeated_over_reconnects(world: World) -> None:
    """A writer that never rests, a reader that reconnects after every few events."""
    total = 600

    async def write() -> None:
        for number in range(total):
            await world.store.record([make_alert(f"a{number}")])
            await asyncio.sleep(0)

    seen: list[int] = []
    async with running(world) as server:
        writing = asyncio.create_task(write())
        while len(seen) < total:
            async with frames(server.url, headers={"Last-Event-ID": str(seen[-1] if seen else 0)}) as stream:
                count = min(7 + len(seen) % 50, total - len(seen))
                seen += [int(frame.id) for frame in await take(stream, count)]
        await writing
    assert seen == list(range(1, total + 1))


async def test_filters_leave_events_out(world: World) -> None:
    async with running(world) as server, frames(server.url, "severity=critical&label=team:data") as stream:
        await anext(stream)
        await world.store.record(
            [
                make_alert("a1", team="data"),
                make_alert("a2", team="search", severity=Severity.CRITICAL),
                make_alert("a3", team="data", severity=Severity.CRITICAL),
            ]
        )
        (frame,) = await take(stream, 1)
    assert frame.id == "3"


async def test_one_alert_can_be_followed(world: World) -> None:
    await world.store.record([make_alert("a1"), make_alert("a2")])
    async with running(world) as server, frames(server.url, "alert=a2&last_event_id=0") as stream:
        (frame,) = await take(stream, 1)
    assert frame.id == "2"


async def test_client_of_a_replaced_store_is_told_to_start_again(world: World) -> None:
    await world.store.record([make_alert("a1")])
    async with running(world) as server, frames(server.url, headers={"Last-Event-ID": "900"}) as stream:
        (frame,) = await take(stream, 1)
        assert (frame.event, frame.id, frame.data) == ("reset", "1", {"last_seq": 1})
        await world.store.record([make_alert("a2")])
        (frame,) = await take(stream, 1)
    assert frame.id == "2"


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "9" * 19])
async def test_position_that_is_no_number_is_refused(client: Client, text: str) -> None:
    answer = await client.get("/api/v1/alerts/stream", headers={"Last-Event-ID": text})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["where"] == "header Last-Event-ID"


async def test_server_stops_within_a_second_with_open_streams(world: World) -> None:
    async with running(world) as server:
        streams = [asyncio.create_task(_read_all(server.url)) for _ in range(20)]
        await until(lambda: world.app.state.streams.open == 20)
        start = monotonic()
        server.stop.set()
        await server.task
        took = monotonic() - start
        ends = await asyncio.gather(*streams)
    assert took < 1.0
    assert ends == [True] * 20
    assert world.app.state.streams.open == 0


async def _read_all(url: str) -> bool:
    """Whether the stream came to a proper end: a broken transfer would raise."""
    async with frames(url) as stream:
        async for _ in stream:
            pass
    return True


async def test_too_many_streams_are_turned_away(world: World) -> None:
    world.app.state.streams.limit = 1
    async with running(world) as server, frames(server.url) as stream:
        await anext(stream)
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{server.url}/api/v1/alerts/stream")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"


async def test_stream_of_a_client_that_left_is_closed(world: World) -> None:
    async with running(world) as server:
        async with frames(server.url) as stream:
            await anext(stream)
            assert world.app.state.streams.open == 1
        await until(lambda: world.app.state.streams.open == 0)


class _Wire:
    """The server's end of a connection: what was sent, and a client that may stop reading."""

    def __init__(self, *, reads: int | None = None) -> None:
        self.sent: list[bytes] = []
        self.ended = False
        self.gone = asyncio.Event()
        self._reads = reads

    async def send(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            return
        if self._reads is not None and len(self.sent) >= self._reads:
            await asyncio.Event().wait()
        self.sent.append(message["body"])
        self.ended = not message["more_body"]

    async def receive(self) -> HTTPReceiveMessage:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    @property
    def text(self) -> str:
        return b"".join(self.sent).decode()


def _stream(store: MemoryStore, hub: object, registry: CollectorRegistry, **changes: object) -> EventStream:
    options: dict[str, object] = {
        "store": store,
        "hub": hub,
        "streams": Streams(),
        "metrics": HttpMetrics(registry),
        "wants": lambda event: True,
        "after": 0,
        **changes,
    }
    return EventStream(**options)  # type: ignore[arg-type]  # a test states only what matters


def _cut(registry: CollectorRegistry, reason: str) -> float | None:
    return registry.get_sample_value("spendwatch_live_streams_cut_total", {"reason": reason})


async def test_heartbeat_moves_the_position_past_what_was_filtered() -> None:
    store, registry, wire = MemoryStore(), CollectorRegistry(), _Wire()
    await store.record([make_alert("a1"), make_alert("a2")])
    async with LiveHub(store, poll_seconds=0.01) as hub:
        stream = _stream(store, hub, registry, wants=lambda event: False, heartbeat_seconds=0.01)
        sending = asyncio.create_task(stream.send_body(wire.send, wire.receive))
        await until(lambda: ": heartbeat\nid: 2\n\n" in wire.text)
        wire.gone.set()
        await sending
    assert "event:" not in wire.text


async def test_client_that_stops_reading_is_cut() -> None:
    store, registry, wire = MemoryStore(), CollectorRegistry(), _Wire(reads=3)
    await store.record([make_alert(f"a{number}") for number in range(10)])
    async with LiveHub(store, poll_seconds=0.01) as hub, asyncio.timeout(5):
        await _stream(store, hub, registry, send_seconds=0.05).send_body(wire.send, wire.receive)
    assert _cut(registry, "slow") == 1
    assert registry.get_sample_value("spendwatch_live_streams") == 0


async def test_subscriber_that_falls_behind_gets_an_error_event_and_its_position() -> None:
    store, registry, wire = MemoryStore(), CollectorRegistry(), _Wire()
    (event,) = await store.record([make_alert()])
    await _stream(store, _DroppingHub(event), registry).send_body(wire.send, wire.receive)
    assert wire.text.endswith('event: error\ndata: {"reason":"slow"}\n\n')
    assert "id: 1\nevent: opened" in wire.text
    assert wire.ended
    assert _cut(registry, "slow") == 1


class _DroppingHub:
    """Sends one event and lets go."""

    def __init__(self, event: AlertEvent) -> None:
        self._event = event

    def seen(self) -> int | None:
        return None

    @asynccontextmanager
    async def subscribe(self, after: int | None = None) -> AsyncIterator[AsyncIterator[AlertEvent]]:
        yield self._events()

    async def _events(self) -> AsyncIterator[AlertEvent]:
        yield self._event
        raise SubscriptionEndedError("slow", "too far behind")


async def test_store_that_fails_ends_the_stream_with_an_error_event() -> None:
    store, registry, wire = MemoryStore(), CollectorRegistry(), _Wire()
    (event,) = await store.record([make_alert()])
    store.problem = RuntimeError("no such table")
    await _stream(store, _DroppingHub(event), registry).send_body(wire.send, wire.receive)
    assert wire.text == 'event: error\ndata: {"reason":"unavailable"}\n\n'
    assert wire.ended


async def test_line_breaks_in_text_do_not_break_a_frame(world: World) -> None:
    hostile = "a\n\nid: 99\nevent: opened\ndata: {}\r\n\u2028\u2029\x85"
    async with running(world) as server, frames(server.url) as stream:
        await anext(stream)
        await world.store.record([make_alert(reason=hostile), make_alert("a2")])
        first, second = await take(stream, 2)
    assert isinstance(first.data, dict)
    assert first.data["record"]["alert"]["reason"] == hostile
    assert (first.id, second.id) == ("1", "2")
