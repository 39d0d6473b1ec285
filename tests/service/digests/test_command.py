"""`spendwatch digest`: what a person types, and what comes of it."""

import asyncio
import json
from pathlib import Path

import pytest

from service.cli import main
from service.digests.command import preview, send
from service.digests.form import Form
from service.errors import ConfigError
from service.store.sql import SqlStore
from service.store.store import DeliveryQuery, LetterDelivery
from tests.builders import everyone, make_alert
from tests.clock import FakeClock
from tests.service.digests.builders import DAY, MONDAY, make_statement

CONFIG = """
store: {url: "sqlite+aiosqlite:///STORE"}
api: {public_url: "https://spendwatch.example.com"}
receivers:
  - {type: email, name: mail, host: localhost, sender: a@example.com, to: [b@example.com]}
  - {type: slack_webhook, name: chat, url: "https://hooks.slack.com/x"}
digests:
  - {name: weekly, receivers: [mail], to: {search: [chat, mail]}, at: 08:00, time_zone: Europe/Berlin}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "spendwatch.yaml"
    path.write_text(CONFIG.replace("STORE", str(tmp_path / "store.db")))
    return path


async def fill(config: Path) -> SqlStore:
    store = SqlStore(
        f"sqlite+aiosqlite:///{config.parent / 'store.db'}", routes=everyone(), clock=FakeClock(MONDAY - DAY)
    )
    await store.migrate()
    await store.record_spend([make_statement(day, 10.0, "sea\x1b[31mrch") for day in range(9, 23)])
    await store.record_spend([make_statement(day, 5.0) for day in range(9, 23)])
    await store.record([make_alert()])
    return store


async def test_a_preview_shows_what_is_sent_at_that_time(config: Path) -> None:
    await (await fill(config)).close()
    text = await preview(config, "weekly", at=MONDAY, value=None, form=Form.TEXT)
    assert text.startswith("Weekly spend: 105.00 USD, 0.0 % (2026-11-16 to 2026-11-22)\n")
    assert "Team search cost 412.50 USD" in text
    assert "\x1b" not in text, "a tag value moves no cursor"
    page = await preview(config, "weekly", at=MONDAY, value=None, form=Form.HTML)
    assert page.startswith("<!doctype html>")


async def test_a_preview_of_one_value_as_a_webhook_has_it(config: Path) -> None:
    await (await fill(config)).close()
    body = json.loads(await preview(config, "weekly", at=MONDAY + 2 * DAY, value="search", form=Form.JSON))
    data = body["data"]
    assert (data["value"], data["totals"][0]["amount"], data["due_at"]) == ("search", 35.0, "2026-11-23T07:00:00Z")


async def test_a_preview_without_a_time_is_of_the_days_before_now(config: Path) -> None:
    await (await fill(config)).close()
    now = FakeClock(MONDAY - 2 * DAY)
    text = await preview(config, "weekly", at=None, value=None, form=Form.TEXT, clock=now)
    assert "(2026-11-14 to 2026-11-20)" in text.splitlines()[0]


async def test_what_is_sent_by_hand_is_put_into_the_outbox_and_the_schedule_goes_on(config: Path) -> None:
    store = await fill(config)
    for minute in range(2):
        assert await send(config, "weekly", clock=FakeClock(MONDAY + minute * DAY)) == 3
    rows = (await store.deliveries(DeliveryQuery())).items
    found = sorted((row.receiver, row.letter.value or "") for row in rows if isinstance(row, LetterDelivery))
    assert found == [
        ("chat", "search"),
        ("chat", "search"),
        ("mail", ""),
        ("mail", ""),
        ("mail", "search"),
        ("mail", "search"),
    ]
    state = await store.digest_state("weekly", schedule="week monday 08:00 Europe/Berlin", first=MONDAY)
    assert (state.next_due, state.last_due) == (MONDAY + 7 * DAY, None)
    await store.close()


async def test_a_digest_that_does_not_exist_is_told_with_those_that_do(config: Path) -> None:
    with pytest.raises(ConfigError, match="'daily' is not one of the digests: weekly"):
        await preview(config, "daily", at=None, value=None, form=Form.TEXT)


def test_the_commands_are_there(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(_filled(config))
    for arguments, code, says in (
        (["preview", "weekly", "--at", "2026-11-23T08:00:00"], 0, "Weekly spend: 105.00 USD"),
        (["send", "weekly", "--now"], 0, "3 messages put into the outbox"),
        (["send", "weekly"], 2, "say --now"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["digest", *arguments, "--config", str(config)])
        out, err = capsys.readouterr()
        assert (ended.value.code or 0, says in out + err) == (code, True), out + err


async def _filled(config: Path) -> None:
    await (await fill(config)).close()
