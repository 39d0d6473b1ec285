"""`spendwatch digest`: shows what would be sent, and sends it beside the schedule."""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import msgspec

from service.check_config import mistakes
from service.clock import Clock, SystemClock
from service.config import load
from service.console import clean
from service.delivery.letter_payload import letter_body
from service.digests.content import Digest, Moment
from service.digests.form import Form
from service.digests.html import html_of
from service.digests.page import lines_of
from service.digests.post import letter_id, make_letters, make_one, moment_of, schedule_of
from service.digests.schedule import last_due, next_due
from service.digests.words import page_of
from service.errors import ConfigError
from service.settings import Digest as DigestSettings
from service.settings import Settings
from service.store.sql import SqlStore
from service.store.store import Letter


async def preview(
    config: Path | None, name: str, *, at: datetime | None, value: str | None, form: Form, clock: Clock | None = None
) -> str:
    """What would be sent at *at*, or now if it were due. value: of one value; None: the overview.

    Spend is told as it is known now; of alerts, what opened or ended after *at* is left out. Raises ConfigError and
    StoreUnavailableError.
    """
    settings, digest = _chosen(config, name)
    now = (clock or SystemClock()).now() if at is None else at
    # A week that is not over is none: without a time, the letter is the one that is due next, made before its time.
    due = now if at is None else last_due(digest, at)
    moment = moment_of(digest, due, made_at=now)
    content = await _made(settings, digest, moment, value)
    if form is Form.JSON:
        id_ = letter_id(digest, moment, value, by_hand=False)
        letter = Letter(id=id_, digest=name, value=value, due_at=due, content=content)
        body = letter_body(letter, settings.api.public_url)
        return msgspec.json.format(body, indent=2).decode()
    return written(content, settings.api.public_url, form)


async def preview_of(settings: Settings, digest: DigestSettings, *, due: datetime, made_at: datetime) -> str:
    """The overview of the days before *due*, as text."""
    content = await _made(settings, digest, moment_of(digest, due, made_at=made_at), None)
    return written(content, settings.api.public_url, Form.TEXT)


async def _made(settings: Settings, digest: DigestSettings, moment: Moment, value: str | None) -> Digest:
    async with _store(settings) as store:
        return await make_one(store, digest, moment, value, tenant=settings.tenant)


def written(content: Digest, public_url: str | None, form: Form) -> str:
    page = page_of(content, public_url)
    if form is Form.HTML:
        return html_of(page)
    return "\n".join(clean(line) for line in (page.title, "", *lines_of(page)))


async def send(config: Path | None, name: str, *, clock: Clock | None = None) -> int:
    """Put the letters of a digest into the outbox now; how many. The schedule goes on as if nothing had happened.

    Raises ConfigError and StoreUnavailableError.
    """
    settings, digest = _chosen(config, name)
    now = (clock or SystemClock()).now()
    async with _store(settings) as store:
        state = await store.digest_state(name, schedule=schedule_of(digest), first=next_due(digest, now))
        moment = moment_of(digest, now, made_at=now, since=state.last_due)
        letters = await make_letters(store, digest, moment, tenant=settings.tenant, by_hand=True)
        await store.post_by_hand(letters, at=now)
    return sum(len(letter.receivers) for letter in letters)


def _chosen(config: Path | None, name: str) -> tuple[Settings, DigestSettings]:
    settings = load(config, check=mistakes)
    for digest in settings.digests:
        if digest.name == name:
            return settings, digest
    known = ", ".join(digest.name for digest in settings.digests) or "none is configured"
    raise ConfigError(f"{name!r} is not one of the digests: {known}")


@contextlib.asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[SqlStore]:
    # No alert is recorded here, so nobody has to be routed to.
    store = SqlStore(settings.store.url, routes=lambda _alert: (), clock=SystemClock())
    try:
        await store.migrate()
        yield store
    finally:
        await store.close()
