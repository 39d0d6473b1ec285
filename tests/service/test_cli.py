"""The command line: what a person types, what it answers, what it ends with."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from detectors import registry
from service.cli import main

COMMANDS = ("demo", "up", "worker", "api", "deliver", "connect", "tail", "alerts", "check-config", "schema")


class Answer(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Answer]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """What the console script does, without the second that a new process takes to import everything."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str, **environ: str) -> Answer:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        code = ended.value.code
        return Answer(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


def test_help_names_every_command(run: Run) -> None:
    answer = run("--help")
    assert answer.returncode == 0
    assert [command for command in COMMANDS if command not in answer.stdout] == []


def test_version_is_the_packages(run: Run) -> None:
    assert run("--version").stdout.startswith("spendwatch 0.")


@pytest.mark.parametrize("role", ["worker", "api", "connect"])
def test_a_role_without_kafka_says_which_setting_it_needs(run: Run, role: str, tmp_path: Path) -> None:
    config = tmp_path / "spendwatch.yaml"
    config.write_text("connectors: [{type: focus, name: bill, path: bill.csv}]\n")
    answer = run(role, "--config", str(config))
    assert answer.returncode == 2
    assert "kafka.bootstrap_servers" in answer.stderr


def test_mistakes_in_the_configuration_end_with_2_and_their_places(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "spendwatch.yaml"
    config.write_text("policies:\n  - {detector: oracle}\n  - {params: {sigma: -1, sigmma: 2}}\n")
    answer = run("check-config", "--config", str(config))
    assert answer.returncode == 2
    names = ", ".join(registry.names())
    assert f"{config}:2: policies[0].detector: detector must be one of {names}, got 'oracle'" in answer.stderr
    assert f"{config}:3: policies[1].params: sigma must be" in answer.stderr
    assert "sigmma" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_what_could_not_run_is_a_mistake(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "spendwatch.yaml"
    config.write_text(
        "receivers:\n  - {type: webhook, name: desk, url: desk/hook, secret: nonsense}\n"
        "connectors:\n  - {type: focus, name: bill, path: bill.csv, split: {dimensions: [service_nam]}}\n"
    )
    answer = run("check-config", "--config", str(config))
    assert answer.returncode == 2
    assert f"{config}:2: receivers[0]: receiver 'desk': url must begin with https://" in answer.stderr
    assert f"{config}:4: connectors[0]: " in answer.stderr
    assert "service_nam" in answer.stderr


def test_a_sound_configuration_is_explained(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "spendwatch.yaml"
    config.write_text("split: {tags: [squad]}\n")
    answer = run("check-config", SPENDWATCH_CONFIG=str(config))
    assert answer.returncode == 0
    assert "tag squad" in answer.stdout


def test_detectors_are_listed_with_their_parameters(run: Run) -> None:
    answer = run("check-config", "--detectors")
    assert answer.returncode == 0
    assert "seasonal:" in answer.stdout
    assert "  sigma = " in answer.stdout


@pytest.mark.parametrize("name", ["fact", "watermark", "alert", "asyncapi", "config"])
def test_schemas_are_printed_as_json(run: Run, name: str) -> None:
    answer = run("schema", name)
    assert answer.returncode == 0
    assert answer.stdout.startswith("{")


def test_an_unknown_schema_is_said(run: Run) -> None:
    answer = run("schema", "bill")
    assert answer.returncode == 2
    assert "schema must be one of fact" in answer.stderr


def test_an_unknown_connector_is_said(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "spendwatch.yaml"
    config.write_text("connectors: [{type: focus, name: bill, path: bill.csv}]\n")
    answer = run("connect", "bil", "--config", str(config), SPENDWATCH_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert answer.returncode == 2
    assert "no connector is named bil; configured: bill" in answer.stderr


def test_an_error_moves_no_cursor_and_keeps_its_lines(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "spendwatch\x1b[2J.yaml"
    config.write_text("policies:\n  - {detector: oracle}\n  - {params: {sigmma: 2}}\n")
    answer = run("check-config", "--config", str(config))
    assert answer.returncode == 2
    assert "\x1b" not in answer.stderr
    assert answer.stderr.count("?[2J.yaml:") == 2
    assert answer.stderr.count("\n") == 2


@pytest.mark.parametrize(
    "arguments",
    [("schema", "fact"), ("routes", "test", "team=x"), ("routes", "test", "team=x", "--json"), ("--version",)],
    ids=" ".join,
)
def test_a_command_whose_reader_is_gone_ends_quietly(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Its own process, since it is the end of one that could be loud."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        command = [sys.executable, "-m", "service.cli", *arguments]
        ended = subprocess.run(command, stdout=nobody, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (141, b"")
