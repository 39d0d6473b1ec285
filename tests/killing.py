"""A process that is killed at a point of its work, which it says on standard output when it is there."""

import asyncio
import signal
import sys
from pathlib import Path


async def killed_at(point: str, module: str, *arguments: str) -> None:
    """Run `python -m MODULE POINT ARGUMENTS` until it is at *point*, then kill -9."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, point, *arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            assert (await process.stdout.readline()).decode().strip() == point
    finally:
        process.kill()
        assert await process.wait() == -signal.SIGKILL
