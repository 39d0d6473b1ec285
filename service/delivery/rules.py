"""What the dispatch goes by, put together from the configuration."""

from collections.abc import Callable, Collection, Mapping, Sequence

from service.core.alerts import Alert
from service.core.board import Rules
from service.core.budget import PageBook
from service.core.incidents import heads
from service.core.inhibit_rules import inhibitors, read_rule
from service.core.routing import Router
from service.core.silences import Silence, planned, silenced_by
from service.maintenance import maintenance_of
from service.settings import FileConnector, Settings


def make_rules(settings: Settings, router: Router) -> Callable[[PageBook, Sequence[Silence]], Rules]:
    """Rules for one round of the dispatch, given the book of the alert budgets and the silences of people."""
    inhibitions = [read_rule(rule) for rule in settings.inhibit_rules]
    order = _order(settings)
    configured = maintenance_of(settings)

    def heads_of(alerts: Sequence[Alert], told: Collection[str], inhibited: Mapping[str, str]) -> Mapping[str, str]:
        return heads(alerts, told=told, order=order, inhibited=inhibited) if settings.dispatch.same_money else {}

    def rules(book: PageBook, silences: Sequence[Silence]) -> Rules:
        silences = (*silences, *configured)
        return Rules(
            destinations=router.destinations,
            silenced_by=lambda alert, at: silenced_by(silences, alert, at),
            planned=lambda alert: planned(silences, alert),
            heads=heads_of,
            inhibitors=lambda sources, targets: inhibitors(inhibitions, sources, targets),
            affords=lambda alert: not settings.budgets or book.ask(alert),
        )

    return rules


def _order(settings: Settings) -> tuple[str, ...]:
    """Tags and dimensions in the order in which people would rather hear of them."""
    splits = [settings.split, *(one.split for one in settings.connectors if isinstance(one, FileConnector))]
    names = (
        *(name for split in splits for name in split.tags),
        *(name for split in splits for name in split.dimensions),
    )
    return tuple(dict.fromkeys(names))
