"""What the help desks have in common: what a status means, who we are, and the mark we leave on a ticket."""

from collections.abc import Mapping

from service.core.inbound import Action
from service.inbound_settings import InboundTickets


class Desk:
    """The rules of one receiver, from its settings. meanings: what its statuses mean where nothing is set."""

    def __init__(self, config: InboundTickets, meanings: Mapping[str, Action]) -> None:
        self.secrets = config.secrets
        self._account = frozenset(config.account)
        named = {name.casefold(): Action.ACKNOWLEDGE for name in config.acknowledged}
        named |= {name.casefold(): Action.CLOSE for name in config.closed}
        self._named = named
        self._meanings = {name.casefold(): action for name, action in meanings.items()}

    def is_ours(self, *accounts: str) -> bool:
        return any(account in self._account for account in accounts if account)

    def action_of(self, name: str, meaning: str) -> Action | None:
        """name: of a status, as people see it. meaning: what the other side says of it. None where neither is known."""
        if name.casefold() in self._named:
            return self._named[name.casefold()]
        return self._meanings.get(meaning.casefold())

    def was_over(self, name: str, meaning: str = "") -> bool | None:
        """Whether the status before was one of the closed ones; None where nothing is known of it."""
        if name.casefold() in self._named:
            return self._named[name.casefold()] is Action.CLOSE
        before = self._meanings.get(meaning.casefold())
        return None if before is None else before is Action.CLOSE
