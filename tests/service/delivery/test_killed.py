"""kill -9 of a real deliverer process: nothing is lost, and what is sent twice has the same id."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from service.clock import SystemClock
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.delivery.signing import parse_secrets, verify
from service.store.sql import SqlStore
from tests.builders import everyone, make_alert
from tests.service.delivery.fakes import SECRET, running
from tests.service.delivery.killed import LEASE_MARGIN, make_webhook
from tests.waiting import until


class Desk:
    """A real HTTP server that accepts everything and keeps it, once its signature was checked."""

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


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    async with await asyncio.start_server(desk, "127.0.0.1", 0) as server:
        desk.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        yield desk


@pytest.mark.parametrize(("point", "sent_before"), [("claimed", 0), ("sent", 1)])
async def test_a_killed_deliverer_is_taken_over(desk: Desk, tmp_path: Path, point: str, sent_before: int) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"
    store = SqlStore(database, routes=everyone("desk"), clock=SystemClock())
    await store.migrate()
    await store.record([make_alert()])
    arguments = ("-m", "tests.service.delivery.killed", point, database, desk.url, SECRET)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            assert (await process.stdout.readline()).decode().strip() == point
    finally:
        process.kill()
        assert await process.wait() == -signal.SIGKILL
    assert len(desk.got) == sent_before

    webhook = make_webhook(desk.url, SECRET)
    metrics = DeliveryMetrics(CollectorRegistry(), ["desk"])
    successor = Deliverer(store, [webhook], SystemClock(), metrics, poll_seconds=0.02, lease_margin=LEASE_MARGIN)
    async with running(successor):
        await until(lambda: len(desk.got) == sent_before + 1)
    assert len({id_ for id_, _ in desk.got}) == 1
    assert len({body for _, body in desk.got}) == 1
    assert json.loads(desk.got[0][1])["data"]["id"] == "a1"
    [delivery] = await store.deliveries_of("a1")
    assert (delivery.state, delivery.attempts, delivery.id) == ("delivered", 2, desk.got[0][0])
    await store.close()
