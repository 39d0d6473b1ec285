"""The digests' clock: looks which are due, makes their letters, and puts them into the outbox.

Any number of processes may do so: the store lets one of them through for each time a digest is due. What was missed
while all of them were down is sent once when one is back: of several times the last, about its own days, and about the
alerts of the whole time since the letter before.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Counter

from service.clock import Clock
from service.core.alerts import AlertRecord
from service.core.matchers import Op, parse_matcher
from service.core.silences import Silence, SilenceState
from service.core.spend import KEPT_DAYS
from service.digests.content import Digest, EndingSilence, Moment, of_value, overview
from service.digests.schedule import last_due, next_due, period_of
from service.digests.sums import DaySum, first_day
from service.errors import UnavailableError
from service.pauses import pause
from service.settings import Digest as Settings
from service.store.store import DigestState, Letter, Letters

LETTER_DAYS = 90
_LOOK_SECONDS = 15.0
_FORGET_EVERY = timedelta(hours=1)
_OUTCOMES = ("sent", "missed", "failed")

_log = structlog.get_logger(__name__)


class DigestMetrics:
    """digests: names of all that are configured."""

    def __init__(self, registry: CollectorRegistry, digests: Sequence[str]) -> None:
        self._digests = Counter(
            "spendwatch_digests",
            "Times a digest was due: sent to the outbox, missed because nobody was up, or failed and tried again.",
            ["digest", "outcome"],
            registry=registry,
        )
        for name in digests:
            for outcome in _OUTCOMES:
                self._digests.labels(name, outcome)

    def count(self, digest: str, outcome: str, times: int = 1) -> None:
        self._digests.labels(digest, outcome).inc(times)


class Post:
    """tenant: whose spend and alerts are told of."""

    def __init__(
        self, digests: Sequence[Settings], store: Letters, clock: Clock, metrics: DigestMetrics, *, tenant: str
    ) -> None:
        self._digests = tuple(digests)
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._tenant = tenant
        self._forgot_at: datetime | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until *stop* is set. Whatever fails is tried again at the next look."""
        while not stop.is_set():
            await self.look()
            await pause(stop, _LOOK_SECONDS)

    async def look(self) -> None:
        """Send what is due."""
        for settings in self._digests:
            try:
                await self._look_at(settings)
            except UnavailableError as error:
                _log.warning("the store is away; digests wait", problem=str(error))
                return
            except Exception:
                self._metrics.count(settings.name, "failed")
                _log.exception("a digest could not be made; it is tried again", digest=settings.name)
        try:
            await self._forget()
        except UnavailableError as error:
            _log.warning("the store is away; what is old is forgotten later", problem=str(error))

    async def _look_at(self, settings: Settings) -> None:
        now = self._clock.now()
        first = next_due(settings, now)
        was = await self._store.digest_state(settings.name, schedule=schedule_of(settings), first=first)
        if was.next_due > now:
            return
        due = last_due(settings, now)
        moment = moment_of(settings, due, made_at=now, since=was.last_due)
        letters = await make_letters(self._store, settings, moment, tenant=self._tenant)
        becomes = DigestState(next_due=first, last_due=due)
        if await self._store.post(letters, name=settings.name, was=was, becomes=becomes, at=now):
            missed = _times_between(settings, was.next_due, due)
            self._metrics.count(settings.name, "sent")
            self._metrics.count(settings.name, "missed", missed)
            _log.info("digest sent to the outbox", digest=settings.name, letters=len(letters), missed=missed)

    async def _forget(self) -> None:
        now = self._clock.now()
        if self._forgot_at is not None and now - self._forgot_at < _FORGET_EVERY:
            return
        self._forgot_at = now
        days = timedelta(days=1)
        await self._store.forget(spend_before=now - KEPT_DAYS * days, letters_before=now - LETTER_DAYS * days)


def schedule_of(settings: Settings) -> str:
    """What decides when it is due: another text, another time."""
    return f"{settings.every} {settings.weekday} {settings.at:%H:%M} {settings.time_zone}"


