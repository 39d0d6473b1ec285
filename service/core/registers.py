"""The names an engine has met: sources, origins and drivers' labels, one object each, within bounds."""

from collections.abc import Iterable
from sys import intern

from connectors.facts import Basis, Driver
from service.core.amounts import to_nano
from service.core.buckets import Labels, Part, Parts
from service.core.rejects import RejectError, RejectReason
from service.core.sources import Origin, Source

MAX_SOURCES = 4096
GONE_SECONDS = 14 * 86_400
_MAX_ORIGINS = 65_536
_MAX_LABELS = 65_536


_MAX_QUANTITY = 1e21
"""Of any unit; beyond it a quantity says nothing, as if it had not been told."""

Contributors = tuple[tuple[Source, Basis], ...]


class Registers:
    """sources: by name. origins: by name; forgotten and made anew when there are too many, which changes nothing."""

    __slots__ = ("_labels", "_source_tuples", "origins", "sources")

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}
        self.origins: dict[str, Origin] = {}
        self._labels: dict[Labels, Labels] = {}
        self._source_tuples: dict[Contributors, Contributors] = {}

    def source(self, name: str) -> Source:
        """Raises RejectError when there are too many."""
        source = self.sources.get(name)
        if source is None:
            if len(self.sources) >= MAX_SOURCES:
                raise RejectError(
                    RejectReason.BAD_ORIGIN,
                    "origin",
                    f"expected at most {MAX_SOURCES} sources (what stands before the first colon of an origin)",
                )
            source = self.sources[name] = Source(name)
        return source

    def origin(self, name: str) -> Origin:
        """Raises RejectError when it names no source."""
        origin = self.origins.get(name)
        if origin is None:
            source = name.partition(":")[0]
            if not source:
                raise RejectError(RejectReason.BAD_ORIGIN, "origin", f"expected <source>:<delivery>, got {name[:80]!r}")
            if len(self.origins) >= _MAX_ORIGINS:
                self.origins.clear()
            origin = self.origins[name] = Origin(name, self.source(source))
        return origin

    def sources_of(self, sources: Contributors) -> Contributors:
        """The one object for these sources: most series share it."""
        return self._source_tuples.setdefault(sources, sources)

    def labels(self, labels: Labels) -> Labels:
        """The one object for these labels."""
        known = self._labels.get(labels)
        if known is None:
            if len(self._labels) >= _MAX_LABELS:
                self._labels.clear()
            known = self._labels[labels] = labels
        return known

    def parts(self, drivers: tuple[Driver, ...]) -> Parts:
        """The drivers of a fact in nano-units; those of equal labels add up."""
        parts: Parts = {}
        for driver in drivers:
            labels = self.labels(tuple(sorted(driver.labels.items())))
            part = _part_of(driver)
            parts[labels] = parts[labels].plus(part) if labels in parts else part
        return parts

    def late_seconds(self) -> int:
        """How far in event time the source furthest behind is behind the newest; 0 of less than two.

        One that is behind by more than GONE_SECONDS has ended.
        """
        reached = [max(source.seen, source.word) for source in self.sources.values()]
        newest = max(reached, default=0)
        return max((newest - until for until in reached if newest - until <= GONE_SECONDS), default=0)

    def export_sources(self) -> list[tuple[str, int, int]]:
        """name, seen, word; in order of the names."""
        return sorted((name, source.seen, source.word) for name, source in self.sources.items())

    def take_over(self, sources: Iterable[tuple[str, int, int]]) -> None:
        """What `export_sources` gave. Raises RejectError when there are too many."""
        for name, seen, word in sources:
            source = self.source(name)
            source.see(seen)
            source.word = word


def _part_of(driver: Driver) -> Part:
    quantity = driver.quantity
    told = quantity is not None and driver.unit is not None and abs(quantity) <= _MAX_QUANTITY
    return Part(
        to_nano(driver.cost),
        to_nano(quantity) if told and quantity is not None else None,
        intern(driver.unit) if told and driver.unit is not None else None,
        to_nano(driver.retagged) if driver.retagged else 0,
        driver.retagged_with if driver.retagged else None,
    )
