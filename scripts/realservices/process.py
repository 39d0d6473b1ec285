"""Starting programs that outlive us, and knowing them again later."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 90
STOP_SECONDS = 15
LOOPBACK = "127.0.0.1"


class ServicesError(Exception):
    """What went wrong, for the person at the terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A started service. born tells it from a later process with the same number."""

    name: str
    pid: int
    born: str
    stop_signal: int

    @property
    def is_alive(self) -> bool:
        return bool(self.born) and born(self.pid) == self.born


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """environment: what clients need to know. answers: whether it can be used already."""

    process: Process
    environment: dict[str, str]
    answers: Callable[[], bool]


def say(text: str) -> None:
    """Progress goes to standard error: standard output is for `eval`."""
    print(text, file=sys.stderr, flush=True)


def born(pid: int) -> str:
    """When a process began, in whatever words the system has; empty when there is none, or only a zombie."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] == "Z" else fields[19]
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def find(program: str) -> str | None:
    """A program of the path, or of Debian's versioned PostgreSQL folders, newest first."""
    if found := shutil.which(program):
        return found
    places = Path("/usr/lib/postgresql").glob(f"*/bin/{program}")
    by_version = sorted(places, key=lambda path: [int(part) for part in re.findall(r"\d+", path.parts[4])])
    return str(by_version[-1]) if by_version else None


def need(program: str) -> str:
    found = find(program)
    if found is None:
        raise ServicesError(f"{program} was not found")
    return found


def run(command: list[str], *, environment: dict[str, str] | None = None, user: str | None = None) -> str:
    """Run a helper to its end; returns its output, which is shown only when it fails."""
    done = subprocess.run(
        command,
        env=environment,
        user=user,
        group=group_of(user),
        extra_groups=None if user is None else (),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServicesError(f"{Path(command[0]).name} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def launch(
    name: str, command: list[str], *, log: Path, stop_signal: int = signal.SIGTERM, user: str | None = None
) -> Process:
    """Start a service in a session of its own: it outlives this script, and all of its children can be ended."""
    with log.open("ab") as output:
        started = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=group_of(user),
            extra_groups=None if user is None else (),
            cwd="/",
        )
    return Process(name=name, pid=started.pid, born=born(started.pid), stop_signal=stop_signal)


def group_of(user: str | None) -> int | None:
    return None if user is None else pwd.getpwnam(user).pw_gid


def wait_for(started: Started) -> None:
    name, deadline = started.process.name, time.monotonic() + START_SECONDS
    while not started.answers():
        if not started.process.is_alive:
            raise ServicesError(f"{name} ended while it was starting")
        if time.monotonic() > deadline:
            raise ServicesError(f"{name} did not answer within {START_SECONDS} s")
        time.sleep(0.1)
    say(f"{name} answers")


def end(processes: tuple[Process, ...]) -> None:
    """Ask all to end, and kill those that do not within STOP_SECONDS."""
    running = [process for process in processes if process.is_alive]
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, process.stop_signal)
    deadline = time.monotonic() + STOP_SECONDS
    while any(process.is_alive for process in running) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in running:
        if process.is_alive:
            say(f"{process.name} did not stop within {STOP_SECONDS} s and is killed")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Different ports that are free now; all are held until the last is known."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def exchange(port: int, request: bytes) -> bytes:
    """One request, the beginning of its answer; empty when nobody answers."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=2) as connection:
        connection.sendall(request)
        return connection.recv(64)
    return b""
