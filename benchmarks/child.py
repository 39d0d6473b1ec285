"""Processes that a benchmark starts. They end with it, whatever ends it: all of them watch their standard input."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from benchmarks.broker import ROOT

_PATIENCE_SECONDS = 30.0


class ChildError(Exception):
    """A process that ended otherwise than it should. The message ends with the end of what it wrote."""

    def __init__(self, name: str, what: str, log: Path) -> None:
        said = log.read_text(errors="replace")[-3000:] if log.exists() else ""
        super().__init__(f"{name} {what}\n{said}")
        self.name = name


@contextlib.asynccontextmanager
async def running(
    module: str, *arguments: str, log: Path, environ: Mapping[str, str] | None = None, keep_output: bool = False
) -> AsyncIterator[Process]:
    """`python -m MODULE ARGUMENTS`, killed at the end of the context. keep_output: its standard output is a pipe."""
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            cwd=ROOT,
            stdin=PIPE,
            stdout=PIPE if keep_output else said,
            stderr=said,
            env={**os.environ, **(environ or {})},
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def stopped(name: str, process: Process, log: Path) -> None:
    """Ask it to end, and wait. Raises ChildError when it does not end well."""
    process.send_signal(signal.SIGTERM)
    try:
        code = await asyncio.wait_for(process.wait(), _PATIENCE_SECONDS)
    except TimeoutError:
        raise ChildError(name, f"did not end within {_PATIENCE_SECONDS:g} s of SIGTERM", log) from None
    if code != 0:
        raise ChildError(name, f"ended with {code}", log)