def moment_of(settings: Settings, due: datetime, *, made_at: datetime, since: datetime | None = None) -> Moment:
    """since: when the digest before was due, if it was not the time before."""
    before = since if since is not None and since < due else last_due(settings, due - timedelta(seconds=1))
    return Moment(period=period_of(settings, due), due_at=due, made_at=made_at, since=before)


async def make_letters(
    store: Letters, settings: Settings, moment: Moment, *, tenant: str, by_hand: bool = False
) -> list[Letter]:
    """The overview, if somebody gets it, and the letters about single values.

    by_hand: beside the schedule: with ids of their own, so that they do not take the place of those.
    """
    rows, alerts = await _read(store, settings, moment, tenant)
    silences = await _ending(store, settings, moment)
    contents: list[tuple[str | None, tuple[str, ...], Digest]] = []
    if settings.receivers:
        contents.append((None, settings.receivers, overview(settings, moment, rows, alerts)))
    for value, names in settings.to.items():
        receivers = (names,) if isinstance(names, str) else names
        contents.append((value, tuple(dict.fromkeys(receivers)), of_value(settings, moment, value, rows, alerts)))
    return [
        Letter(
            id=letter_id(settings, moment, value, by_hand=by_hand),
            digest=settings.name,
            value=value,
            due_at=moment.due_at,
            content=replace(content, silences=named_in(silences, settings, value)),
            receivers=receivers,
        )
        for value, receivers, content in contents
    ]


async def make_one(store: Letters, settings: Settings, moment: Moment, value: str | None, *, tenant: str) -> Digest:
    """The content of one letter, whoever gets it."""
    rows, alerts = await _read(store, settings, moment, tenant)
    found = named_in(await _ending(store, settings, moment), settings, value)
    if value is None:
        return replace(overview(settings, moment, rows, alerts), silences=found)
    return replace(of_value(settings, moment, value, rows, alerts), silences=found)


def letter_id(settings: Settings, moment: Moment, value: str | None, *, by_hand: bool) -> str:
    """The same for the same digest, time and value, whoever makes it."""
    when = moment.made_at if by_hand else moment.due_at
    what = f"{settings.name}\n{'by hand ' if by_hand else ''}{when.isoformat()}\n{value is None}\n{value or ''}"
    return "letter_" + hashlib.sha256(what.encode(errors="replace")).hexdigest()[:32]


def named_in(silences: Sequence[Silence], settings: Settings, value: str | None) -> tuple[EndingSilence, ...]:
    """For the letter of one value those that name it; for the overview all."""
    return tuple(
        EndingSilence(what=", ".join(one.matchers), owner=one.created_by, comment=one.comment, until=one.until)
        for one in silences
        if value is None or any(_names(text, settings.by, value) for text in one.matchers)
    )


def _names(text: str, label: str, value: str) -> bool:
    matcher = parse_matcher(text)
    return (matcher.name, matcher.op, matcher.value) == (label, Op.EQUAL, value)


async def _ending(store: Letters, settings: Settings, moment: Moment) -> list[Silence]:
    """Silences that end before the digest after this one."""
    until = moment.due_at + timedelta(days=7 if settings.every == "week" else 1)
    active = await store.silences(at=moment.made_at, state=SilenceState.ACTIVE)
    return sorted((one for one in active if one.until <= until), key=lambda one: (one.until, one.id))


async def _read(
    store: Letters, settings: Settings, moment: Moment, tenant: str
) -> tuple[list[DaySum], list[AlertRecord]]:
    period = moment.period
    rows = await store.spend_sums(
        tenant=tenant, label=settings.by, metric=settings.metric, since=first_day(period), until=period.end
    )
    return rows, await store.alerts_since(tenant, min(moment.since, period.start))


def _times_between(settings: Settings, first: datetime, last: datetime) -> int:
    """How many times it was due from *first* on, before *last*."""
    times = 0
    while first < last:
        times += 1
        first = next_due(settings, first)
    return times
