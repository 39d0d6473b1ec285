"""What the dispatch goes by, put together from the configuration."""

from collections.abc import Callable, Collection, Mapping, Sequence

from service.core.alerts import Alert
from service.core.budget import PageBook
from service.core.dispatch import Rules
from service.core.inhibit_rules import inhibits, read_rule
from service.core.routing import Router
from service.settings import Settings


def make_rules(settings: Settings, router: Router) -> Callable[[PageBook], Rules]:
    """Rules for one round of the dispatch, given the book of the alert budgets."""
    inhibitions = [read_rule(rule) for rule in settings.inhibit_rules]

    def heads_of(_alerts: Sequence[Alert], _told: Collection[str]) -> Mapping[str, str]:
        return {}

    def rules(book: PageBook) -> Rules:
        return Rules(
            destinations=router.destinations,
            silenced_by=lambda _alert, _at: (),
            planned=lambda _alert, _at: None,
            heads=heads_of,
            inhibits=lambda source, target: any(inhibits(rule, source, target) for rule in inhibitions),
            affords=lambda alert: not settings.budgets or book.ask(alert),
        )

    return rules
