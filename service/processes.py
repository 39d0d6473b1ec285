"""Child processes that never outlive their parent, and are started again when they die."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import structlog

log = structlog.get_logger()

_BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_SECONDS = 60.0
"""A child that ran this long starts with the shortest back-off again."""

FINAL_EXIT_CODES = (0, 2)
"""Done, or wrong input: starting it again would not help."""


_ORPHAN_SECONDS = 10.0


def end_with_parent() -> None:
    """In a child: end when the parent does, however it ended. Its end of our standard input then closes, which
    works after kill -9 and on every platform."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1024):
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(_ORPHAN_SECONDS)
        os._exit(75)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


@dataclass(slots=True, kw_only=True)
class Child:
    """One role of the service as a process of its own.

    arguments: after `spendwatch`. output: where its standard output and error go; None keeps ours.
    on_exit: told the name and the exit code when it has ended for good.
    """

    name: str
    arguments: Sequence[str]
    environ: Mapping[str, str]
    output: Path | None = None
    on_exit: Callable[[str, int], None] = lambda _name, _code: None
    restarts: int = 0
    command: Sequence[str] = (sys.executable, "-m", "service.cli", "--supervised")
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)
    _task: asyncio.Task[None] | None = field(default=None, repr=False)
    _stopping: bool = False

    async def start(self) -> None:
        await self._spawn()
        self._task = asyncio.create_task(self._keep_running(), name=f"keep {self.name}")

    async def stop(self, seconds: float) -> int | None:
        """Ask it to end, and kill it if it has not after *seconds*. Returns its exit code."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), seconds)
            except TimeoutError:
                log.warning("killed", process=self.name, after_seconds=seconds)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        return None if process is None else process.returncode

    def kill(self) -> None:
        """End it at once, as a crash would; it is started again."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _spawn(self) -> None:
        with contextlib.ExitStack() as stack:
            output: IO[bytes] | None = stack.enter_context(self.output.open("ab")) if self.output else None
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                *self.arguments,
                env={**os.environ, **self.environ},
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                # Ctrl-C reaches only us: we stop the children in the order that loses nothing.
                start_new_session=True,
            )

    async def _keep_running(self) -> None:
        attempt = 0
        loop = asyncio.get_running_loop()
        while self._process is not None:
            started = loop.time()
            code = await self._process.wait()
            if self._stopping:
                return
            if code in FINAL_EXIT_CODES:
                self.on_exit(self.name, code)
                return
            attempt = 0 if loop.time() - started > _STEADY_SECONDS else attempt
            pause = _BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS) - 1)]
            log.warning("ended, starting it again", process=self.name, exit_code=code, in_seconds=pause)
            await asyncio.sleep(pause)
            attempt += 1
            self.restarts += 1
            await self._spawn()
