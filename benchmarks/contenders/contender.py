"""What every contender is told, does and says: its own process, which writes a report when it is done."""

import os
import signal
import sys
import threading
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.usage import Usage


class Order(Struct, frozen=True, kw_only=True):
    """What to read. count: so many facts. start: first offset of each partition. folder: for files, empty at first.

    report: where the Report is written to, not to standard output, which some libraries write to.
    """

    servers: str
    topic: str
    group: str
    partitions: int
    start: int
    count: int
    folder: str
    report: str


class Report(Struct, frozen=True, kw_only=True):
    """seconds and cpu_seconds: from the first record to the last. alarms: what the scoring found; the same for all."""

    facts: int
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    alarms: int = 0


def read_order() -> Order:
    """Of the command line; from then on this process ends with whoever started it."""
    threading.Thread(target=_end_with_parent, name="parent watch", daemon=True).start()
    return msgspec.json.decode(sys.argv[1], type=Order)


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


class Stopwatch:
    """Counts records; writes the report and ends the process at the last: how a library stops is not measured."""

    def __init__(self, order: Order) -> None:
        self.left = order.count
        self._order = order
        self._begun: Usage | None = None

    def begin(self) -> None:
        """Before the first record is looked at; later calls change nothing."""
        if self._begun is None:
            self._begun = Usage.of()

    def done(self, records: int, alarms: int) -> None:
        """So many more have been scored."""
        self.left -= records
        if self.left > 0:
            return
        assert self._begun is not None
        ended = Usage.of()
        report = Report(
            facts=self._order.count - self.left,
            seconds=ended.at - self._begun.at,
            cpu_seconds=ended.cpu_seconds - self._begun.cpu_seconds,
            peak_rss_mb=ended.peak_rss_mb,
            alarms=alarms,
        )
        Path(self._order.report).write_bytes(msgspec.json.encode(report))
        os._exit(0)
