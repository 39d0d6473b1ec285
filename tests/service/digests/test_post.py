"""Each digest is sent once for each time it is due: by several processes, over kills, outages and days of silence."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from service.core.alerts import AlertRecord
from service.digests.content import Digest as DigestContent
from service.digests.post import DigestMetrics, Post, make_letters, moment_of, schedule_of
from service.errors import UnavailableError
from service.settings import Digest
from service.store.sql import SqlStore
from service.store.store import DeliveryQuery, Letter, LetterDelivery
from tests.builders import everyone, make_alert
from tests.clock import FakeClock
from tests.killing import killed_at
from tests.service.core.test_silences import make_silence
from tests.service.digests.builders import DAY, MONDAY, WEEK, make_settings, make_statement, november

MINUTE = timedelta(minutes=1)
TO_ALL = make_settings(receivers=["desk", "mail"], to={"search": "desk", "ads": ["mail", "mail"]})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(MONDAY - DAY)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
async def store(url: str, clock: FakeClock) -> AsyncIterator[SqlStore]:
    store = SqlStore(url, routes=everyone("desk"), clock=clock)
    await store.migrate()
    yield store
    await store.close()


class Looking:
    """A process that looks after digests."""

    def __init__(self, store: SqlStore, clock: FakeClock, *settings: Digest) -> None:
        self.registry = CollectorRegistry()
        metrics = DigestMetrics(self.registry, [one.name for one in settings])
        self.post = Post(settings, store, clock, metrics, tenant="default")

    def count(self, outcome: str) -> float | None:
        labels = {"digest": "weekly", "outcome": outcome}
        return self.registry.get_sample_value("spendwatch_digests_total", labels)


async def letters(store: SqlStore) -> list[LetterDelivery]:
    rows = (await store.deliveries(DeliveryQuery(limit=500))).items
    found = [row for row in rows if isinstance(row, LetterDelivery)]
    return sorted(found, key=lambda row: (row.letter.due_at, row.receiver, row.letter.value or ""))


def digest_of(letter: Letter) -> DigestContent:
    assert isinstance(letter.content, DigestContent)
    return letter.content


async def test_a_digest_is_sent_at_its_time_to_whom_it_is_for(store: SqlStore, clock: FakeClock) -> None:
    await store.record_spend([make_statement(day, 10.0, team) for day in range(9, 23) for team in ("search", "ads")])
    await store.record([make_alert()])
    looking = Looking(store, clock, TO_ALL)
    await looking.post.look()
    clock.at = MONDAY - MINUTE
    await looking.post.look()
    assert await letters(store) == []
    clock.at = MONDAY
    await looking.post.look()
    clock.at = MONDAY + MINUTE
    await looking.post.look()
    found = await letters(store)
    assert [(one.receiver, one.letter.value) for one in found] == [
        ("desk", None),
        ("desk", "search"),
        ("mail", None),
        ("mail", "ads"),
    ]
    content = digest_of(found[0].letter)
    assert (content.period, content.due_at, content.made_at) == (WEEK, MONDAY, MONDAY)
    assert [(total.amount, total.change) for total in content.totals] == [(140.0, 0.0)]
    assert [line.id for line in content.open.named] == ["a1"]
    assert (looking.count("sent"), looking.count("missed"), looking.count("failed")) == (1, 0, 0)


async def test_one_that_has_just_been_configured_waits_for_its_first_time(store: SqlStore, clock: FakeClock) -> None:
    """Last Monday's is not sent on Thursday because the setting is new."""
    clock.at = MONDAY + 3 * DAY
    await Looking(store, clock, TO_ALL).post.look()
    assert await letters(store) == []


async def test_of_many_processes_one_sends_it(url: str, store: SqlStore, clock: FakeClock) -> None:
    stores = [SqlStore(url, routes=everyone(), clock=clock) for _ in range(4)]
    processes = [Looking(one, clock, TO_ALL) for one in stores]
    for clock.at in (MONDAY - DAY, MONDAY, MONDAY + MINUTE):
        await asyncio.gather(*(process.post.look() for process in processes))
    assert len(await letters(store)) == 4
    assert sum(process.count("sent") or 0 for process in processes) == 1
    for one in stores:
        await one.close()


async def test_what_was_missed_is_sent_once_with_all_that_happened_since(store: SqlStore, clock: FakeClock) -> None:
    daily = make_settings(every="day")
    await Looking(store, clock, daily).post.look()
    clock.at = MONDAY
    await Looking(store, clock, daily).post.look()
    clock.at = MONDAY + 4 * DAY + timedelta(hours=5)
    looking = Looking(store, clock, daily)
    await looking.post.look()
    first, late = await letters(store)
    assert (first.letter.due_at, late.letter.due_at) == (MONDAY, MONDAY + 4 * DAY)
    assert digest_of(late.letter).period.days == [november(26)]
    assert digest_of(late.letter).since == MONDAY, "alerts of the days without a digest are not lost"
    assert looking.count("missed") == 3
    clock.at = MONDAY + 5 * DAY
    await looking.post.look()
    assert len(await letters(store)) == 3


