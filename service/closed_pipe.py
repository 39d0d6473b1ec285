"""When nobody reads our output any more, as behind `| head -1`, a command ends quietly, as one that SIGPIPE ends does.

The signal itself stays ignored: by default it would also end a role whose client hangs up.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

EXIT_CODE = 141
"""128 and the number of SIGPIPE, as shells have it."""


class QuietGroup(TyperGroup):
    """The root of the commands. Without it Typer would end with 1, which has other meanings here."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _quiet():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _quiet():
            return super().invoke(ctx)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    try:
        try:
            yield
        finally:
            # What is still in the buffer would fail where nobody can catch it: when the interpreter ends.
            sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise typer.Exit(EXIT_CODE) from None
