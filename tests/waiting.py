"""Waiting for what another task, thread or process brings about, without betting on how long it takes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.005


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]],
    what: str = "the condition holds",
    *,
    seconds: float = _PATIENCE_SECONDS,
    pause_seconds: float = _PAUSE_SECONDS,
) -> None:
    """Raises TimeoutError, which names *what* was waited for. An answer that never comes counts against the time."""

    async def ask() -> bool:
        holds = condition()
        return holds if isinstance(holds, bool) else await holds

    await answer_of(ask, bool, what, seconds=seconds, pause_seconds=pause_seconds)


async def answer_of(
    ask: Callable[[], Awaitable[T]],
    wanted: Callable[[T], bool],
    what: str = "the answer is the wanted one",
    *,
    seconds: float = _PATIENCE_SECONDS,
    pause_seconds: float = _PAUSE_SECONDS,
) -> T:
    """The first answer that is *wanted*. Raises TimeoutError."""
    try:
        async with asyncio.timeout(seconds):
            while not wanted(answer := await ask()):  # noqa: ASYNC110  # what is waited for sets no event here
                await asyncio.sleep(pause_seconds)
            return answer
    except TimeoutError:
        raise TimeoutError(f"not within {seconds:g} s: {what}") from None


def until_blocking(
    condition: Callable[[], bool],
    what: str = "the condition holds",
    *,
    seconds: float = _PATIENCE_SECONDS,
    pause_seconds: float = _PAUSE_SECONDS,
) -> None:
    """As `until`, for tests without an event loop."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(pause_seconds)
