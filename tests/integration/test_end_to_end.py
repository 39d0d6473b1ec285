"""The whole way as `spendwatch up` runs it: a bill in, an alert in the API, on the live stream and at the desk."""

import asyncio
import base64
import contextlib
import csv
import functools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from service.config import load
from service.delivery.signing import SigningSecret
from service.demo.desk import Desk, open_desk
from service.tail import follow
from service.up import Stack
from tests import waiting

pytestmark = [pytest.mark.embedded, pytest.mark.asyncio(loop_scope="module")]

PATIENCE_SECONDS = 60.0
FIRST_DAY = datetime(2026, 9, 1, tzinfo=UTC)
QUIET_DAYS = 42
SECRET = "whsec_" + base64.b64encode(b"end to end, thirty-two bytes ok.").decode()
COLUMNS = [
    "BilledCost",
    "EffectiveCost",
    "BillingCurrency",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargeCategory",
    "ProviderName",
    "ServiceName",
    "SubAccountId",
    "ResourceId",
    "Tags",
]


def line(day: int, cost: float, *, team: str = "search", resource: str = "i-steady") -> list[str]:
    start = FIRST_DAY + timedelta(days=day)
    moments = [start, start + timedelta(days=1), FIRST_DAY, FIRST_DAY + timedelta(days=60)]
    times = [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in moments]
    tags = json.dumps({"team": team})
    return [str(cost), str(cost), "USD", *times, "Usage", "AWS", "Amazon EC2", "1234", resource, tags]


def bill(*, spike: float) -> list[list[str]]:
    """Six quiet weeks that cost about 100 USD a day, then a day with *spike* on top, then a quiet one."""
    weekend = [(FIRST_DAY + timedelta(days=day)).weekday() > 4 for day in range(QUIET_DAYS + 2)]
    quiet = [line(day, 100 + day % 5 - 20 * is_weekend) for day, is_weekend in enumerate(weekend)]
    return [*quiet, line(QUIET_DAYS, spike, resource="i-runaway")] if spike else quiet


def write(path: Path, rows: list[list[str]]) -> None:
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    part.replace(path)


class World:
    """A running stack, the desk it delivers to and the folder it reads bills from."""

    def __init__(self, stack: Stack, desk: Desk, bills: Path) -> None:
        self.stack = stack
        self.desk = desk
        self.bills = bills
        self.http = httpx.AsyncClient(base_url=stack.api_url, timeout=10)

    async def alerts(self, **filters: str) -> list[dict[str, object]]:
        answer = await self.http.get("/api/v1/alerts", params=filters)
        answer.raise_for_status()
        items: list[dict[str, object]] = answer.json()["items"]
        return items

    async def total(self, role: str, metric: str) -> float:
        page = (await self.http.get(f"{self.stack.probes[role]}/metrics")).text
        rows = (row for row in page.splitlines() if row.partition("{")[0].partition(" ")[0] == metric)
        return sum(float(row.rpartition(" ")[2]) for row in rows)


answer_of = functools.partial(waiting.answer_of, seconds=PATIENCE_SECONDS, pause_seconds=0.1)
until = functools.partial(waiting.until, seconds=PATIENCE_SECONDS, pause_seconds=0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("end-to-end")
    bills = folder / "bills"
    bills.mkdir()
    desk = Desk(SigningSecret.parse(SECRET))
    async with open_desk(desk) as url:
        config = folder / "spendwatch.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "split": {"tags": ["team"], "dimensions": [], "total": False},
                    "policies": [{"floor": 20}],
                    # The bills are of days long past.
                    "dispatch": {"pending_seconds": 0.5, "ended_within_days": 3650},
                    "connectors": [{"type": "focus", "name": "bill", "path": "bills", "poll_seconds": 0.5}],
                    "receivers": [
                        {
                            "type": "webhook",
                            "name": "desk",
                            "url": url,
                            "secret": SECRET,
                            "allow_private": True,
                            "allow_http": True,
                        }
                    ],
                    "store": {"url": f"sqlite+aiosqlite:///{folder / 'alerts.db'}"},
                    "api": {"port": 0},
                    "worker": {"metrics_port": 0},
                    "deliver": {"metrics_port": 0},
                    "connect": {"metrics_port": 0},
                }
            )
        )
        stack = Stack(settings=load(config, {}), config=config, logs=folder)
        await stack.start()
        world = World(stack, desk, bills)
        try:
            yield world
        finally:
            await world.http.aclose()
            await stack.stop()


