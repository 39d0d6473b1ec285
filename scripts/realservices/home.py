"""The folder of one set of services, and what is remembered there between two calls."""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from realservices.process import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """environment is empty until all services answer. folders: what `stop` removes."""

    processes: tuple[Process, ...]
    environment: dict[str, str]
    folders: tuple[str, ...]

    @property
    def is_running(self) -> bool:
        return bool(self.environment) and all(process.is_alive for process in self.processes)


class Home:
    """jars: kept over `stop`, they are only downloads. run: the services' data. logs: kept when a start fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jars = folder / "jars"
        self.run = folder / "run"
        self.logs = folder / "logs"
        self._state = folder / "state.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One caller at a time: a second `start` waits for the first, and then finds its services."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def load(self) -> State | None:
        if not self._state.exists():
            return None
        kept = json.loads(self._state.read_text())
        return State(
            processes=tuple(Process(**process) for process in kept["processes"]),
            environment=kept["environment"],
            folders=tuple(kept["folders"]),
        )

    def save(self, state: State) -> None:
        """Called after the start of each process, so that `stop` cleans up after a `start` that was killed too."""
        temporary = self._state.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(asdict(state), indent=2))
        temporary.replace(self._state)

    def forget(self) -> None:
        self._state.unlink(missing_ok=True)
