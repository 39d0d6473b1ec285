"""A real Kafka of our own: one node on free loopback ports, with its data in a temporary folder.

The same jars as `scripts/services` uses, in `.services/jars`. What is running is written down in `.services/bench`, so
that a run that was killed is cleaned up by the next one.
"""

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from realservices import kafka
from realservices.home import Home, State
from realservices.packages import install_missing
from realservices.process import ServicesError, end, say, wait_for

ROOT = Path(__file__).resolve().parent.parent
_HEAP = "1g"


@contextlib.contextmanager
def running_kafka() -> Iterator[str]:
    """The address of a Kafka that ends with the context. Raises realservices.process.ServicesError."""
    home = Home(ROOT / ".services" / "bench")
    with _alone(home):
        if (left := home.load()) is not None:
            say("cleaning up after an earlier run")
            _clean_up(home, left)
        install_missing(("java", "mvn"))
        data = Path(tempfile.mkdtemp(prefix="spendwatch-bench-kafka-"))
        home.save(State(processes=(), environment={}, folders=(str(data),)))
        try:
            home.logs.mkdir(parents=True, exist_ok=True)
            jars = Home(ROOT / ".services")
            with jars.locked():
                kafka.fetch_jars(jars.jars)
            started = kafka.start(jars=jars.jars, data=data, log=home.logs / "kafka.log", heap=_HEAP)
            home.save(State(processes=(started.process,), environment=started.environment, folders=(str(data),)))
            wait_for(started)
            yield started.environment["SPENDWATCH_TEST_KAFKA"]
        finally:
            if (state := home.load()) is not None:
                _clean_up(home, state)


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Two benchmarks at a time would measure each other: the second is refused instead of waiting."""
    home.folder.mkdir(parents=True, exist_ok=True)
    with (home.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServicesError("another benchmark is running") from None
        yield


def _clean_up(home: Home, state: State) -> None:
    end(state.processes)
    for folder in state.folders:
        shutil.rmtree(folder, ignore_errors=True)
    home.forget()