async def test_another_time_in_the_settings_holds_from_now_on(store: SqlStore, clock: FakeClock) -> None:
    await Looking(store, clock, make_settings(at="08:00")).post.look()
    clock.at = MONDAY - MINUTE
    await Looking(store, clock, make_settings(at="18:00")).post.look()
    clock.at = MONDAY + MINUTE
    await Looking(store, clock, make_settings(at="18:00")).post.look()
    assert await letters(store) == []
    clock.at = MONDAY + timedelta(hours=10)
    await Looking(store, clock, make_settings(at="18:00")).post.look()
    assert len(await letters(store)) == 1


@pytest.mark.parametrize(("point", "sent_before"), [("made", 0), ("posted", 3)])
async def test_a_killed_process_leaves_all_letters_or_none(
    url: str, store: SqlStore, clock: FakeClock, point: str, sent_before: int
) -> None:
    settings = make_settings(receivers=["desk", "mail"], to={"search": "desk"})
    looking = Looking(store, clock, settings)
    await looking.post.look()
    await killed_at(point, "tests.service.digests.killed", url)
    assert len(await letters(store)) == sent_before
    clock.at = MONDAY + MINUTE
    await looking.post.look()
    found = await letters(store)
    assert [(one.receiver, one.letter.value) for one in found] == [("desk", None), ("desk", "search"), ("mail", None)]


class Troubled(SqlStore):
    """Fails with *error* while there is one."""

    error: Exception | None = None

    async def alerts_since(self, tenant: str, since: datetime) -> list[AlertRecord]:
        if self.error is not None:
            raise self.error
        return await super().alerts_since(tenant, since)


@pytest.mark.parametrize("error", [UnavailableError("away"), ZeroDivisionError("a fault")])
async def test_what_fails_is_tried_again(url: str, clock: FakeClock, error: Exception) -> None:
    store = Troubled(url, routes=everyone(), clock=clock)
    await store.migrate()
    looking = Looking(store, clock, TO_ALL)
    await looking.post.look()
    clock.at, store.error = MONDAY, error
    await looking.post.look()
    assert await letters(store) == []
    assert looking.count("failed") == (0 if isinstance(error, UnavailableError) else 1)
    clock.at, store.error = MONDAY + MINUTE, None
    await looking.post.look()
    assert len(await letters(store)) == 4
    await store.close()


async def test_one_sent_by_hand_takes_no_ones_place(store: SqlStore, clock: FakeClock) -> None:
    looking = Looking(store, clock, TO_ALL)
    await looking.post.look()
    moment = moment_of(TO_ALL, clock.at, made_at=clock.at)
    by_hand = await make_letters(store, TO_ALL, moment, tenant="default", by_hand=True)
    await store.post_by_hand(by_hand, at=clock.at)
    clock.at = MONDAY
    await looking.post.look()
    assert len(await letters(store)) == 8
    assert (await store.digest_state("weekly", schedule=schedule_of(TO_ALL), first=MONDAY)).last_due == MONDAY


async def test_it_runs_until_it_is_stopped(store: SqlStore, clock: FakeClock) -> None:
    looking = Looking(store, clock, TO_ALL)
    stop = asyncio.Event()
    running = asyncio.create_task(looking.post.run(stop))
    stop.set()
    async with asyncio.timeout(10):
        await running


async def test_old_spend_is_forgotten_on_the_way(store: SqlStore, clock: FakeClock) -> None:
    await store.record_spend([make_statement(-400, 1.0), make_statement(20, 2.0)])
    await Looking(store, clock, TO_ALL).post.look()
    rows = await store.spend_sums(
        tenant="default", label="team", metric="effective_cost", since=november(-500), until=MONDAY
    )
    assert [row.amount for row in rows] == [2.0]


async def test_silences_that_end_before_the_next_digest_are_told_of(store: SqlStore, clock: FakeClock) -> None:
    for matcher, days in (('team="search"', 2), ('team="ads"', 3), ('team="search"', 9)):
        span = {"starts_at": MONDAY - DAY, "ends_at": MONDAY + days * DAY, "created_at": MONDAY - DAY}
        await store.add_silence(make_silence(matchers=(matcher,), **span))
    moment = moment_of(TO_ALL, MONDAY, made_at=MONDAY, since=None)
    made = await make_letters(store, TO_ALL, moment, tenant="default")
    told = {letter.value: [one.what for one in digest_of(letter).silences] for letter in made}
    assert told == {None: ['team="search"', 'team="ads"'], "search": ['team="search"'], "ads": ['team="ads"']}