async def test_a_spike_in_a_bill_reaches_api_stream_and_desk(world: World) -> None:
    write(world.bills / "september.csv", bill(spike=400))
    async with contextlib.aclosing(follow(world.stack.api_url, after=0)) as stream, asyncio.timeout(PATIENCE_SECONDS):
        first = await anext(stream)
    alert = first.record.alert
    assert (alert.labels["team"], alert.actual, alert.unit) == ("search", 502.0, "USD")
    assert alert.lower < alert.expected < alert.upper < alert.actual
    assert alert.starts_at == FIRST_DAY + timedelta(days=QUIET_DAYS)
    assert {"resource_id": "i-runaway"}.items() <= alert.drivers[0].labels.items()
    assert round(sum(driver.change for driver in alert.drivers), 2) == round(alert.actual - alert.expected, 2)

    (listed,) = await world.alerts(label="team:search")
    assert listed["alert"]["id"] == alert.id  # type: ignore[index]  # a JSON answer
    await until(lambda: len(world.desk.received) >= 1, "the desk hears of it")
    assert {received.alert_id for received in world.desk.received} == {alert.id}
    assert world.desk.refused == 0


async def test_reading_the_same_bill_again_changes_nothing(world: World) -> None:
    published = await world.total("connect", "spendwatch_facts_published_total")
    events = (await world.http.get("/api/v1/alerts")).json()
    again = world.bills / "september.csv"
    write(again, bill(spike=400))
    unchanged = await world.total("connect", "spendwatch_connector_deliveries_total")
    await answer_of(
        lambda: world.total("connect", "spendwatch_connector_deliveries_total"), lambda polls: polls >= unchanged + 2
    )
    assert await world.total("connect", "spendwatch_facts_published_total") == published
    assert (await world.http.get("/api/v1/alerts")).json() == events


async def test_a_bill_that_takes_the_spike_back_withdraws_the_alert(world: World) -> None:
    write(world.bills / "september.csv", bill(spike=0))
    await answer_of(lambda: world.alerts(state="withdrawn"), lambda alerts: len(alerts) == 1)
    kinds = [received.type for received in world.desk.received]
    await until(
        lambda: "cost.anomaly.withdrawn" in [one.type for one in world.desk.received], "the desk hears that it is gone"
    )
    assert kinds[0] == "cost.anomaly.opened"


async def test_a_bad_row_is_counted_and_the_rest_goes_on(world: World) -> None:
    before = await world.total("connect", "spendwatch_bad_records_total")
    broken = line(0, 7, team="ads")
    broken[0] = broken[1] = "twelve"
    write(world.bills / "october.csv", [line(0, 7, team="ads"), broken])
    await answer_of(lambda: world.total("connect", "spendwatch_bad_records_total"), lambda bad: bad == before + 1)


async def test_a_file_that_is_no_bill_stops_no_other(world: World) -> None:
    (world.bills / "noise.csv").write_bytes(b"\x00\x01\x02")
    published = await world.total("connect", "spendwatch_facts_published_total")
    write(world.bills / "november.csv", [line(1, 9, team="ads")])
    await answer_of(lambda: world.total("connect", "spendwatch_facts_published_total"), lambda facts: facts > published)


async def test_facts_come_over_http_too(world: World) -> None:
    day = FIRST_DAY + timedelta(days=QUIET_DAYS + 1)
    fact = {
        "series": "default/effective_cost/USD/1d/tag:team=search",
        "charge_period_start": f"{day:%Y-%m-%dT%H:%M:%SZ}",
        "value": 900.0,
        "origin": "meter:live",
        "basis": "estimated",
    }
    answer = await world.http.post("/api/v1/facts", json={"facts": [fact, fact | {"charge_period_start": "soon"}]})
    assert answer.status_code == 207
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, 1)


