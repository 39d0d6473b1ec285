"""SIGTERM and SIGINT as an event: the roles drain before they end, and end even if they cannot drain."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

EXIT_CODE = 75


class Deadline:
    """Ends the process when a shutdown takes longer than promised, whatever the event loop is doing then."""

    def __init__(self, seconds: float, *, hard_exit: Callable[[int], object] = os._exit) -> None:
        self._seconds = seconds
        self._hard_exit = hard_exit
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def start(self) -> None:
        """The clock runs from the first call; later ones change nothing."""
        with contextlib.suppress(RuntimeError):
            self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        # Past logging: the loop or a lock may hold it up.
        sys.stderr.write(f"did not end within {self._seconds:g} s; what was not committed is done again\n")
        sys.stderr.flush()
        self._hard_exit(EXIT_CODE)


@contextlib.contextmanager
def stop_on_signals(deadline: Deadline | None = None) -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set. Outside the main thread, where signals cannot be had, nothing sets it.

    deadline: runs from the signal until the context is left.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        stop.set()
        if deadline is not None:
            deadline.start()

    caught = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
    for number in caught:
        loop.add_signal_handler(number, ask)
    try:
        yield stop
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
        if deadline is not None:
            deadline.cancel()
