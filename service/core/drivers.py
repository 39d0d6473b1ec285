"""What adds up to the change: each driver of a bucket against what it usually costs, and why it is another.

All in whole nano-units, so that the parts add up exactly; what no driver explains stands in an entry of its own.

A driver's change is split in this order: what re-tagging moved; then new or gone; else, where its quantity is known on
both sides in one unit, quantity at the price of before (before * (now / before - 1)) and price, which is what is left.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from service.core.alerts import DriverChange, DriverType
from service.core.amounts import to_units
from service.core.buckets import Labels, Part, Parts
from service.core.ring import Ring

OTHER: Labels = (("other", "true"),)
KEPT_BUCKETS = 8
"""Drivers are kept of so many of the latest buckets that have them: the judged one and those it is held against."""
BASELINE_BUCKETS = 7
SHOWN = 10
_NOTHING = Part(0)


class Change(NamedTuple):
    """now - before of one driver, in nano-units. quantity_before, quantity_now: None unless both are known, in *unit*.

    moved: so much of it came by re-tagging, from or to moved_with. surely: where it was or is not named, it cost
    nothing: it is not only hidden among what the source does not name.
    """

    labels: Labels
    before: int
    now: int
    quantity_before: int | None = None
    quantity_now: int | None = None
    unit: str | None = None
    moved: int = 0
    moved_with: str | None = None
    surely: bool = False

    @property
    def change(self) -> int:
        return self.now - self.before


def explain(
    parts: Parts,
    baseline: Sequence[Parts],
    *,
    actual: int,
    expected: int,
    totals: Sequence[int] | None = None,
    is_new: bool = False,
) -> tuple[Change, ...]:
    """The largest changes, largest first, and the rest as OTHER: together exactly actual - expected.

    parts: of the bucket in question. baseline: of up to BASELINE_BUCKETS normal buckets before it; totals: what these
    cost, None where their drivers are all there was. Sources name their largest drivers only. One that is not named in
    a bucket cost nothing there if what is not named there is too small to hide half of it; else it says nothing of that
    bucket, and neither that it is new nor that it is gone. is_new: the series itself is, and all in it.
    """
    hidden_now = _hidden(parts, actual)
    hidden = [_hidden(known, total) for known, total in zip(baseline, totals or map(_named, baseline), strict=True)]
    names = set(parts)
    for known in baseline:
        names.update(known)
    changes = []
    for labels in names:
        change = _change(labels, parts.get(labels), [known.get(labels) for known in baseline], hidden)
        if labels not in parts:
            if 2 * hidden_now >= abs(change.before):
                continue
            change = change._replace(surely=True)
        elif change.before == 0:
            known_before = bool(baseline) and 2 * max(hidden) < abs(change.now)
            change = change._replace(surely=is_new or known_before)
        changes.append(change)
    changes.sort(key=lambda change: (-abs(change.change), change.labels))
    shown = tuple(change for change in changes[:SHOWN] if change.change or change.moved)
    return with_rest(shown, actual=actual, expected=expected)


def _named(parts: Parts) -> int:
    return sum(part.cost for part in parts.values())


def _hidden(parts: Parts, total: int) -> int:
    """What a driver that is not named may cost at the most: no more than the smallest that is, nor than all unnamed."""
    unnamed = abs(total - _named(parts))
    return min([unnamed, *(abs(part.cost) for part in parts.values() if part.cost)])


def _change(labels: Labels, part: Part | None, known: Sequence[Part | None], hidden: Sequence[int]) -> Change:
    """known: the driver in each bucket of the baseline. hidden: what it may have cost in those that do not name it."""
    found = [before for before in known if before is not None]
    usual = sum(abs(one.cost) for one in found) // len(found) if found else 0
    count = sum(one is not None or 2 * most < usual for one, most in zip(known, hidden, strict=True))
    before = sum(one.cost for one in found) // count if count else 0
    now = part or _NOTHING
    quantity = None
    if part is not None and found and now.quantity is not None:
        quantities = [one.quantity for one in found if one.quantity is not None and one.unit == now.unit]
        if len(quantities) == len(found):
            quantity = sum(quantities) // count
    return Change(
        labels,
        before,
        now.cost,
        quantity,
        None if quantity is None else now.quantity,
        None if quantity is None else now.unit,
        now.moved,
        now.moved_with,
    )


def with_rest(changes: tuple[Change, ...], *, actual: int, expected: int) -> tuple[Change, ...]:
    """*changes* with the entry OTHER made to fit, or left out where nothing is left."""
    named = tuple(change for change in changes if change.labels != OTHER)
    rest = Change(
        OTHER,
        expected - sum(change.before for change in named),
        actual - sum(change.now for change in named),
    )
    return (*named, rest) if rest.change else named


def shown(changes: Sequence[Change]) -> tuple[DriverChange, ...]:
    """As an alert carries them, in units of the series: one entry for each reason of each driver."""
    return tuple(entry for change in changes for entry in _entries(change))


def _entries(change: Change) -> Iterator[DriverChange]:
    before, now = change.before, change.now
    if change.moved:
        yield _entry(change, DriverType.RETAGGED, before, before + change.moved)
        before += change.moved
        if now != before:
            yield _entry(change, DriverType.OTHER, before, now)
    elif before == 0 and change.surely:
        yield _entry(change, DriverType.NEW, before, now)
    elif now == 0 and change.surely:
        yield _entry(change, DriverType.GONE, before, now)
    elif change.quantity_before and change.quantity_now is not None:
        middle = _rounded(before * change.quantity_now // change.quantity_before, before, now)
        if middle != before:
            yield _entry(change, DriverType.QUANTITY, before, middle)
        if now != middle:
            yield _entry(change, DriverType.PRICE, middle, now)
    else:
        yield _entry(change, DriverType.OTHER, before, now)


def _rounded(middle: int, before: int, now: int) -> int:
    """Costs and quantities come rounded: a hundredth of a percent is no change of price, or of quantity."""
    slack = (abs(before) + abs(now)) // 10_000
    if abs(now - middle) <= slack:
        return now
    return before if abs(middle - before) <= slack else middle


def _entry(change: Change, kind: DriverType, before: int, now: int) -> DriverChange:
    told = kind in (DriverType.PRICE, DriverType.QUANTITY)
    return DriverChange(
        labels=dict(change.labels),
        change=to_units(now - before),
        before=to_units(before),
        now=to_units(now),
        type=kind,
        quantity_before=to_units(change.quantity_before) if told and change.quantity_before is not None else None,
        quantity=to_units(change.quantity_now) if told and change.quantity_now is not None else None,
        unit=change.unit if told else None,
        counterpart=change.moved_with if kind is DriverType.RETAGGED else None,
    )


def trim_parts(ring: Ring, kept_buckets: int) -> None:
    """Keep the drivers of the latest buckets only; the others are written compactly again."""
    if ring.whole is None or len(ring.whole) <= kept_buckets:
        return
    kept = 0
    for index in sorted(ring.whole, reverse=True):
        bucket = ring.whole[index]
        if not bucket.has_parts:
            continue
        kept += 1
        if kept > kept_buckets:
            bucket.forget_parts()
            ring.put(bucket, ring.judgement(index))
