"""scripts/services by itself: what it remembers, what it cleans up. No Kafka is started here."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "services"
sys.path.insert(0, str(SCRIPT.parent))

from realservices.home import Home, State  # noqa: E402  - the script's own folder is its path
from realservices.process import Process, ServicesError, Started, born, end, free_ports, wait_for  # noqa: E402


def call(*arguments: str, home: Path, path: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = os.environ if path is None else {**os.environ, "PATH": path}
    command = [sys.executable, str(SCRIPT), *arguments, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def sleeper() -> Iterator[Process]:
    """A process that stands for a service; it is a child of ours, so somebody has to wait for it."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        yield Process(name="sleeper", pid=child.pid, born=born(child.pid), stop_signal=signal.SIGTERM)
        child.kill()


def test_nothing_running_is_said_and_is_an_error(tmp_path: Path) -> None:
    done = call("env", home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "not running: scripts/services start\n"


def test_stopping_nothing_is_fine(tmp_path: Path) -> None:
    assert call("stop", home=tmp_path).returncode == 0


def test_running_services_are_shown_again(tmp_path: Path, sleeper: Process) -> None:
    Home(tmp_path).save(State(processes=(sleeper,), environment={"SPENDWATCH_TEST_KAFKA": "127.0.0.1:1"}, folders=()))
    for action in ("env", "start"):
        done = call(action, home=tmp_path)
        assert (done.returncode, done.stdout) == (0, "export SPENDWATCH_TEST_KAFKA=127.0.0.1:1\n")


def test_stop_ends_processes_and_removes_data_and_logs(tmp_path: Path, sleeper: Process) -> None:
    home = Home(tmp_path)
    for folder in (home.run, home.logs, home.jars):
        folder.mkdir()
    home.save(State(processes=(sleeper,), environment={"A": "b"}, folders=(str(home.run),)))
    assert call("stop", home=tmp_path).returncode == 0
    assert not sleeper.is_alive
    assert home.load() is None
    assert [folder.exists() for folder in (home.run, home.logs, home.jars)] == [False, False, True]


def test_logs_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    assert call("stop", "--keep-logs", home=tmp_path).returncode == 0
    assert (tmp_path / "logs").exists()


def test_missing_programs_are_named(tmp_path: Path) -> None:
    done = call("start", home=tmp_path, path=str(tmp_path))
    assert done.returncode == 1
    assert "default-jre-headless, maven, redis-server" in done.stderr


def test_another_process_with_the_same_number_is_left_alone(sleeper: Process) -> None:
    other = Process(name="ended long ago", pid=sleeper.pid, born="another time", stop_signal=signal.SIGKILL)
    assert not other.is_alive
    end((other,))
    assert sleeper.is_alive


def test_service_that_ends_while_it_starts_is_told(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "0"]) as child:
        process = Process(name="redis", pid=child.pid, born=born(child.pid), stop_signal=signal.SIGTERM)
        child.wait()
    with pytest.raises(ServicesError, match="redis ended while it was starting"):
        wait_for(Started(process=process, environment={}, answers=lambda: False))


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20
