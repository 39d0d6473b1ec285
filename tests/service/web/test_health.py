"""Health and metrics, of the API and of the roles that have none."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from service.errors import ListenError, UnavailableError
from service.metrics import new_registry
from service.web.probe import serve_probe
from tests.builders import make_alert
from tests.service.web.builders import World
from tests.service.web.conftest import Client


async def test_process_is_alive_whatever_is_away(world: World, client: Client) -> None:
    world.store.problem = UnavailableError("away")
    world.dependencies = {"kafka": "away", "store": "away"}
    answer = await client.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_readiness_names_what_is_away(world: World, client: Client) -> None:
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "dependencies": {"kafka": {"ready": True}, "store": {"ready": True}}}
    world.dependencies["kafka"] = "no broker at kafka:9092"
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "unavailable"
    assert answer.json()["dependencies"]["kafka"] == {"ready": False, "reason": "no broker at kafka:9092"}


async def test_metrics_do_no_io(world: World, client: Client) -> None:
    world.store.problem = AssertionError("metrics asked the store")
    assert (await client.get("/metrics")).status_code == 200


async def test_requests_are_counted_by_route_and_never_by_id(world: World, client: Client) -> None:
    await world.store.record([make_alert("secret-id")])
    await client.get("/api/v1/alerts/secret-id")
    await client.get("/api/v1/alerts/other-id")
    await client.get("/nothing/here")
    text = (await client.get("/metrics")).text
    assert "secret-id" not in text
    assert "nothing/here" not in text
    route = "/api/v1/alerts/{alert_id}"
    value = world.registry.get_sample_value
    for status in ("200", "404"):
        assert value("spendwatch_http_requests_total", {"method": "GET", "route": route, "status": status}) == 1
    labels = {"method": "GET", "route": "unmatched", "status": "404"}
    assert value("spendwatch_http_requests_total", labels) == 1
    assert value("spendwatch_http_request_duration_seconds_count", {"method": "GET", "route": route}) == 2


async def test_label_sets_start_at_zero(world: World) -> None:
    for reason in ("slow", "shutdown", "limit"):
        assert world.registry.get_sample_value("spendwatch_live_streams_cut_total", {"reason": reason}) == 0


@asynccontextmanager
async def _probe(
    ready: Mapping[str, str | None], registry: CollectorRegistry | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    registry = registry or CollectorRegistry()
    async with (
        serve_probe(host="127.0.0.1", port=0, registry=registry, ready=lambda: ready) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client, port


async def test_probe_answers_as_the_api_does() -> None:
    registry = new_registry("worker")
    Counter("spendwatch_things_total", "Things.", registry=registry).inc(3)
    async with _probe({"kafka": None, "store": "away"}, registry) as (client, _):
        assert (await client.get("/livez")).json() == {"status": "alive"}
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["dependencies"]["store"] == {"ready": False, "reason": "away"}
        metrics = await client.get("/metrics")
        families = {family.name: family for family in text_string_to_metric_families(metrics.text)}
        assert families["spendwatch_things"].samples[0].value == 3
        assert families["spendwatch_build_info"].samples[0].labels["role"] == "worker"
        assert (await client.get("/metrics?x=1", headers={"Accept": "application/openmetrics-text"})).text.endswith(
            "# EOF\n"
        )


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/livez", 405), ("GET", "/livez/x", 404)]
)
async def test_probe_knows_nothing_else(method: str, path: str, status: int) -> None:
    async with _probe({}) as (client, _):
        answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_probe_answers_head_without_a_body() -> None:
    async with _probe({}) as (client, _):
        answer = await client.head("/livez")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n"])
async def test_probe_survives_what_is_no_request(sent: bytes) -> None:
    async with _probe({}) as (client, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        assert (await client.get("/livez")).status_code == 200


async def test_probe_cuts_an_endless_head() -> None:
    async with _probe({}) as (client, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000)
        with suppress(ConnectionError):  # closed or reset, depending on what was still on its way
            assert await reader.read() == b""
        writer.close()
        assert (await client.get("/livez")).status_code == 200


async def test_idle_connection_does_not_hold_up_the_end() -> None:
    async with asyncio.timeout(2):
        async with _probe({}) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()


async def test_taken_address_is_an_error() -> None:
    async with _probe({}) as (_, port):
        with pytest.raises(ListenError, match="in use"):
            async with serve_probe(
                host="127.0.0.1", port=port, registry=CollectorRegistry(), ready=dict[str, str | None]
            ):
                pass
