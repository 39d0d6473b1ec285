"""Cost that a resource took along when its tag changed. Pure.

A split sees the same resource under both values of a tag, which no series does. From one bucket to the next of a
delivery, what rises under one value is held against what falls under another, thing by thing (a resource, with
whatever else names a driver): as much as matches has moved, and the rest is a change of its own. How much the thing
may cost now is taken from its buckets before, so that a tag change does not hide a rise.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

Tags = tuple[str | None, ...]
Thing = tuple[str | None, ...]

REMEMBERED = 7
"""Buckets of a thing that say what it usually costs; a week of days."""
_SMALLEST = 1e-6


class Move(NamedTuple):
    """So much of the cost of *thing* is now under *to* instead of *origin*; None for lines without the tag.
    position: of the tag among the listed ones."""

    thing: Thing
    position: int
    origin: str | None
    to: str | None
    cost: float


class Retagging:
    """Takes the buckets of a delivery in order of time."""

    def __init__(self) -> None:
        self._before: dict[Thing, Mapping[Tags, float]] = {}
        self._totals: dict[Thing, tuple[float, ...]] = {}

    def moves(self, things: Mapping[Thing, Mapping[Tags, float]]) -> list[Move]:
        """What moved with this bucket, in a repeatable order. things: cost of each by its tags."""
        found: list[Move] = []
        for thing, now in things.items():
            total = sum(now.values())
            before = self._before.get(thing)
            if before is not None and before.keys() != now.keys():
                found += self._moves_of(thing, before, now, total)
            self._before[thing] = now
            self._totals[thing] = (*self._totals.get(thing, ()), total)[-REMEMBERED:]
        return sorted(found, key=_order)

    def _moves_of(
        self, thing: Thing, before: Mapping[Tags, float], now: Mapping[Tags, float], total: float
    ) -> Iterable[Move]:
        was = sum(before.values())
        if was <= 0 or total <= 0 or min(before.values()) < 0 or min(now.values()) < 0:
            return
        usual = min(total, max(self._totals[thing]))
        for position in range(len(next(iter(now)))):
            held, costs = _by_value(before, position), _by_value(now, position)
            change = {
                value: costs.get(value, 0.0) - held.get(value, 0.0) / was * usual
                for value in held.keys() | costs.keys()
            }
            yield from _matched(thing, position, change)


def _by_value(costs: Mapping[Tags, float], position: int) -> dict[str | None, float]:
    found: dict[str | None, float] = {}
    for tags, cost in sorted(costs.items(), key=lambda item: [value or "" for value in item[0]]):
        found[tags[position]] = found.get(tags[position], 0.0) + cost
    return found


def _matched(thing: Thing, position: int, change: Mapping[str | None, float]) -> Iterable[Move]:
    """Rises against falls, in the order of their values: as far as there are both."""
    rises = _signed(change, 1.0)
    falls = _signed(change, -1.0)
    while rises and falls:
        (to, rise), (origin, fall) = rises[0], falls[0]
        cost = min(rise, fall)
        if cost > _SMALLEST:
            yield Move(thing, position, origin, to, round(cost, 9))
        rises[0], falls[0] = (to, rise - cost), (origin, fall - cost)
        if rises[0][1] <= _SMALLEST:
            rises.pop(0)
        if falls[0][1] <= _SMALLEST:
            falls.pop(0)


def _signed(change: Mapping[str | None, float], sign: float) -> list[tuple[str | None, float]]:
    found = [(value, cost * sign) for value, cost in change.items() if cost * sign > _SMALLEST]
    return sorted(found, key=lambda item: (item[0] is not None, item[0] or ""))


def _order(move: Move) -> tuple[tuple[str, ...], int, str, str, float]:
    thing = tuple(part or "" for part in move.thing)
    return (thing, move.position, move.origin or "", move.to or "", move.cost)
