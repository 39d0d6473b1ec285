"""Spend and letters in SQL, on SQLite and PostgreSQL: the same rows whatever comes twice or late, each letter once."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from connectors.facts import Basis
from service.core.spend import SpendStatement
from service.digests.content import overview
from service.digests.expiry import ExpiryWarning
from service.digests.sums import DaySum, SpendBasis
from service.store import migrations
from service.store.sql import SqlStore
from service.store.store import Delivery, DeliveryQuery, DigestState, Letter, LetterDelivery
from tests.builders import everyone, make_alert
from tests.clock import FakeClock
from tests.service.core.test_silences import make_silence
from tests.service.digests.builders import DAY, MOMENT, MONDAY, make_settings, make_statement, make_sum, november

WEEK_LATER = MONDAY + timedelta(days=7)


async def opened(url: str, clock: FakeClock) -> AsyncIterator[SqlStore]:
    clock.at = MONDAY
    store = SqlStore(url, routes=everyone("desk"), clock=clock)
    await store.migrate()
    yield store
    await store.close()


async def sums(store: SqlStore, **changes: object) -> list[DaySum]:
    asked = {"tenant": "default", "label": "team", "metric": "effective_cost", "since": november(1), "until": MONDAY}
    return await store.spend_sums(**{**asked, **changes})  # type: ignore[arg-type]  # any of them


def make_letter(id_: str = "letter_1", *receivers: str) -> Letter:
    content = overview(make_settings(), MOMENT, [make_sum(22, 12.5)], ())
    return Letter(id=id_, digest="weekly", value=None, due_at=MONDAY, content=content, receivers=receivers or ("desk",))


async def claimed(store: SqlStore, at: datetime = MONDAY, *, receiver: str = "desk") -> list[LetterDelivery]:
    return await store.claim_letters(worker="w1", now=at, lease_seconds=30, limit=10, receiver=receiver)


class Suite:
    async def test_the_newest_statement_about_a_bucket_is_kept_in_any_order(self, store: SqlStore) -> None:
        """With what crashes and replays repeat, in batches of any size."""
        statements = [
            make_statement(day, float(day * 10 + offset), team, offset=offset, born=born)
            for team in ("search", "ads", "a/b=c \0")
            for day in (20, 21, 22)
            for born, offset in ((1, 5), (1, 6), (2, 1))
        ]
        wanted = [(value, day * 10.0 + 1) for value in ("a/b=c \ufffd", "ads", "search") for day in (20, 21, 22)]
        for seed in range(10):
            rng = random.Random(seed)
            mixed: Sequence[SpendStatement] = rng.sample(statements * 2, 2 * len(statements))
            while mixed:
                size = rng.randint(1, 8)
                await store.record_spend(mixed[:size])
                mixed = mixed[size:]
            assert [(row.value, row.amount) for row in await sums(store)] == wanted, f"seed {seed}"
            await store.forget(spend_before=MONDAY, letters_before=MONDAY)
            assert await sums(store) == []

    async def test_hours_add_up_to_the_days_of_utc(self, store: SqlStore) -> None:
        hourly = "default/effective_cost/USD/1h/tag:team=search"
        hours = [
            make_statement(22, 1.5, series=hourly, start=november(22, hour=hour), basis=basis)
            for hour, basis in ((0, Basis.BILLED), (12, Basis.BILLED), (23, Basis.ESTIMATED))
        ]
        await store.record_spend([*hours, make_statement(23, 7.0, series=hourly, start=november(23))])
        assert await sums(store, until=november(24)) == [
            make_sum(22, 4.5, grain_seconds=3600, basis=SpendBasis.MIXED),
            make_sum(23, 7.0, grain_seconds=3600, until=november(23, hour=1)),
        ]

    async def test_only_what_is_asked_for_is_added_up(self, store: SqlStore) -> None:
        others: tuple[str, ...] = ("acme/effective_cost/USD/1d/tag:team=x", "default/billed_cost/USD/1d/tag:team=x")
        others = (*others, "default/effective_cost/USD/1d/service_name=EC2")
        await store.record_spend([make_statement(22, 1.0, series=series) for series in others])
        await store.record_spend([make_statement(day, 2.0) for day in (19, 20, 21)])
        assert await sums(store, since=november(20), until=november(21)) == [make_sum(20, 2.0)]
        assert [row.value for row in await sums(store, label="service_name")] == ["EC2"]

    async def test_old_spend_and_old_letters_are_forgotten(self, store: SqlStore) -> None:
        await store.record_spend([make_statement(day, 1.0) for day in (10, 20)])
        await store.post_by_hand([make_letter()], at=MONDAY)
        await store.forget(spend_before=november(20), letters_before=MONDAY)
        assert [row.day for row in await sums(store)] == [november(20)]
        assert len((await store.deliveries(DeliveryQuery())).items) == 1
        await store.forget(spend_before=november(20), letters_before=MONDAY + DAY)
        assert (await store.deliveries(DeliveryQuery())).items == ()

    async def test_a_digest_is_due_when_it_was_first_said_to_be(self, store: SqlStore) -> None:
        first = await store.digest_state("weekly", schedule="week", first=MONDAY)
        assert first == DigestState(next_due=MONDAY, last_due=None)
        assert await store.digest_state("weekly", schedule="week", first=WEEK_LATER) == first
        other = await store.digest_state("weekly", schedule="day", first=WEEK_LATER)
        assert other.next_due == WEEK_LATER, "another schedule is reckoned anew"

    async def test_of_many_who_post_a_digest_one_does(self, store: SqlStore) -> None:
        was = await store.digest_state("weekly", schedule="week", first=MONDAY)
        becomes = DigestState(next_due=WEEK_LATER, last_due=MONDAY)
        posts = (store.post([make_letter()], name="weekly", was=was, becomes=becomes, at=MONDAY) for _ in range(5))
        assert sorted(await asyncio.gather(*posts)) == [False] * 4 + [True]
        assert await store.digest_state("weekly", schedule="week", first=MONDAY) == becomes
        assert len(await claimed(store)) == 1

    async def test_a_letter_goes_through_the_outbox_like_an_alert(self, store: SqlStore) -> None:
        await store.record([make_alert()])
        await store.post_by_hand([make_letter("letter_1", "desk", "mail")], at=MONDAY)
        [alert] = await store.claim(worker="w1", now=MONDAY, lease_seconds=30, limit=10, receiver="desk")
        assert alert.event.record.alert.id == "a1", "a claim of alerts takes no letters"
        [letter] = await claimed(store)
        assert (letter.letter, letter.attempts) == (make_letter("letter_1", "desk"), 1)
        assert await claimed(store) == [], "it is leased"
        assert [one.id for one in await claimed(store, MONDAY + timedelta(minutes=1))] == [letter.id], (
            "the lease has ended"
        )
        await store.retry(letter.id, error="503", next_attempt_at=MONDAY + DAY, worker="w1")
        assert await claimed(store, MONDAY + timedelta(minutes=5)) == []
        await store.dead(letter.id, error="410", at=MONDAY + DAY)
        assert await claimed(store, MONDAY + 2 * DAY) == []
        assert await store.revive(at=MONDAY + 2 * DAY, delivery_id=letter.id) == 1
        [again] = await claimed(store, MONDAY + 3 * DAY)
        await store.delivered(again.id, at=MONDAY + 3 * DAY, remote_id="mail-1")
        assert await claimed(store, MONDAY + 9 * DAY) == []
        assert await store.counts() == {
            "desk": {"pending": 1, "delivered": 1, "dead": 0},
            "mail": {"pending": 1, "delivered": 0, "dead": 0},
        }

    async def test_letters_and_alerts_are_listed_together_in_pages(self, store: SqlStore) -> None:
        await store.record([make_alert("a1")])
        await store.post_by_hand([make_letter("letter_1"), make_letter("letter_2")], at=MONDAY)
        await store.record([make_alert("a2")])
        seen: list[str] = []
        cursor = None
        while True:
            page = await store.deliveries(DeliveryQuery(limit=1, cursor=cursor))
            seen += [one.event.record.alert.id if isinstance(one, Delivery) else "letter" for one in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert [seen[0], sorted(seen[1:])] == ["a2", ["a1", "letter", "letter"]]
        assert len(await store.deliveries_of("a1")) == 1

    async def test_the_same_letter_is_written_once(self, store: SqlStore) -> None:
        for _ in range(2):
            await store.post_by_hand([make_letter()], at=MONDAY)
        assert len(await claimed(store)) == 1

    async def test_of_many_who_warn_of_a_silence_one_does(self, store: SqlStore) -> None:
        made = [await store.add_silence(make_silence(starts_at=MONDAY, ends_at=MONDAY + DAY)) for _ in range(3)]
        at, receivers = MONDAY + DAY / 2, ("desk", "mail")
        found = await asyncio.gather(
            *(store.warn_of_expiry(at=at, within=DAY / 2, receivers=receivers) for _ in range(8))
        )
        assert sorted(one.silence for warnings in found for one in warnings) == sorted(one.id for one in made)
        [first, *others] = await claimed(store, at)
        assert len(others) == 2
        assert isinstance(first.letter.content, ExpiryWarning)
        assert (first.letter.digest, first.letter.content.until) == (None, MONDAY + DAY)
        assert first.letter.content in [one for warnings in found for one in warnings]

    async def test_alerts_are_read_that_are_open_or_were_active(self, store: SqlStore, clock: FakeClock) -> None:
        await store.record([make_alert("open"), make_alert("over"), make_alert("other", tenant="acme")])
        clock.move(DAY)
        await store.resolve("over", actor="ada", comment="", at=clock.now())
        assert {one.alert.id for one in await store.alerts_since("default", MONDAY)} == {"open", "over"}
        assert {one.alert.id for one in await store.alerts_since("default", clock.now())} == {"open"}


class TestSqlite(Suite):
    @pytest.fixture
    async def store(self, sqlite_url: str, clock: FakeClock) -> AsyncIterator[SqlStore]:
        async for store in opened(sqlite_url, clock):
            yield store


@pytest.mark.postgres
class TestPostgres(Suite):
    @pytest.fixture
    async def store(self, postgres_url: str, clock: FakeClock) -> AsyncIterator[SqlStore]:
        async for store in opened(postgres_url, clock):
            yield store


async def test_messages_of_before_outlive_the_migration(sqlite_url: str, clock: FakeClock) -> None:
    """SQLite writes the table of deliveries anew, with its indexes."""
    store = SqlStore(sqlite_url, routes=everyone("desk"), clock=clock)
    async with store._database.writing() as connection:
        await connection.run_sync(_upgrade_to("0003"))
        for statement in _OLD_ROWS:
            await connection.execute(text(statement))
    await store.migrate()
    async with store._database.reading() as connection:
        rows = (await connection.execute(text("SELECT id, alert_id, seq, letter_id FROM deliveries"))).all()
        found = await connection.execute(text("SELECT name FROM sqlite_master WHERE tbl_name = 'deliveries'"))
        names = {row.name for row in found}
    assert [tuple(row) for row in rows] == [("msg_1", "a1", 1, None)]
    assert {f"ix_deliveries_{name}" for name in ("due", "head", "letters", "alert_id_seq", "receiver_state")} <= names
    await store.post_by_hand([make_letter()], at=MONDAY)
    assert len(await claimed(store)) == 1
    await store.close()


async def test_letters_of_before_are_still_digests_after_the_migration(sqlite_url: str, clock: FakeClock) -> None:
    store = SqlStore(sqlite_url, routes=everyone("desk"), clock=clock)
    document = msgspec.json.encode(make_letter().content).decode()
    async with store._database.writing() as connection:
        await connection.run_sync(_upgrade_to("0007"))
        letter = f"INSERT INTO letters VALUES ('letter_1', 'weekly', NULL, '{_AT}', '{_AT}', :document)"
        await connection.execute(text(letter), {"document": document})
        await connection.execute(
            text(
                "INSERT INTO deliveries (id, receiver, letter_id, seq, state, attempts, created_at, next_attempt_at)"
                f" VALUES ('msg_1', 'desk', 'letter_1', 0, 'pending', 0, '{_AT}', '{_AT}')"
            )
        )
    await store.migrate()
    [found] = await claimed(store)
    assert (found.letter.digest, found.letter.content) == ("weekly", make_letter().content)
    await store.close()


_AT = "2026-11-20 00:00:00.000000"
_OLD_ROWS = (
    "INSERT INTO alerts VALUES ('a1', 1, 1, 'firing', 'low', 'default', 's', 'r', 'USD', 1.0,"
    f" '{_AT}', '{_AT}', '{{}}')",
    f"INSERT INTO events VALUES (1, 'a1', '{_AT}', 'opened', 'detection', '', '{{}}')",
    "INSERT INTO deliveries (id, receiver, alert_id, seq, state, attempts, created_at, next_attempt_at)"
    f" VALUES ('msg_1', 'desk', 'a1', 1, 'pending', 0, '{_AT}', '{_AT}')",
)


def _upgrade_to(revision: str) -> Callable[[Connection], None]:
    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    return upgrade
