"""A store whose alerts wait, and what decides about them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from service.core.alerts import Alert, EventType
from service.core.board import Rules
from service.core.budget import PageBook
from service.core.silences import Silence, planned, silenced_by
from service.settings import Budget
from service.store.dispatching import Dispatching
from service.store.sql import SqlStore
from tests.builders import everyone
from tests.clock import NOON, FakeClock
from tests.service.core.test_dispatch import To

WAIT = timedelta(seconds=5)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass
class Desk:
    """A store whose alerts wait, and the rules of its dispatch."""

    url: str
    clock: FakeClock
    to: Sequence[To] = (To(),)
    same: Collection[str] = ()
    budgets: Sequence[Budget] = ()
    opened: list[SqlStore] = field(default_factory=list)

    def open(self) -> SqlStore:
        names = [one.receiver for one in self.to]
        store = SqlStore(self.url, routes=everyone(*names), clock=self.clock, budgets=self.budgets, wait=WAIT)
        self.opened.append(store)
        return store

    def dispatching(self, store: SqlStore) -> Dispatching:
        return store.dispatching(self.rules)

    def rules(self, book: PageBook, silences: Sequence[Silence]) -> Rules:
        return Rules(
            destinations=lambda _: self.to,
            silenced_by=lambda alert, at: silenced_by(silences, alert, at),
            planned=lambda alert: planned(silences, alert),
            heads=self._heads,
            inhibitors=lambda _sources, _targets: {},
            affords=lambda alert: not self.budgets or book.ask(alert),
        )

    def _heads(
        self, alerts: Sequence[Alert], told: Collection[str], _inhibited: Mapping[str, str]
    ) -> Mapping[str, str]:
        """All of `same` are one money; who was told stays the head."""
        ids = sorted(alert.id for alert in alerts if alert.id in self.same)
        heads = [one for one in ids if one in told] or ids
        return {one: heads[0] for one in ids if one != heads[0] and one not in told}

    async def run(self, store: SqlStore, *, after: timedelta = WAIT) -> list[EventType]:
        now = NOON + after
        self.clock.at = now
        return [event.type for event in await self.dispatching(store).run(now)]
