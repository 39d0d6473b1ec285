"""Children never outlive their parent, and come back when they die."""

import asyncio
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from service.processes import Child
from tests.waiting import until

PATIENCE_SECONDS = 20.0


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def make_child(tmp_path: Path, code: str, **changes: object) -> Child:
    """A child that runs *code* instead of the command line, and keeps its standard input as the command line does."""
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(code))
    child = Child(name="child", arguments=(), environ={}, **changes)  # type: ignore[arg-type]  # tests name the field
    child.command = (sys.executable, str(script))
    return child


async def test_a_child_that_crashes_is_started_again(tmp_path: Path) -> None:
    child = make_child(tmp_path, "import sys; sys.exit(70)")
    await child.start()
    await until(lambda: child.restarts >= 1)
    await child.stop(5)


@pytest.mark.parametrize("code", [0, 2])
async def test_a_child_that_is_done_stays_ended(tmp_path: Path, code: int) -> None:
    ended: list[tuple[str, int]] = []
    child = make_child(tmp_path, f"import sys; sys.exit({code})", on_exit=lambda name, code: ended.append((name, code)))
    await child.start()
    await until(lambda: bool(ended))
    assert ended == [("child", code)]
    assert child.restarts == 0
    await child.stop(5)


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    child = make_child(
        tmp_path,
        f"""
        import pathlib, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path({str(ready)!r}).touch()
        time.sleep(60)
        """,
    )
    await child.start()
    await until(ready.exists)
    assert await child.stop(0.2) == -signal.SIGKILL


async def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """kill -9 for real: the parent has no chance to say goodbye."""
    pid_file = tmp_path / "pid"
    role = tmp_path / "role.py"
    role.write_text(
        "import os, pathlib, time\n"
        "from service.processes import end_with_parent\n"
        "end_with_parent()\n"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    parent = tmp_path / "parent.py"
    parent.write_text(
        "import asyncio, sys\n"
        "from service.processes import Child\n"
        "async def main():\n"
        "    child = Child(name='role', arguments=(), environ={})\n"
        f"    child.command = (sys.executable, {str(role)!r})\n"
        "    await child.start()\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, str(parent), cwd=Path(__file__).parents[2])
    try:
        await until(lambda: pid_file.exists() and pid_file.read_text() != "")
        child_pid = int(pid_file.read_text())
        process.kill()
        await until(lambda: not is_running(child_pid))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