async def test_a_poisoned_message_goes_to_the_dead_letters_and_the_rest_goes_on(world: World) -> None:
    rejected = await world.total("worker", "spendwatch_facts_rejected_total")
    series = b"default/effective_cost/USD/1d/tag:team=poisoned"
    async with AIOKafkaProducer(bootstrap_servers=world.stack.bootstrap_servers) as producer:
        poison = await producer.send_and_wait("spendwatch.facts", b"{not json", key=series)
    await answer_of(lambda: world.total("worker", "spendwatch_facts_rejected_total"), lambda now: now == rejected + 1)

    letters = AIOKafkaConsumer(
        "spendwatch.dead-letters", bootstrap_servers=world.stack.bootstrap_servers, auto_offset_reset="earliest"
    )
    async with letters, asyncio.timeout(PATIENCE_SECONDS):
        async for letter in letters:
            if letter.value == b"{not json":
                break
    assert letter.key == f"spendwatch.facts/{poison.partition}/{poison.offset}".encode()
    assert dict(letter.headers)["reason"]


async def test_hostile_messages_stop_nothing_and_hostile_tags_reach_desk_and_dashboard(world: World) -> None:
    """Eleven days of a tag that every layer might stumble over, then a spike, with all kinds of rubbish in between."""
    tag = "a\0b<script>alert(1)</script>'\";--\u202e\U0001f4a9{{7*7}}%s/../="
    series = f"default/effective_cost/USD/1d/tag:team={tag}"

    def fact(day: int, cost: float) -> bytes:
        start = FIRST_DAY + timedelta(days=day)
        made = {
            "series": series,
            "charge_period_start": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "value": cost,
            "origin": "rude:1",
        }
        return json.dumps(made).encode()

    good = fact(0, 1.0)
    rubbish = [
        good.replace(b"}", b',"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
        good.replace(b": 1.0", b": 1e999"),
        good.replace(b": 1.0", b": 1" + b"0" * 10_000),
        good.replace(b"}", b',"revision":-1}'),
        good.replace(b"}", b',"revision":18446744073709551616}'),
        good.replace(b"rude:1", b"rude\xff:1"),
        good.replace(b"2026", b"9999"),
        b"\0" * 100,
        b"",
    ]
    rejected = await world.total("worker", "spendwatch_facts_rejected_total")
    key = series.encode()
    async with AIOKafkaProducer(bootstrap_servers=world.stack.bootstrap_servers) as producer:
        for day in range(QUIET_DAYS):
            await producer.send("spendwatch.facts", fact(day, 100.0 + day % 5), key=key)
        for junk in rubbish:
            await producer.send("spendwatch.facts", junk, key=key)
        await producer.send("spendwatch.facts", good, key=b"k" * 900_000)
        await producer.send(
            "spendwatch.facts", b'{"source":"rude","complete_until":"9999-12-31T00:00:00Z"}', key=b"~rude"
        )
        await producer.send(
            "spendwatch.facts", b'{"source":"rude","complete_until":"1999-01-01T00:00:00Z"}', key=b"~rude"
        )
        await producer.send_and_wait("spendwatch.facts", fact(QUIET_DAYS, 900.0), key=key)
    count = rejected + len(rubbish) + 3
    await answer_of(lambda: world.total("worker", "spendwatch_facts_rejected_total"), lambda now: now == count)

    (alert,) = await answer_of(lambda: world.alerts(text="script"), lambda alerts: len(alerts) == 1)
    told: dict[str, object] = alert["alert"]  # type: ignore[assignment]  # a JSON answer
    assert told["labels"] == {"team": tag, "metric": "effective_cost", "grain": "1d"}
    await until(lambda: told["id"] in [one.alert_id for one in world.desk.received], "the desk hears of it")
    for page in ("/", f"/alerts/{told['id']}"):
        answer = await world.http.get(page)
        assert answer.status_code == 200
        assert "<script>alert(1)" not in answer.text


async def test_a_killed_worker_comes_back_and_goes_on(world: World) -> None:
    worker = world.stack.child("worker")
    worker.kill()
    await until(lambda: worker.restarts == 1, "the worker is started again")
    write(world.bills / "september.csv", bill(spike=600))
    firing = await answer_of(lambda: world.alerts(label="team:search", state="resolved"), lambda found: len(found) >= 1)
    assert firing[0]["alert"]["actual"] == 702.0  # type: ignore[index]  # a JSON answer
