"""The alert budget: at most so many pages in so many days for each value of a label, such as each team.

What is beyond it is held back: recorded and shown with its cost, but nobody is told. Time is event time (`judged_at`),
so that a replay holds back what the live run did; where alerts of several partitions arrive in another order than they
fired, the first to arrive are told.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from service.core.alerts import Alert
from service.core.labels import routing_labels
from service.settings import Budget


class PageEntry(Struct, frozen=True, kw_only=True):
    """One alert in the book of one budget. group: value of the budget's label, "" for alerts without it.

    at: when it fired, in event time. held: nobody was told. impact: money at stake when it was entered.
    """

    label: str
    group: str
    alert_id: str
    at: datetime
    held: bool
    impact: float
    unit: str
    series: str


class BudgetState(Struct, frozen=True, kw_only=True):
    """One group of one budget over its latest days. impact: unit -> money of what was held back."""

    label: str
    group: str
    allowed: int
    days: float
    pages: int
    held: tuple[PageEntry, ...]
    impact: dict[str, float]


class PageBook:
    """entries: what was entered before, at least of the days that the budgets look back on.

    changed: entries made or changed since, to be kept.
    """

    def __init__(self, budgets: Sequence[Budget], entries: Iterable[PageEntry] = ()) -> None:
        self._budgets = tuple(budgets)
        self._groups: dict[tuple[str, str], dict[str, PageEntry]] = {}
        self.changed: list[PageEntry] = []
        for entry in entries:
            self._groups.setdefault((entry.label, entry.group), {})[entry.alert_id] = entry

    def ask(self, alert: Alert) -> bool:
        """Whether people may be told of an alert; entered either way. One that was told may be told again."""
        groups = [(budget, group_of(budget, alert)) for budget in self._budgets]
        allowed = all(self._fits(budget, group, alert) for budget, group in groups)
        for budget, group in groups:
            self._enter(budget, group, alert, held=not allowed)
        return allowed

    def entries(self) -> list[PageEntry]:
        return [entry for group in self._groups.values() for entry in group.values()]

    def _fits(self, budget: Budget, group: str, alert: Alert) -> bool:
        entries = self._groups.get((budget.label, group), {})
        known = entries.get(alert.id)
        if known is not None and not known.held:
            return True
        since = alert.judged_at - timedelta(days=budget.days)
        return sum(not entry.held and since < entry.at <= alert.judged_at for entry in entries.values()) < budget.pages

    def _enter(self, budget: Budget, group: str, alert: Alert, *, held: bool) -> None:
        entry = PageEntry(
            label=budget.label,
            group=group,
            alert_id=alert.id,
            at=alert.judged_at,
            held=held,
            impact=alert.impact,
            unit=alert.unit,
            series=alert.series,
        )
        self._groups.setdefault((budget.label, group), {})[alert.id] = entry
        self.changed.append(entry)


def group_of(budget: Budget, alert: Alert) -> str:
    """A missing label counts as empty, as it does for routes: the alerts of no team share a budget."""
    return routing_labels(alert).get(budget.label, "")


def longest(budgets: Sequence[Budget]) -> timedelta:
    return timedelta(days=max((budget.days for budget in budgets), default=0.0))


def states(budgets: Sequence[Budget], entries: Iterable[PageEntry]) -> list[BudgetState]:
    """Every group with pages or something held back in the days before the latest entry; in order of label and group.

    Of what is held back the most expensive comes first.
    """
    entries = list(entries)
    end = max((entry.at for entry in entries), default=None)
    found = []
    for budget in budgets:
        since = None if end is None else end - timedelta(days=budget.days)
        own = [entry for entry in entries if entry.label == budget.label and since is not None and entry.at > since]
        for group in sorted({entry.group for entry in own}):
            held = [entry for entry in own if entry.group == group and entry.held]
            impact: dict[str, float] = {}
            for entry in held:
                impact[entry.unit] = impact.get(entry.unit, 0.0) + entry.impact
            found.append(
                BudgetState(
                    label=budget.label,
                    group=group,
                    allowed=budget.pages,
                    days=budget.days,
                    pages=sum(entry.group == group and not entry.held for entry in own),
                    held=tuple(sorted(held, key=lambda entry: (-abs(entry.impact), entry.alert_id))),
                    impact=impact,
                )
            )
    return found
