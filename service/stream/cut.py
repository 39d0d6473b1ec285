"""The state of one partition as of its last complete checkpoint, from a log that may end within one.

A worker that dies while it writes a checkpoint leaves newer snapshots of some series beside older ones of the others.
Taken together they are of no one moment: what is then said of a series from its peers may differ from what was said
before the crash, and nobody would take that back. So snapshots count when the marker that ends their checkpoint has
come; what they replace is still in the log, since the topic is not compacted for an hour (min.compaction.lag.ms).
"""

Entry = tuple[bytes, bytes]
"""Key and content of a snapshot."""


class Cut:
    """Fed with the records of a partition's log in their order.

    left: snapshots of a checkpoint whose marker has not come. newest_ms: when the latest was written, Unix time.
    """

    __slots__ = ("_complete", "left", "newest_ms")

    def __init__(self) -> None:
        self.left: list[Entry] = []
        self.newest_ms = 0
        self._complete: list[Entry] = []

    def add(self, key: bytes, snapshot: bytes, written_ms: int = 0) -> None:
        self.left.append((key, snapshot))
        self.newest_ms = written_ms

    def complete(self) -> None:
        """The marker of a checkpoint has come."""
        if self._complete:
            self._complete += self.left
            self.left.clear()
        else:
            self._complete, self.left = self.left, self._complete

    def take(self, limit: int) -> list[Entry]:
        """At most *limit* snapshots that count, the latest first: what they replace is then known to be old."""
        taken = self._complete[-limit:]
        del self._complete[-limit:]
        taken.reverse()
        return taken
