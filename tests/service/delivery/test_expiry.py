"""Whoever is named in the configuration is warned of silences that end soon: what they are told, and once.

`UPDATE_GOLDEN=1 python -m pytest tests/service/delivery/test_expiry.py` writes the golden files anew.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from service.core.alerts import EventType
from service.core.silences import SilenceKind
from service.core.transitions import silenced
from service.delivery.expiry import ExpiryWatch
from service.delivery.expiry_payload import expiry_body
from service.delivery.metrics import DeliveryMetrics
from service.delivery.outbox import Deliverer
from service.delivery.payload import MAX_BYTES
from service.delivery.receivers.receiver import Delivered
from service.digests.expiry import ExpiryWarning, page_of_warning
from service.digests.html import html_of
from service.digests.page import lines_of
from service.errors import UnavailableError
from service.schemas import print_schema
from service.store.sql import SqlStore
from service.store.store import DeliveryQuery, LetterDelivery
from tests.builders import everyone, make_alert
from tests.clock import NOON, FakeClock
from tests.killing import killed_at
from tests.remotes.kinds import Kind
from tests.remotes.mail import MailRemote
from tests.service.core.test_silences import make_silence
from tests.service.delivery.fakes import running
from tests.service.delivery.letters import make_letter, make_warning
from tests.service.delivery.test_email import make as make_email
from tests.service.delivery.test_email import text_of
from tests.service.delivery.test_letters import (
    FILLERS,
    LINK,
    Elements,
    LetterBox,
    carriers,
    golden,
    letters_of,
    mrkdwn_of,
)
from tests.service.digests.builders import MONDAY
from tests.waiting import until

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
END = NOON + 8 * HOUR
TELL = ("ops-chat", "mail")


# -- what is told ---------------------------------------------------------------------------------------------------


@carriers
async def test_what_is_sent(kind: Kind) -> None:
    async with kind.remote() as remote:
        receiver = letters_of(kind.on_loopback(remote.url))
        assert isinstance(await receiver.send_letter(make_letter(make_warning()), now=MONDAY), Delivered)
        await receiver.close()
        [request] = remote.requests
    shown = {name: value for name, value in request.headers.items() if name == "webhook-id" or name[:3] == "ce-"}
    text = json.dumps({"headers": shown, "body": request.json}, indent=1, ensure_ascii=False)
    golden(f"expiry-{kind.name}.json", text + "\n")


def test_what_a_mail_looks_like() -> None:
    page = page_of_warning(make_warning(), LINK)
    golden("expiry.html", html_of(page) + "\n")
    golden("expiry.txt", "\n".join([page.title, "", *lines_of(page)]) + "\n")


async def test_a_mail_is_of_no_digest() -> None:
    async with MailRemote() as mails:
        email = make_email(mails)
        await email.send_letter(make_letter(make_warning()), now=MONDAY)
        await email.close()
        [(_, mail)] = mails.mails
    assert mail["X-Spendwatch-Digest"] is None
    assert mail["Subject"] == 'Silence ends 2026-11-23 08:00Z: team="search", impact<500'
    assert "Made by ada: load test, OPS-17" in text_of(mail, "plain")


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ["It keeps 2 open alerts from people now; what is still open then is told."]),
        ({"silenced": 1}, ["It keeps 1 open alert from people now; what is still open then is told."]),
        (
            {"made_at": MONDAY + 2 * HOUR},
            ["What it kept from people is told, if it is still open."],
        ),
        (
            {"kind": SilenceKind.PLANNED_SPEND, "amount_per_day": 500.0, "unit": "USD"},
            ["It covers 500.00 USD a day more than usual; a rise beyond its end is an alert."],
        ),
        (
            {"kind": SilenceKind.MAINTENANCE},
            ["What happened within it stays silenced, also when its bill comes late; what comes after it is told."],
        ),
    ],
    ids=["silence", "of one alert", "over", "plan", "maintenance"],
)
def test_what_follows_from_the_end_is_said(changes: dict[str, object], lines: list[str]) -> None:
    page = page_of_warning(make_warning(recurrence=(), **changes), None)  # type: ignore[arg-type]  # any field
    assert list(page.lead[1:]) == lines
    assert page.link is None
    assert ("has ended" in page.title) is ("made_at" in changes)


def test_the_end_is_that_of_the_silence_and_its_windows_end_with_it() -> None:
    lines = page_of_warning(make_warning(), None).lead
    assert lines[-1] == "Its windows end with it: saturday, sunday 00:00 to 24:00 Europe/Berlin."


def test_a_webhook_is_sent_what_its_schema_says() -> None:
    schema = json.loads(print_schema("expiry"))
    jsonschema.Draft202012Validator.check_schema(schema)
    plan = make_warning(kind=SilenceKind.PLANNED_SPEND, amount_per_day=500.0, unit="USD", recurrence=())
    for warning, link in ((make_warning(), LINK), (plan, None)):
        body = json.loads(expiry_body(warning, link))
        jsonschema.validate(body, schema)
        assert (body["type"], body["data"]["until"]) == ("cost.silence.expiring", "2026-11-23T08:00:00Z")
        assert body["data"]["link"] == (link and f"{link}/silences")


@pytest.mark.parametrize("filler", ["x", "🦊", "\x01", '"'], ids=["letters", "emoji", "control", "quotes"])
def test_a_webhook_stays_small_whatever_people_wrote(filler: str) -> None:
    warning = make_warning(
        texts=filler * 2000,
        matchers=(filler * 2048,) * 20,
        recurrence=(replace(make_warning().recurrence[0], weekdays=(filler * 1000,) * 100),) * 20,
    )
    assert len(expiry_body(warning, LINK)) < MAX_BYTES


@carriers
@pytest.mark.parametrize("filler", FILLERS, ids=range(len(FILLERS)))
async def test_untrusted_text_stays_text_and_within_the_limits(kind: Kind, filler: str) -> None:
    async with kind.remote() as remote:
        receiver = letters_of(kind.on_loopback(remote.url))
        letter = make_letter(make_warning(texts=filler))
        assert isinstance(await receiver.send_letter(letter, now=MONDAY), Delivered)
        await receiver.close()
        [request] = remote.requests
    if kind.type.startswith("slack"):
        markup = [one for text in mrkdwn_of(request.json) for one in re.findall(r"<[^>]*>?", text)]
        assert [one for one in markup if not one.startswith(f"<{LINK}")] == []
    if kind.type != "webhook":
        assert "\\u202e" not in request.body.decode()
        assert "\u202e" not in request.body.decode()


@pytest.mark.parametrize("filler", FILLERS, ids=range(len(FILLERS)))
async def test_untrusted_text_in_a_mail_is_text(filler: str) -> None:
    async with MailRemote() as mails:
        email = make_email(mails)
        await email.send_letter(make_letter(make_warning(texts=filler)), now=MONDAY)
        await email.close()
        [(_, mail)] = mails.mails
    assert mail["Bcc"] is None
    found = Elements(text_of(mail, "html"))
    assert "script" not in found.names
    assert set(found.links) == {f"{LINK}/silences"}


# -- once -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
async def store(url: str, clock: FakeClock) -> AsyncIterator[SqlStore]:
    store = SqlStore(url, routes=everyone(), clock=clock)
    await store.migrate()
    yield store
    await store.close()


def watch(store: SqlStore, clock: FakeClock, *, within: timedelta = HOUR, tell: Sequence[str] = TELL) -> ExpiryWatch:
    return ExpiryWatch(store, clock, within=within, receivers=tell)


async def told(store: SqlStore) -> list[tuple[str, ExpiryWarning]]:
    """Who is told what, oldest first."""
    rows = [row for row in (await store.deliveries(DeliveryQuery(limit=500))).items if isinstance(row, LetterDelivery)]
    found = [(row.receiver, row.letter.content) for row in rows if isinstance(row.letter.content, ExpiryWarning)]
    return sorted(found, key=lambda pair: (pair[1].made_at, pair[1].silence, pair[0]))


async def test_a_silence_is_warned_of_once_so_long_before_its_end(store: SqlStore, clock: FakeClock) -> None:
    made = await store.add_silence(make_silence(comment="load test"))
    looking = watch(store, clock, tell=(*TELL, "mail"))
    clock.at = END - HOUR - MINUTE
    await looking.look()
    assert await told(store) == []
    for minutes in (60, 59, 1, 0, -1, -120):
        clock.at = END - minutes * MINUTE
        await looking.look()
        await watch(store, clock).look()  # another process, or this one after a restart
    found = await told(store)
    assert [receiver for receiver, _ in found] == ["mail", "ops-chat"]
    assert {(one.silence, one.owner, one.comment, one.until, one.made_at) for _, one in found} == {
        (made.id, "ada", "load test", END, END - HOUR)
    }


@pytest.mark.parametrize("kind", [SilenceKind.MAINTENANCE, SilenceKind.PLANNED_SPEND])
async def test_maintenance_and_plans_are_warned_of_as_well(
    store: SqlStore, clock: FakeClock, kind: SilenceKind
) -> None:
    amount = {"amount_per_day": 500.0, "unit": "USD"} if kind is SilenceKind.PLANNED_SPEND else {}
    await store.add_silence(make_silence(kind=kind, **amount))
    clock.at = END - HOUR
    await watch(store, clock, tell=["mail"]).look()
    [(_, warning)] = await told(store)
    assert (warning.kind, warning.amount_per_day) == (kind, amount.get("amount_per_day"))


async def test_of_weekly_windows_the_end_of_the_silence_is_told_and_of_no_window(
    store: SqlStore, clock: FakeClock
) -> None:
    windows = make_warning().recurrence
    await store.add_silence(make_silence(recurrence=windows, ends_at=NOON + timedelta(days=20)))
    looking = watch(store, clock, tell=["mail"])
    for hours in range(20 * 24):
        clock.at = NOON + hours * HOUR
        await looking.look()
    [(_, warning)] = await told(store)
    assert (warning.made_at, warning.recurrence) == (NOON + timedelta(days=20) - HOUR, windows)


async def test_one_that_has_not_begun_or_that_somebody_ended_is_not_told(store: SqlStore, clock: FakeClock) -> None:
    await store.add_silence(make_silence(starts_at=NOON + HOUR / 2, ends_at=NOON + HOUR))
    ended = await store.add_silence(make_silence(ends_at=NOON + HOUR))
    await store.expire_silence(ended.id, at=NOON)
    looking = watch(store, clock, tell=["mail"])
    await looking.look()
    assert await told(store) == []
    clock.at = NOON + HOUR / 2
    await looking.look()
    assert [one.until for _, one in await told(store)] == [NOON + HOUR]


async def test_one_whose_end_had_been_when_somebody_set_it_is_not_told(store: SqlStore, clock: FakeClock) -> None:
    await store.add_silence(make_silence(starts_at=NOON - 2 * HOUR, ends_at=NOON - MINUTE))
    made = await store.add_silence(make_silence())
    clock.at = NOON + HOUR
    await store.change_silence(made.id, ends_at=NOON + HOUR, comment="", amount_per_day=None, at=clock.at)
    await watch(store, clock, tell=["mail"]).look()
    assert await told(store) == []


async def test_one_whose_end_was_moved_is_warned_of_again_before_the_new_one(store: SqlStore, clock: FakeClock) -> None:
    made = await store.add_silence(make_silence())
    looking = watch(store, clock, tell=["mail"])
    clock.at = END - HOUR
    await looking.look()
    await store.change_silence(made.id, ends_at=END + 8 * HOUR, comment="", amount_per_day=None, at=clock.at)
    for hours in (0, 8, 9):
        clock.at = END + (hours - 1) * HOUR
        await looking.look()
    assert [one.until for _, one in await told(store)] == [END, END + 8 * HOUR]


async def test_what_ended_while_nobody_was_up_is_told_late_and_says_so(store: SqlStore, clock: FakeClock) -> None:
    await store.add_silence(make_silence())
    await store.add_silence(make_silence(ends_at=END - 2 * HOUR))
    clock.at = END + MINUTE
    await watch(store, clock, tell=["mail"]).look()
    [(_, warning)] = await told(store)
    assert (warning.until, warning.is_over) == (END, True)


async def test_it_says_how_many_open_alerts_it_keeps(store: SqlStore, clock: FakeClock) -> None:
    one, other = [await store.add_silence(make_silence()) for _ in range(2)]
    await store.record([make_alert("a1"), make_alert("a2"), make_alert("a3")])
    for alert, by in (("a1", (one.id,)), ("a2", (one.id, other.id))):
        record = silenced(await store.get(alert), by=by, at=NOON)
        assert record is not None
        async with store._database.writing() as connection:
            recording = store._recording(connection)
            await recording.begin([alert])
            recording.change(EventType.SILENCED, record, at=NOON)
            await recording.flush()
    clock.at = END - HOUR
    await watch(store, clock, tell=["mail"]).look()
    assert {warning.silence: warning.silenced for _, warning in await told(store)} == {one.id: 2, other.id: 1}


async def test_of_many_processes_one_warns(url: str, store: SqlStore, clock: FakeClock) -> None:
    for _ in range(3):
        await store.add_silence(make_silence())
    clock.at = END - HOUR
    stores = [SqlStore(url, routes=everyone(), clock=clock) for _ in range(6)]
    await asyncio.gather(*(watch(one, clock).look() for one in stores for _ in range(2)))
    for one in stores:
        await one.close()
    assert len(await told(store)) == 6


@pytest.mark.parametrize(("point", "told_before"), [("decided", 0), ("half", 0), ("written", 2)])
async def test_a_killed_process_leaves_a_warning_whole_or_none(
    url: str, store: SqlStore, clock: FakeClock, point: str, told_before: int
) -> None:
    await store.add_silence(make_silence())
    await killed_at(point, "tests.service.delivery.killed_warning", url)
    assert len(await told(store)) == told_before
    clock.at = END - HOUR + MINUTE
    await watch(store, clock).look()
    assert [receiver for receiver, _ in await told(store)] == ["mail", "ops-chat"]


class Troubled(SqlStore):
    """Fails with *error* while there is one."""

    error: Exception | None = None

    async def warn_of_expiry(self, *, at: datetime, within: timedelta, receivers: Sequence[str]) -> list[ExpiryWarning]:
        if self.error is not None:
            raise self.error
        return await super().warn_of_expiry(at=at, within=within, receivers=receivers)


@pytest.mark.parametrize("error", [UnavailableError("away"), ZeroDivisionError("a fault")])
async def test_what_fails_is_tried_again(url: str, clock: FakeClock, error: Exception) -> None:
    store = Troubled(url, routes=everyone(), clock=clock)
    await store.migrate()
    await store.add_silence(make_silence())
    clock.at, store.error = END - HOUR, error
    looking = watch(store, clock)
    await looking.look()
    assert await told(store) == []
    store.error = None
    await looking.look()
    assert len(await told(store)) == 2
    await store.close()


async def test_a_warning_goes_through_the_outbox_to_its_receiver(store: SqlStore, clock: FakeClock) -> None:
    made = await store.add_silence(make_silence())
    clock.at = END - HOUR
    await watch(store, clock, tell=["desk"]).look()
    box, metrics = LetterBox(), DeliveryMetrics(CollectorRegistry(), ["desk"])
    async with running(Deliverer(store, [box], clock, metrics, poll_seconds=0.01)):
        await until(lambda: bool(box.letters))
    [delivery] = box.letters
    assert isinstance(delivery.letter.content, ExpiryWarning)
    assert (delivery.letter.content.silence, delivery.letter.digest) == (made.id, None)
    page = page_of_warning(delivery.letter.content, None)
    assert page.title == 'Silence ends 2024-09-18 20:00Z: team="search"'
