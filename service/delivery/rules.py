"""What the dispatch goes by, put together from the configuration."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.core.budget import PageBook
from service.core.dispatch import Rules
from service.core.routing import Router
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class _To:
    receiver: str
    route: str = "0"
    group_by: tuple[str, ...] = ()
    group_wait: timedelta = timedelta()
    group_interval: timedelta = timedelta()

    def muted_until(self, at: datetime) -> datetime | None:
        return None


def make_rules(settings: Settings) -> Callable[[PageBook], Rules]:
    """Raises ConfigError where the configuration contradicts itself."""
    router = Router(settings.routes, tuple(receiver.name for receiver in settings.receivers))

    def rules(book: PageBook) -> Rules:
        return Rules(
            destinations=lambda alert: [_To(name) for name in router(alert)],
            silenced_by=lambda _alert, _at: (),
            planned=lambda _alert, _at: None,
            heads=lambda _alerts, _told: {},
            inhibits=lambda _source, _target: False,
            affords=lambda alert: not settings.budgets or book.ask(alert),
        )

    return rules
