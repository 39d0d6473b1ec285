"""What is written down of an engine's state, and taken up again by the one after it."""

from collections.abc import Callable, Collection

from connectors.series import SeriesKey, SeriesKeyError
from service.core.newcomers import Newcomers
from service.core.policies import PolicyBook
from service.core.registers import Registers
from service.core.rejects import RejectError
from service.core.snapshot import (
    MAX_STATE_BYTES,
    PARTITION_KEY,
    PartitionSnapshot,
    SnapshotError,
    decode_partition,
    decode_series,
    encode_partition,
    encode_series,
    offset_of,
)
from service.core.spend import SpendBook
from service.core.state import SeriesState
from service.core.stats import EngineStats


class Saving:
    """offset: of the latest record. restored_offset: the highest of a series' snapshot. born, stated: see spend.py.

    states: of the engine, by key; what is restored is put there.
    """

    def __init__(
        self,
        *,
        stats: EngineStats,
        policies: PolicyBook,
        states: dict[bytes, SeriesState],
        registers: Registers,
        newcomers: Newcomers,
        spend: SpendBook | None,
        born: int,
    ) -> None:
        self._stats = stats
        self._policies = policies
        self._states = states
        self._registers = registers
        self._newcomers = newcomers
        self._spend = spend
        self._dirty: list[SeriesState] = []
        self._restored: list[SeriesState] = []
        self._frozen_offset = -1
        self.offset = -1
        self.restored_offset = -1
        self.born = born
        self.stated: Collection[tuple[str, str]] = ()

    def touch(self, state: SeriesState) -> None:
        """It has changed since it was written down."""
        if not state.dirty:
            state.dirty = True
            self._dirty.append(state)

    def freeze(self, limit: int | None, *, begin_anew: Callable[[SeriesState], None]) -> list[tuple[bytes, bytes]]:
        """As `Engine.freeze`. begin_anew: makes a series forget all, should it have become too large."""
        states = self._dirty if limit is None else self._dirty[:limit]
        snapshots = [(state.key, self._snapshot(state, begin_anew)) for state in states]
        for state in states:
            state.dirty = False
        del self._dirty[: len(states)]
        if not self._dirty and self.offset > self._frozen_offset:
            self._frozen_offset = self.offset
            partition = PartitionSnapshot(
                offset=self.offset,
                sources=self._registers.export_sources(),
                hour=self._newcomers.hour,
                newcomers=self._newcomers.export(),
                last_start=self._stats.last_start,
                born=self.born,
                stated=[] if self._spend is None else sorted(self._spend.followed),
            )
            snapshots.append((PARTITION_KEY, encode_partition(partition)))
        return snapshots

    def _snapshot(self, state: SeriesState, begin_anew: Callable[[SeriesState], None]) -> bytes:
        snapshot = encode_series(state, self.offset)
        if len(snapshot) > MAX_STATE_BYTES:
            # No topic would take it, and a worker that cannot write it would end, and end again, with all its series.
            self._stats.cold_starts += 1
            begin_anew(state)
            snapshot = encode_series(state, self.offset)
        return snapshot

    def restore(self, key: bytes, snapshot: bytes) -> None:
        """As `Engine.restore`."""
        if key == PARTITION_KEY:
            self._restore_partition(key, snapshot)
            return
        known = self._states.get(key)
        if known is not None and offset_of(key, snapshot) <= known.restored_offset:
            return
        try:
            series = SeriesKey.parse(key.decode())
            judge = self._policies.judge_of(series)
            state = decode_series(key, snapshot, judge, origin_of=self._registers.origin, intern=self._registers.labels)
        except (UnicodeDecodeError, SeriesKeyError, RejectError) as error:
            raise SnapshotError(key, str(error)) from None
        state.sources = self._registers.sources_of(state.sources)
        self._states[key] = state
        self.restored_offset = max(self.restored_offset, state.restored_offset)
        self._restored.append(state)
        if self._spend is not None:
            self._spend.watch(state, series)

    def _restore_partition(self, key: bytes, data: bytes) -> None:
        snapshot = decode_partition(key, data)
        if snapshot.offset > self._frozen_offset:
            self.offset = self._frozen_offset = snapshot.offset
            self._registers.take_over(snapshot.sources)
            self._newcomers.take_over(snapshot.hour, snapshot.newcomers)
            self._stats.last_start = snapshot.last_start
            self.born = snapshot.born or self.born
            self.stated = snapshot.stated

    def take_restored(self) -> list[SeriesState]:
        """The series that were taken up; clears. A newer snapshot of the same one may have come after an older."""
        restored = [state for state in self._restored if self._states[state.key] is state]
        self._restored = []
        return restored

    @property
    def has_restored(self) -> bool:
        return bool(self._restored)
