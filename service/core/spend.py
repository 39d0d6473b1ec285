"""What series cost per bucket, for whoever adds it up: a statement for each closed bucket, and again when it changes.

A statement is true as of an offset of the facts: of two about one bucket the later one counts, in whichever order they
arrive. What is restated is stated when its series is settled, so that no half of a delivery is.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from connectors.facts import Basis
from connectors.series import Grain, SeriesKey
from service.core.amounts import to_units
from service.core.instants import to_datetime
from service.core.state import SeriesState
from service.settings import Digest

KEPT_DAYS = 400
"""So long it is kept, in the topic and in the store: more than a year, to compare with."""
GRAINS = frozenset({Grain.HOUR, Grain.DAY})
"""Buckets that add up to days. Finer ones would be a row a minute, and are not what bills come in."""


class Followed(NamedTuple):
    """Series whose spend is stated: those of a metric and dimension, such as ("effective_cost", "tag:team")."""

    metric: str
    dimension: str


def followed(digests: Iterable[Digest]) -> frozenset[Followed]:
    """What the digests ask for: a label is a tag, or a dimension of that name."""
    return frozenset(
        Followed(digest.metric, dimension) for digest in digests for dimension in (f"tag:{digest.by}", digest.by)
    )


class SpendStatement(Struct, frozen=True, kw_only=True):
    """What one series cost in one closed bucket, as far as it was known at one point of the facts.

    start: of the bucket. amount: in the unit of the series. basis: of the amount; the bill wins over the estimate.
    born, offset: its age: of two about the same bucket the one with the larger (born, offset) counts. born: when the
    state behind it began, milliseconds since 1970; offset: of the last fact in it.
    """

    series: str
    start: datetime
    amount: float
    basis: Basis
    born: int
    offset: int

    @property
    def key(self) -> str:
        """The same for all statements about one bucket."""
        return f"{self.series}@{int(self.start.timestamp())}"


class SpendBook:
    """Which buckets of which series are to be stated. followed: none of other series is."""

    def __init__(self, followed: Collection[Followed]) -> None:
        self.followed = frozenset(followed)
        self._states: set[SeriesState] = set()
        self._changed: dict[SeriesState, set[int]] = {}

    def watch(self, state: SeriesState, series: SeriesKey) -> None:
        """From now on state what *series* costs, if it is one of those that are followed."""
        if series.grain in GRAINS and (series.metric, series.dimension) in self.followed:
            self._states.add(state)

    def changed(self, state: SeriesState, index: int) -> None:
        """Bucket *index* was closed, or is another than before."""
        if state in self._states:
            self._changed.setdefault(state, set()).add(index)

    def restored(self, states: Iterable[SeriesState], stated: Collection[tuple[str, str]]) -> None:
        """Which of a snapshot's buckets have not been stated: of what is followed since then all of them.

        stated: what was followed when the snapshot was taken.
        """
        for state in states:
            ring = state.ring
            if state not in self._states or ring is None:
                continue
            series = SeriesKey.parse(state.key.decode())
            since = state.unsettled if (series.metric, series.dimension) in stated else ring.start
            if since is not None:
                self._changed.setdefault(state, set()).update(ring.present(since))

    def take(self, *, born: int, offset: int) -> list[SpendStatement]:
        """What is settled, in order of the buckets of each series; clears it."""
        found: list[SpendStatement] = []
        for state in list(self._changed):
            waits_from, indexes = state.unsettled, self._changed[state]
            settled = indexes if waits_from is None else {index for index in indexes if index < waits_from}
            if len(settled) == len(indexes):
                del self._changed[state]
            else:
                self._changed[state] = indexes - settled
            found += _statements(state, settled, born, offset)
        return found


def _statements(state: SeriesState, indexes: Collection[int], born: int, offset: int) -> Iterable[SpendStatement]:
    ring = state.ring
    if ring is None:
        return
    for index in sorted(indexes):
        if ring.is_present(index):
            yield SpendStatement(
                series=state.key.decode(),
                start=to_datetime(index * state.judge.grain_seconds),
                amount=to_units(ring.value(index)),
                basis=ring.basis(index),
                born=born,
                offset=offset,
            )
