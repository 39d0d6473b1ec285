"""One deployment of ours, as a user would run it: real processes, default settings, looked at from outside only."""

import asyncio
import contextlib
import json
import re
import urllib.request
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.child import ChildError, running
from benchmarks.usage import Usage
from realservices.process import free_ports
from service.settings import Settings

_READY_SECONDS = 120.0
_SAMPLE = re.compile(r"^(spendwatch_\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


@dataclass(slots=True, kw_only=True)
class Deployment:
    """Everything but addresses and names is at its default. extra: sections of the configuration beside those."""

    servers: str
    prefix: str
    group: str
    folder: Path
    partitions: int = 4
    extra: dict[str, Any] = field(default_factory=dict)
    worker_port: int = field(default_factory=lambda: free_ports(1)[0])
    deliver_port: int = field(default_factory=lambda: free_ports(1)[0])

    @property
    def database(self) -> Path:
        return self.folder / "alerts.db"

    @property
    def raw_settings(self) -> dict[str, Any]:
        return {
            "kafka": {
                "bootstrap_servers": self.servers,
                "topic_prefix": self.prefix,
                "group": self.group,
                "partitions": self.partitions,
            },
            "store": {"url": f"sqlite+aiosqlite:///{self.database}"},
            "worker": {"metrics_port": self.worker_port},
            "deliver": {"metrics_port": self.deliver_port},
            **self.extra,
        }

    @property
    def settings(self) -> Settings:
        return Settings.model_validate(self.raw_settings)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @contextlib.asynccontextmanager
    async def worker(self) -> AsyncIterator["Role"]:
        async with self._role("worker", self.worker_port) as role:
            yield role

    @contextlib.asynccontextmanager
    async def deliver(self) -> AsyncIterator["Role"]:
        async with self._role("deliver", self.deliver_port) as role:
            yield role

    @contextlib.asynccontextmanager
    async def _role(self, name: str, port: int) -> AsyncIterator["Role"]:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "spendwatch.yaml"
        config.write_text(json.dumps(self.raw_settings))  # JSON is YAML
        arguments = ("--supervised", name, "--config", str(config))
        async with running("service.cli", *arguments, log=self.log) as process:
            yield Role(name=name, process=process, port=port, log=self.log)


@dataclass(slots=True, kw_only=True)
class Role:
    """A running worker or deliverer."""

    name: str
    process: Process
    port: int
    log: Path

    def usage(self) -> Usage:
        return Usage.of(self.process.pid)

    async def metrics(self) -> dict[str, float]:
        """Name -> value; label sets of one name are added up. Empty while nobody answers yet."""
        if self.process.returncode is not None:
            raise ChildError(self.name, f"ended with {self.process.returncode}", self.log)
        text = await asyncio.to_thread(_get, f"http://127.0.0.1:{self.port}/metrics")
        found: dict[str, float] = {}
        for name, value in _SAMPLE.findall(text):
            found[name] = found.get(name, 0.0) + float(value)
        return found

    async def ready(self) -> None:
        """Wait until it says so itself. Raises ChildError."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while not await asyncio.to_thread(_get, f"http://127.0.0.1:{self.port}/readyz"):
                    await self.metrics()  # tells when it has ended
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise ChildError(self.name, f"was not ready within {_READY_SECONDS:g} s", self.log) from None


def _get(url: str) -> str:
    """The body of a 200; empty for any other answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""
