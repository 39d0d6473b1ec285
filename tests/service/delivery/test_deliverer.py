"""The deliverer on the real outbox (SQLite) with a clock that stands still until it is moved."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from random import SystemRandom

import httpx
import pytest
from prometheus_client import CollectorRegistry

from service.clock import SystemClock
from service.core.alerts import EventType
from service.delivery.backoff import Backoff
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.delivery.receivers.receiver import Delivered, FailureReason, Receiver, Rejected, Retry
from service.delivery.receivers.webhook import Webhook
from service.delivery.run import make_deliverer
from service.receiver_settings import WebhookReceiver
from service.settings import Settings
from service.store.database import StoreUnavailableError
from service.store.sql import SqlStore
from service.store.store import Delivery
from tests.builders import everyone, make_alert, resolved
from tests.clock import NOON, FakeClock
from tests.service.delivery.fakes import SECRET, FakeResolver, RecordingReceiver, running
from tests.waiting import until

SECOND = timedelta(seconds=1)
BUSY = Retry(reason=FailureReason.SERVER_ERROR, detail="answered 503")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


class World:
    """An outbox for *receivers*, and deliverers on it."""

    def __init__(self, url: str, clock: FakeClock, registry: CollectorRegistry) -> None:
        self.url = url
        self.clock = clock
        self.registry = registry
        self.stores: list[SqlStore] = []

    async def open(self, *receivers: str) -> SqlStore:
        store = SqlStore(self.url, routes=everyone(*receivers), clock=self.clock)
        await store.migrate()
        self.stores.append(store)
        return store

    def deliverer(
        self,
        store: SqlStore,
        *receivers: Receiver,
        worker: str | None = None,
        margin: float = 30,
        grace: float = 8,
        backoff: Backoff | None = None,
        random: SystemRandom | None = None,
    ) -> Deliverer:
        registry = self.registry if worker is None else CollectorRegistry()
        return Deliverer(
            store,
            receivers,
            self.clock,
            DeliveryMetrics(registry, [receiver.name for receiver in receivers]),
            poll_seconds=0.005,
            # Without jitter's randomness below 1: every wait is the bound times something below 1.
            backoff=backoff or Backoff(base=10 * SECOND, cap=60 * SECOND),
            random=random,
            worker=worker,
            lease_margin=timedelta(seconds=margin),
            grace=timedelta(seconds=grace),
            time=lambda: self.clock.now().timestamp(),
        )

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metric_of(f"spendwatch_notification{name}", **labels)

    def metric_of(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
async def world(tmp_path: object, clock: FakeClock, registry: CollectorRegistry) -> AsyncIterator[World]:
    world = World(f"sqlite+aiosqlite:///{tmp_path}/store.db", clock, registry)
    yield world
    for store in world.stores:
        await store.close()


async def states(store: SqlStore, alert_id: str = "a1") -> list[str]:
    return [delivery.state for delivery in await store.deliveries_of(alert_id)]


async def test_everything_due_is_delivered_once(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert(f"a{n}") for n in range(25)])
    desk = RecordingReceiver()
    async with running(world.deliverer(store, desk)):
        await until(lambda: len(desk.sent) == 25)
        await store.record([make_alert("later")])
        await until(lambda: len(desk.sent) == 26)
    assert len({delivery.id for delivery in desk.sent}) == 26
    assert await store.counts() == {"desk": {"pending": 0, "delivered": 26, "dead": 0}}
    assert desk.closed


async def test_a_remote_id_is_kept(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert()])
    desk = RecordingReceiver("desk", Delivered(remote_id="INC-42"))
    async with running(world.deliverer(store, desk)):
        await until(lambda: len(desk.sent) == 1)
    [delivery] = await store.deliveries_of("a1")
    assert (delivery.state, delivery.remote_id) == ("delivered", "INC-42")


async def test_a_failure_is_tried_again_under_the_same_id(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert()])
    desk = RecordingReceiver("desk", BUSY, BUSY, Delivered())
    async with running(world.deliverer(store, desk)):
        for attempt in (1, 2, 3):
            await until(lambda: len(desk.sent) == attempt)  # noqa: B023 - awaited within the round
            if attempt < 3:
                await until(lambda: waits(store, attempt))  # noqa: B023
                world.clock.move(20 * SECOND)
    assert len({delivery.id for delivery in desk.sent}) == 1
    assert [delivery.attempts for delivery in desk.sent] == [1, 2, 3]
    assert await states(store) == ["delivered"]
    assert world.metric("s_total", receiver="desk") == 3
    assert world.metric("s_failed_total", receiver="desk", reason="server_error") == 2


async def waits(store: SqlStore, attempts: int) -> bool:
    """Whether the failure of so many attempts has been written down."""
    [delivery] = await store.deliveries_of("a1")
    return delivery.attempts == attempts and delivery.last_error is not None and delivery.next_attempt_at > NOON


async def test_retry_after_is_waited_for(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert()])
    limited = Retry(reason=FailureReason.RATE_LIMITED, detail="answered 429", after=300 * SECOND)
    desk = RecordingReceiver("desk", limited, Delivered())
    async with running(world.deliverer(store, desk)):
        await until(lambda: waits(store, 1))
        [delivery] = await store.deliveries_of("a1")
        assert delivery.next_attempt_at == NOON + 300 * SECOND
        world.clock.move(299 * SECOND)
        await asyncio.sleep(0.03)
        assert len(desk.sent) == 1
        world.clock.move(SECOND)
        await until(lambda: len(desk.sent) == 2)


async def test_what_is_rejected_is_dead_at_once(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert(), resolved()])
    desk = RecordingReceiver("desk", Rejected(reason=FailureReason.GONE, detail="answered 410"), Delivered())
    async with running(world.deliverer(store, desk)):
        await until(lambda: len(desk.sent) == 2)
    assert await states(store) == ["dead", "delivered"]
    assert (await store.deliveries_of("a1"))[0].last_error == "answered 410"
    assert world.metric("s_failed_total", receiver="desk", reason="gone") == 1


async def test_after_the_deadline_a_message_is_dead(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert()])
    desk = RecordingReceiver("desk", BUSY, deadline=60 * SECOND)
    async with running(world.deliverer(store, desk)):
        await until(lambda: waits(store, 1))
        world.clock.move(70 * SECOND)
        await until(lambda: is_dead(store))
    [delivery] = await store.deliveries_of("a1")
    assert delivery.last_error == "given up after 2 attempts in 0:01:10: answered 503"


async def is_dead(store: SqlStore) -> bool:
    return await states(store) == ["dead"]


async def test_a_message_older_than_its_deadline_gets_one_attempt(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert()])
    world.clock.move(timedelta(days=9))
    desk = RecordingReceiver("desk", Delivered())
    async with running(world.deliverer(store, desk)):
        await until(lambda: len(desk.sent) == 1)
    assert await states(store) == ["delivered"]


async def test_a_resolve_never_overtakes_its_trigger(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert(f"a{n}") for n in range(6)])
    await store.record([resolved(f"a{n}") for n in range(6)])
    desk = RecordingReceiver("desk", *[BUSY] * 8, Delivered(), concurrency=5)
    one, two = world.deliverer(store, desk, worker="one"), world.deliverer(store, desk, worker="two")
    async with running(one), running(two):
        async with asyncio.timeout(20):
            while (await store.counts())["desk"]["delivered"] < 12:
                world.clock.move(5 * SECOND)
                await asyncio.sleep(0.005)
    assert desk.overlaps == []
    order: dict[str, list[EventType]] = {}
    for delivery in desk.sent:
        kinds = order.setdefault(delivery.event.record.alert.id, [])
        if delivery.event.type not in kinds:
            kinds.append(delivery.event.type)
        else:
            assert kinds[-1] is delivery.event.type, "an older message was sent after a newer one"
    assert set(map(tuple, order.values())) == {(EventType.OPENED, EventType.RESOLVED)}


async def test_a_hanging_receiver_delays_no_other(world: World) -> None:
    store = await world.open("stuck", "desk")
    await store.record([make_alert(f"a{n}") for n in range(30)])
    stuck, desk = RecordingReceiver("stuck", concurrency=3), RecordingReceiver("desk")
    stuck.gate.clear()
    async with running(world.deliverer(store, stuck, desk, grace=0.05)):
        await until(lambda: len(desk.sent) == 30)
        await until(lambda: len(stuck.sent) == 3)
    counts = await store.counts()
    assert counts["desk"] == {"pending": 0, "delivered": 30, "dead": 0}
    assert counts["stuck"]["pending"] == 30


async def test_stopping_lets_attempts_finish(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert(), make_alert("a2")])
    desk = RecordingReceiver("desk", concurrency=1)
    desk.gate.clear()
    async with running(world.deliverer(store, desk)) as stop:
        await until(lambda: len(desk.sent) == 1)
        stop.set()
        await asyncio.sleep(0.01)
        desk.gate.set()
    assert len(desk.sent) == 1
    assert await store.counts() == {"desk": {"pending": 1, "delivered": 1, "dead": 0}}


async def test_what_does_not_finish_in_time_is_free_for_the_next(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert()])
    stuck, desk = RecordingReceiver(), RecordingReceiver()
    stuck.gate.clear()
    async with running(world.deliverer(store, stuck, worker="one", grace=0.01)):
        await until(lambda: len(stuck.sent) == 1)
    [delivery] = await store.deliveries_of("a1")
    assert delivery.last_error == "stopped while sending; it may have arrived"
    async with running(world.deliverer(store, desk, worker="two")):
        await until(lambda: len(desk.sent) == 1)
    assert desk.sent[0].id == stuck.sent[0].id


async def test_a_lease_that_ends_is_taken_over(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert()])
    [lost] = await store.claim(worker="killed", now=NOON, lease_seconds=45, limit=1)
    desk = RecordingReceiver()
    async with running(world.deliverer(store, desk)):
        world.clock.move(44 * SECOND)
        await asyncio.sleep(0.03)
        assert desk.sent == []
        world.clock.move(SECOND)
        await until(lambda: len(desk.sent) == 1)
    assert (desk.sent[0].id, desk.sent[0].attempts) == (lost.id, 2)


async def test_a_fault_in_a_receiver_is_an_attempt_that_failed(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert()])
    desk = RecordingReceiver("desk", ValueError("hunter2"), Delivered())
    async with running(world.deliverer(store, desk)):
        await until(lambda: waits(store, 1))
        [delivery] = await store.deliveries_of("a1")
        assert delivery.last_error == "fault in the receiver: ValueError"
        world.clock.move(20 * SECOND)
        await until(lambda: len(desk.sent) == 2)
    assert world.metric("s_failed_total", receiver="desk", reason="internal") == 1


class Flaky(SqlStore):
    """A database that is away while `away` is set."""

    away = False

    async def claim(
        self,
        *,
        worker: str,
        now: datetime,
        lease_seconds: float,
        limit: int,
        receiver: str | None = None,
        newest_only: bool = False,
    ) -> list[Delivery]:
        self._check()
        return await super().claim(
            worker=worker,
            now=now,
            lease_seconds=lease_seconds,
            limit=limit,
            receiver=receiver,
            newest_only=newest_only,
        )

    async def delivered(self, delivery_id: str, *, at: datetime, remote_id: str | None = None) -> None:
        self._check()
        await super().delivered(delivery_id, at=at, remote_id=remote_id)

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailableError("postgresql://db:5432/spendwatch", "connection refused")


async def test_a_database_that_goes_away_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.delivery.outbox._STORE_RETRY_SECONDS", 0.005)
    await world.open("desk")
    store = Flaky(world.url, routes=everyone("desk"), clock=world.clock)
    world.stores.append(store)
    await store.record([make_alert()])
    desk = RecordingReceiver()
    desk.gate.clear()
    deliverer = world.deliverer(store, desk)
    async with running(deliverer):
        await until(lambda: len(desk.sent) == 1)
        store.away = True
        desk.gate.set()
        await until(lambda: deliverer.ready()["store"] is not None)
        assert "hunter2" not in str(deliverer.ready())
        store.away = False
        await store.record([make_alert("a2")])
        await until(lambda: len(desk.sent) == 2)
        await until(lambda: deliverer.ready()["store"] is None)
    assert (await store.counts())["desk"]["delivered"] == 2


async def test_metrics_of_every_receiver_exist_from_the_start(registry: CollectorRegistry) -> None:
    DeliveryMetrics(registry, ["desk", "pager"])
    for receiver in ("desk", "pager"):
        for name in ("s_total", "s_pending", "s_dead", "_seconds_count", "_delay_seconds_count"):
            assert registry.get_sample_value(f"spendwatch_notification{name}", {"receiver": receiver}) == 0
        for reason in FailureReason:
            labels = {"receiver": receiver, "reason": reason.value}
            assert registry.get_sample_value("spendwatch_notifications_failed_total", labels) == 0


async def test_the_gauges_follow_the_outbox(world: World) -> None:
    store = await world.open("desk", "removed")
    await store.record([make_alert(), make_alert("a2")])
    [first] = await store.claim(worker="w", now=NOON, lease_seconds=1, limit=1, receiver="desk")
    await store.dead(first.id, error="x", at=NOON)
    desk = RecordingReceiver()
    desk.gate.clear()
    async with running(world.deliverer(store, desk, grace=0.01)):
        await until(lambda: world.metric("s_pending", receiver="desk") == 1)
        assert world.metric("s_dead", receiver="desk") == 1
        assert world.metric("s_pending", receiver="removed") == 2


async def test_webhooks_end_to_end(world: World, registry: CollectorRegistry) -> None:
    """The role as it is put together, with real webhooks on a transport of ours: 503 first, then 200."""
    store = SqlStore(world.url, routes=everyone("desk"), clock=SystemClock())
    world.stores.append(store)
    await store.migrate()
    await store.record([make_alert(), resolved()])
    answers: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        answers.append(request.headers["webhook-id"])
        return httpx.Response(503, headers={"retry-after": "0"}) if len(answers) == 1 else httpx.Response(202)

    config = WebhookReceiver.model_validate({"name": "desk", "url": "https://desk.example/x", "secret": SECRET})
    resolver = FakeResolver(desk_example=["93.184.215.14"])
    desk = Webhook(config, transport=httpx.MockTransport(answer), resolver=resolver)
    settings = Settings.model_validate({"deliver": {"poll_seconds": 0.005}})
    stop = asyncio.Event()
    receivers: Sequence[Receiver] = [desk]
    deliverer = make_deliverer(settings, outbox=store, receivers=receivers, registry=registry)
    task = asyncio.create_task(deliverer.run(stop))
    await until(lambda: all_delivered(store))
    stop.set()
    await task
    assert len(answers) == 3
    assert answers[0] == answers[1] != answers[2]


async def all_delivered(store: SqlStore) -> bool:
    return await states(store) == ["delivered"] * 2


AWAY = Retry(reason=FailureReason.NETWORK, detail="connection refused")


async def test_a_receiver_that_is_away_does_not_use_up_the_attempts_of_its_messages(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert(f"a{n}") for n in range(40)])
    desk = RecordingReceiver("desk", AWAY, concurrency=4)
    async with running(world.deliverer(store, desk)):
        await until(lambda: world.metric_of("spendwatch_receiver_circuit_open", receiver="desk") == 1)
        tried = len(desk.sent)
        assert tried <= 8, "what was under way, and no more"
        for _ in range(3):
            before = len(desk.sent)
            world.clock.move(31 * SECOND)
            await until(lambda: len(desk.sent) > before)  # noqa: B023 - awaited within the round
            await asyncio.sleep(0.02)
            assert len(desk.sent) == before + 1, "one at a time"
        desk.answer(Delivered())
        world.clock.move(31 * SECOND)
        await until(lambda: all_are_delivered(store, 40))
    assert max(delivery.attempts for delivery in desk.sent) <= 6
    assert world.metric_of("spendwatch_receiver_circuit_open", receiver="desk") == 0


async def all_are_delivered(store: SqlStore, number: int) -> bool:
    return (await store.counts())["desk"]["delivered"] == number


async def test_long_waits_end_when_the_receiver_is_back(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert(f"a{n}") for n in range(10)])
    for delivery in await store.claim(worker="w", now=NOON, lease_seconds=1, limit=9):
        await store.retry(delivery.id, error="503", next_attempt_at=NOON + timedelta(hours=1))
    desk = RecordingReceiver("desk", AWAY, AWAY, AWAY, AWAY, AWAY, Delivered(), settle=20 * SECOND)
    async with running(world.deliverer(store, desk)):
        for attempt in range(1, 7):
            await until(lambda: len(desk.sent) >= attempt)  # noqa: B023
            await asyncio.sleep(0.02)
            world.clock.move(61 * SECOND)
        await until(lambda: all_are_delivered(store, 10))
    assert world.clock.now() < NOON + timedelta(minutes=7)


async def test_a_single_message_notices_that_the_receiver_is_back(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert()])
    desk = RecordingReceiver("desk", AWAY, deadline=timedelta(days=3))
    hour = Backoff(base=timedelta(hours=1), cap=timedelta(hours=1))
    async with running(world.deliverer(store, desk, backoff=hour, random=Longest())):
        for attempt in range(1, 6):
            await until(lambda: waits(store, attempt))  # noqa: B023
            world.clock.move(timedelta(hours=1))
        for attempt in range(6, 12):
            await until(lambda: waits(store, attempt))  # noqa: B023
            world.clock.move(30 * SECOND)


class Longest(SystemRandom):
    def random(self) -> float:
        return 1.0


async def test_after_429_the_whole_receiver_is_left_alone(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert(f"a{n}") for n in range(5)])
    limited = Retry(reason=FailureReason.RATE_LIMITED, detail="429", after=60 * SECOND)
    desk = RecordingReceiver("desk", limited, Delivered(), concurrency=1)
    async with running(world.deliverer(store, desk)):
        await until(lambda: len(desk.sent) == 1)
        world.clock.move(59 * SECOND)
        await asyncio.sleep(0.03)
        assert len(desk.sent) == 1
        world.clock.move(11 * SECOND)
        await until(lambda: all_are_delivered(store, 5))


async def test_no_more_is_sent_than_the_rate_allows(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert(f"a{n}") for n in range(20)])
    desk = RecordingReceiver("desk", rate=1.0, burst=3)
    async with running(world.deliverer(store, desk)):
        for allowed in (3, 5, 7):
            await until(lambda: len(desk.sent) == allowed)  # noqa: B023
            await asyncio.sleep(0.03)
            assert len(desk.sent) == allowed
            world.clock.move(2 * SECOND)


async def test_what_waits_behind_the_opening_is_told_as_the_newest(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert(), make_alert(version=2, impact=1e4), make_alert(version=3, impact=1e5)])
    desk = RecordingReceiver("desk", Delivered(remote_id="INC-7"), newest_only=True)
    async with running(world.deliverer(store, desk)):
        await until(lambda: len(desk.sent) == 2)
    assert [delivery.event.record.alert.version for delivery in desk.sent] == [1, 3]
    assert [delivery.remote_id for delivery in desk.sent] == [None, "INC-7"]
    assert await states(store) == ["delivered", "superseded", "delivered"]


async def test_what_was_learned_before_a_failure_is_kept(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert()])
    half = Retry(reason=FailureReason.TIMEOUT, detail="slow", remote_id="INC-7")
    gone = Rejected(reason=FailureReason.CLIENT_ERROR, detail="400", remote_id="INC-8")
    desk = RecordingReceiver("desk", half, gone, newest_only=True)
    async with running(world.deliverer(store, desk)):
        await until(lambda: waits(store, 1))
        world.clock.move(20 * SECOND)
        await until(lambda: is_dead(store))
    assert desk.sent[1].remote_id == "INC-7"
    assert (await store.deliveries_of("a1"))[0].remote_id == "INC-8"


async def test_what_was_cut_off_is_tried_again_once_its_effect_can_be_seen(world: World) -> None:
    store = await world.open("desk")
    await store.record([make_alert()])
    stuck = RecordingReceiver(settle=20 * SECOND)
    stuck.gate.clear()
    async with running(world.deliverer(store, stuck, grace=0.01)):
        await until(lambda: len(stuck.sent) == 1)
    [delivery] = await store.deliveries_of("a1")
    assert delivery.next_attempt_at == NOON + 20 * SECOND
