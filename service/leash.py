"""Runs a program that ends when whoever started it ends, even by `kill -9`.

    python -I -S leash.py GRACE_SECONDS FOLDER PROGRAM [ARGUMENT ...]

Standard input is a pipe that the starter holds open and never writes to: its end is the starter's end, however that
came. Then the program gets SIGTERM, SIGKILL when it is still there after GRACE_SECONDS, and FOLDER (unless empty) is
removed, since nobody else is left to do it. Exits with the program's status.

Why a process of its own: Linux's PR_SET_PDEATHSIG follows the *thread* that started the program, so a program started
from a worker thread dies with that thread; and macOS has nothing like it. Here the starting thread is the only one, so
the signal is used as well, for the case that this process itself is killed. Runs without the rest of the project, so
that it takes 20 ms and 10 MB: only the standard library may be imported.
"""

import contextlib
import ctypes
import os
import selectors
import shutil
import signal
import subprocess
import sys
from functools import partial
from types import FrameType

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(arguments: list[str]) -> int:
    grace_seconds, folder, command = float(arguments[0]), arguments[1], arguments[2:]
    # A handler has to be there for the wake-up pipe to be written to; what it does is decided below.
    awake, wake = os.pipe()
    for end in (awake, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _nothing)
    bind_to_us = partial(_die_with_parent, os.getpid()) if sys.platform == "linux" else None
    try:
        child = subprocess.Popen(  # noqa: S603  running what it is told to is its purpose
            command, stdin=subprocess.DEVNULL, preexec_fn=bind_to_us
        )
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be executed: {error.strerror}\n")
        return 127
    is_alone = _wait_for_an_end(child, awake)
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            child.kill()
    status = child.wait()
    if is_alone and folder:
        shutil.rmtree(folder, ignore_errors=True)
    return status if status >= 0 else 128 - status


def _wait_for_an_end(child: "subprocess.Popen[bytes]", awake: int) -> bool:
    """Return when the program has ended, a signal asks for it, or (True) the starter has ended."""
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(awake, selectors.EVENT_READ)
        while child.poll() is None:
            for key, _ in selector.select():
                if key.fd != awake:
                    if not os.read(key.fd, 64):
                        return True
                    continue
                with contextlib.suppress(BlockingIOError):
                    if set(os.read(awake, 64)) - {signal.SIGCHLD}:
                        return False
    return False


def _die_with_parent(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def _nothing(number: int, frame: FrameType | None) -> None:
    """The signal's number is read from the wake-up pipe."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
