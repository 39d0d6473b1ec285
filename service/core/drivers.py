"""What adds up to the change: each driver of a bucket against what it usually costs.

All in whole nano-units, so that the parts add up exactly; what no driver explains stands in an entry of its own.
"""

from collections.abc import Sequence
from typing import NamedTuple

from service.core.alerts import DriverChange
from service.core.amounts import to_units
from service.core.buckets import Labels, Parts

OTHER: Labels = (("other", "true"),)
KEPT_BUCKETS = 8
"""Drivers are kept of so many of the latest buckets that have them: the judged one and those it is held against."""
BASELINE_BUCKETS = 7
SHOWN = 10


class Change(NamedTuple):
    """now - before of one driver, in nano-units."""

    labels: Labels
    before: int
    now: int

    @property
    def change(self) -> int:
        return self.now - self.before


def explain(parts: Parts, baseline: Sequence[Parts], *, actual: int, expected: int) -> tuple[Change, ...]:
    """The largest changes, largest first, and the rest as OTHER: together exactly actual - expected.

    parts: of the bucket in question. baseline: of up to BASELINE_BUCKETS normal buckets before it; a driver that is
    not named in one of them cost nothing there. Sources name their largest drivers only: one that is not named now is
    gone only if what is not named now is too small to hide it.
    """
    count = len(baseline)
    unnamed = abs(actual - sum(parts.values()))
    names = set(parts)
    for known in baseline:
        names.update(known)
    changes = []
    for labels in names:
        before = sum(known.get(labels, 0) for known in baseline) // count if count else 0
        if labels not in parts and 2 * unnamed >= abs(before):
            continue
        changes.append(Change(labels, before, parts.get(labels, 0)))
    changes.sort(key=lambda change: (-abs(change.change), change.labels))
    return with_rest(tuple(change for change in changes[:SHOWN] if change.change), actual=actual, expected=expected)


def with_rest(changes: tuple[Change, ...], *, actual: int, expected: int) -> tuple[Change, ...]:
    """*changes* with the entry OTHER made to fit, or left out where nothing is left."""
    named = tuple(change for change in changes if change.labels != OTHER)
    if not named:
        return ()
    rest = Change(
        OTHER,
        expected - sum(change.before for change in named),
        actual - sum(change.now for change in named),
    )
    return (*named, rest) if rest.change else named


def shown(changes: Sequence[Change]) -> tuple[DriverChange, ...]:
    """As an alert carries them, in units of the series."""
    return tuple(
        DriverChange(
            labels=dict(change.labels),
            change=to_units(change.change),
            before=to_units(change.before),
            now=to_units(change.now),
        )
        for change in changes
    )
