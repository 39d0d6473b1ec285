"""A Kafka of one test's own, so that it may be restarted: from the jars that `scripts/services` has fetched."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT / "scripts"))

from realservices import kafka  # noqa: E402  - the scripts' own folder is their path
from realservices.process import Started, end, free_ports, wait_for  # noqa: E402

__all__ = ["OwnKafka", "free_ports", "own_kafka"]

_JARS = _ROOT / ".services" / "jars"
_HEAP = "512m"


class OwnKafka:
    def __init__(self, data: Path) -> None:
        data.mkdir()
        self._data = data
        self._log = data / "kafka.log"
        self._started: Started = kafka.start(jars=_JARS, data=data, log=self._log, heap=_HEAP)
        wait_for(self._started)

    @property
    def servers(self) -> str:
        return self._started.environment["SPENDWATCH_TEST_KAFKA"]

    def restart(self) -> None:
        self.stop()
        port = int(self.servers.rpartition(":")[2])
        self._started = kafka.start_again(jars=_JARS, data=self._data, log=self._log, heap=_HEAP, port=port)
        wait_for(self._started)

    def stop(self) -> None:
        end((self._started.process,))


@contextlib.contextmanager
def own_kafka(data: Path) -> Iterator[OwnKafka]:
    running = OwnKafka(data)
    try:
        yield running
    finally:
        running.stop()
