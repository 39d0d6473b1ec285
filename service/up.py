"""Everything on one machine: embedded parts for what is not configured, and each role as a process of its own."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import structlog

from service.embedded import EmbeddedBroker, EmbeddedValkey, free_port
from service.errors import ListenError, UnavailableError
from service.logs import configure
from service.processes import Child
from service.settings import Settings
from service.signals import stop_on_signals

log = structlog.get_logger()

_READY_SECONDS = 60.0
_START_ATTEMPTS = 3
_STOP_ORDER = ("connect", "worker", "deliver", "api")
"""Sources first, so that what they sent is still worked off; the API last, so that people can watch."""


class RoleEndedError(UnavailableError):
    """A role that will not run: what it says on its way out tells why, and its exit code is ours."""

    def __init__(self, role: str, exit_code: int) -> None:
        super().__init__(f"{role} ended with exit code {exit_code} while it started")
        self.exit_code = exit_code


@dataclass(slots=True, kw_only=True)
class Stack:
    """All roles and embedded parts of one machine.

    environ: added to the environment of every role. logs: folder for their output; None lets it through to ours.
    """

    settings: Settings
    config: Path | None
    environ: Mapping[str, str] = field(default_factory=dict)
    logs: Path | None = None
    ended: dict[str, int] = field(default_factory=dict)
    """Roles that ended for good, with their exit code."""
    probes: dict[str, str] = field(default_factory=dict)
    """Role -> address of its liveness, readiness and metrics pages."""
    bootstrap_servers: str = ""
    """Of the broker in use, once started."""
    _children: dict[str, Child] = field(default_factory=dict)
    _exits: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def api_url(self) -> str:
        return self.probes["api"]

    async def start(self) -> None:
        """Start everything; returns when all roles are ready. Raises UnavailableError if one is not in time."""
        try:
            environ = dict(self.environ) | await self._start_embedded()
            for role in self._roles():
                environ |= self._choose_port(role)
            for role in self._roles():
                await self._start_role(role, environ)
            await self._wait_until_ready(self._roles())
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        grace = self.settings.worker.shutdown_seconds + 2
        for role in _STOP_ORDER:
            if role in self._children:
                await self._children.pop(role).stop(grace)
        await self._exits.aclose()

    def child(self, role: str) -> Child:
        """The process of a role. Raises KeyError when it does not run."""
        return self._children[role]

    def _roles(self) -> tuple[str, ...]:
        return ("worker", "api", "deliver") + (("connect",) if self.settings.connectors else ())

    async def _start_embedded(self) -> dict[str, str]:
        environ = {}
        self.bootstrap_servers = self.settings.kafka.bootstrap_servers or ""
        if self.settings.kafka.bootstrap_servers is None:
            broker = await self._exits.enter_async_context(EmbeddedBroker())
            environ["SPENDWATCH_KAFKA__BOOTSTRAP_SERVERS"] = self.bootstrap_servers = broker.bootstrap_servers
            # The embedded broker lets a member wait half of its session time-out before it may join the group.
            environ["SPENDWATCH_WORKER__SESSION_TIMEOUT_SECONDS"] = "2"
            environ["SPENDWATCH_WORKER__REBALANCE_TIMEOUT_SECONDS"] = "6"
            # The embedded broker forgets everything when it ends, so the connectors must too: what they have
            # confirmed to a broker that is gone has to be sent again. Alert ids make that harmless.
            environ["SPENDWATCH_CONNECT__CHECKPOINT_PATH"] = str(broker.folder / "connectors.db")
            log.info("embedded broker started", address=broker.bootstrap_servers)
        if self.settings.redis.url is None:
            valkey = await self._exits.enter_async_context(EmbeddedValkey())
            environ["SPENDWATCH_REDIS__URL"] = valkey.url
            log.info("embedded cache started", address=valkey.url)
        return environ

    def _choose_port(self, role: str) -> dict[str, str]:
        """Port 0 means any free one; we choose it here, because we have to know where to look."""
        section = getattr(self.settings, role)
        name = "port" if role == "api" else "metrics_port"
        host = section.host if role == "api" else self.settings.metrics_host
        chosen = getattr(section, name) or free_port(host)
        # Else a second instance would find the first one's roles ready and believe they are its own.
        _check_free(host, chosen, f"{role}.{name}")
        self.probes[role] = _url(host, chosen)
        return {f"SPENDWATCH_{role.upper()}__{name.upper()}": str(chosen)}

    async def _start_role(self, role: str, environ: Mapping[str, str]) -> None:
        arguments = [role] + (["--config", str(self.config)] if self.config else [])
        output = self.logs / f"{role}.log" if self.logs else None
        child = Child(name=role, arguments=arguments, environ=environ, output=output, on_exit=self._on_exit)
        self._children[role] = child
        await child.start()

    def _on_exit(self, role: str, code: int) -> None:
        self.ended[role] = code
        log.info("role ended", role=role, exit_code=code)

    async def _wait_until_ready(self, roles: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(_READY_SECONDS), httpx.AsyncClient(timeout=2.0) as client:
                await asyncio.gather(*(self._wait_for(client, role) for role in roles))
        except TimeoutError:
            raise UnavailableError(f"not ready after {_READY_SECONDS:.0f} s: {', '.join(roles)}") from None

    async def _wait_for(self, client: httpx.AsyncClient, role: str) -> None:
        while True:
            if role in self.ended:
                if self.ended[role] == 0:
                    return
                raise RoleEndedError(role, self.ended[role])
            if self._children[role].restarts > _START_ATTEMPTS:
                raise UnavailableError(f"{role} ended {_START_ATTEMPTS} times while it started")
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(f"{self.probes[role]}/readyz")).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(0.1)


def _check_free(host: str, port: int, setting: str) -> None:
    """Raises ListenError."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ListenError(host, port, f"{error.strerror}; {setting} picks another") from None


def _url(host: str, port: int) -> str:
    """Where we reach a port that was opened on *host*; an address that means all of them is reached on loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def run_up(settings: Settings, config: Path | None) -> int:
    """Run until SIGINT or SIGTERM. Returns the exit code."""
    configure("up")
    stack = Stack(settings=settings, config=config)
    with stop_on_signals() as stop:
        starting, stopping = asyncio.create_task(stack.start()), asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return 0
        try:
            await starting
            addresses = {role: url for role, url in stack.probes.items() if role != "api"}
            log.info("ready", dashboard=stack.api_url, kafka=stack.bootstrap_servers, **addresses)
            if sys.stderr.isatty():
                sys.stderr.write(f"\nDashboard: {stack.api_url}   (Ctrl-C stops everything)\n\n")
            await stopping
            log.info("stopping")
        finally:
            stopping.cancel()
            await stack.stop()
    return 0
