"""When to give up: a worker that is stuck ends with exit code 75 and is started again.

Consumers that silently stop after trouble with the broker are the commonest complaint about Faust and aiokafka
(faust-streaming #175, #523; aiokafka #575, #625). A new process cures all of them, and costs a second.
"""

import asyncio
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.errors import UnavailableError
from service.signals import EXIT_CODE
from service.stream.batch import TopicPartition
from service.stream.owner import Progress


class StuckError(UnavailableError):
    """The worker makes no progress. The message says what has not happened for how long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """In seconds. batch: with records waiting, until one batch is finished. commit: with work finished, until it is
    committed or a part of a checkpoint is done. load: from an assignment until the state is loaded. heartbeat: how long
    the loop may be blocked.

    memory_bytes: resident size at which the worker ends; None for any.
    """

    batch: float = 60.0
    commit: float = 60.0
    load: float = 120.0
    heartbeat: float = 15.0
    memory_bytes: int | None = None


@dataclass(slots=True, kw_only=True)
class _Seen:
    applied: int
    applied_at: float
    committed: int | None
    committed_at: float


@dataclass(slots=True)
class Watchdog:
    """Looks at the progress of the partitions once a second. Times are monotonic seconds, handed in."""

    patience: Patience
    _seen: dict[TopicPartition, _Seen] = field(default_factory=dict)
    _loading_since: float | None = None
    _checkpointed: int = 0

    def check(
        self,
        now: float,
        partitions: Sequence[Progress],
        *,
        loading: bool,
        checkpointed: int,
        excused: Callable[[TopicPartition], bool],
    ) -> None:
        """checkpointed: moves with every part of a checkpoint; one of a million series may take minutes.
        excused: partitions that wait for something that is known to be away. Raises StuckError.
        """
        if checkpointed != self._checkpointed:
            self._checkpointed = checkpointed
            for seen in self._seen.values():
                seen.committed_at = now
        self._seen = {progress.tp: self._look(now, progress, excused) for progress in partitions}
        if not loading:
            self._loading_since = None
        elif self._loading_since is None:
            self._loading_since = now
        elif now - self._loading_since > self.patience.load:
            raise StuckError(f"the state is not loaded {now - self._loading_since:.0f} s after the assignment")
        if (limit := self.patience.memory_bytes) is not None and (size := resident_bytes()) > limit:
            raise StuckError(f"the worker holds {size} bytes of memory, more than worker.max_memory_mb allows")

    def _look(self, now: float, progress: Progress, excused: Callable[[TopicPartition], bool]) -> _Seen:
        tp = progress.tp
        seen = self._seen.get(tp) or _Seen(
            applied=progress.applied, applied_at=now, committed=progress.committed, committed_at=now
        )
        if progress.applied != seen.applied or progress.lag == 0 or excused(tp):
            seen.applied, seen.applied_at = progress.applied, now
        if progress.committed != seen.committed or progress.applied <= (progress.committed or 0):
            seen.committed, seen.committed_at = progress.committed, now
        if now - seen.applied_at > self.patience.batch:
            raise StuckError(f"{tp}: {progress.lag} records wait and none was finished for {self.patience.batch:g} s")
        if now - seen.committed_at > self.patience.commit:
            raise StuckError(f"{tp}: finished work was not committed for {self.patience.commit:g} s")
        return seen


class Heartbeat:
    """A thread that ends the process when the event loop stands still; it shows every thread's stack first."""

    def __init__(self, seconds: float, *, hard_exit: Callable[[int], object] = os._exit) -> None:
        self._seconds = seconds
        self._hard_exit = hard_exit
        self._beat = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="heartbeat", daemon=True)

    async def run(self) -> None:
        """Beat until cancelled."""
        self.beat()
        self._thread.start()
        try:
            while True:
                await asyncio.sleep(min(1.0, self._seconds / 4))
                self.beat()
        finally:
            self._ended.set()

    def beat(self) -> None:
        self._beat = time.monotonic()

    def _watch(self) -> None:
        while not self._ended.wait(min(1.0, self._seconds / 4)):
            if time.monotonic() - self._beat > self._seconds:
                _last_words(f"the event loop stood still for {self._seconds:g} s")
                faulthandler.dump_traceback(all_threads=True)
                self._hard_exit(EXIT_CODE)
                return


def _last_words(text: str) -> None:
    """Past logging: the loop or a lock may hold it up."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def resident_bytes() -> int:
    """Memory that this process holds; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
