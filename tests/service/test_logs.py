"""Log lines: one JSON object each, from our loggers and the standard library's, without secrets."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from service.logs import MASK, configure


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, settings = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.configure(**settings)


@pytest.fixture
def out() -> io.StringIO:
    stream = io.StringIO()
    configure("worker", stream=stream)
    return stream


def _lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_line_says_when_who_and_what(out: io.StringIO) -> None:
    structlog.get_logger("service.x").info("checkpoint written", series=3)
    (line,) = _lines(out)
    assert (line["message"], line["series"]) == ("checkpoint written", 3)
    assert (line["role"], line["level"], line["logger"]) == ("worker", "info", "service.x")
    assert str(line["timestamp"]).endswith("Z")


def test_standard_loggers_come_out_the_same_way(out: io.StringIO) -> None:
    logging.getLogger("sqlalchemy").warning("pool %s is full", "a")
    (line,) = _lines(out)
    assert (line["message"], line["role"], line["logger"]) == ("pool a is full", "worker", "sqlalchemy")


def test_chatty_libraries_are_kept_to_warnings(out: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("aiokafka.consumer").info("Revoking")
    logging.getLogger("aiokafka.consumer").warning("Heartbeat failed")
    assert [line["message"] for line in _lines(out)] == ["Heartbeat failed"]


def test_level_is_taken_in_any_case_and_checked() -> None:
    out = io.StringIO()
    configure("api", "warning", stream=out)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["message"] for line in _lines(out)] == ["loud"]
    with pytest.raises(ValueError, match=r"log level must be one of .*, got 'loud'"):
        configure("api", "loud")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"api_token": "abc"}, {"api_token": MASK}),
        ({"Authorization": "Bearer abc"}, {"Authorization": MASK}),
        ({"secret": None, "tokens": 512}, {"secret": None, "tokens": 512}),
        ({"url": "redis://user:pw@host:6379/0"}, {"url": f"redis://{MASK}@host:6379/0"}),
        ({"url": "https://hooks.example/x?key=abc"}, {"url": f"https://hooks.example/x?{MASK}"}),
        ({"url": "https://hooks.example/x"}, {"url": "https://hooks.example/x"}),
    ],
)
def test_secrets_are_masked(out: io.StringIO, event: dict[str, object], expected: dict[str, object]) -> None:
    structlog.get_logger().info("hello", **event)
    (line,) = _lines(out)
    assert expected.items() <= line.items()


def test_addresses_in_texts_of_others_are_masked(out: io.StringIO) -> None:
    logging.getLogger("x").error("cannot reach %s", "postgresql://user:pw@db/spend?sslcert=abc")
    assert "pw" not in out.getvalue()


def test_traceback_is_kept_and_shows_no_variables(out: io.StringIO) -> None:
    hidden = "hunter2"
    try:
        raise ValueError(f"{len(hidden)} characters")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = _lines(out)
    assert "ValueError: 7 characters" in str(line["exception"])
    assert hidden not in out.getvalue()


def test_person_at_a_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True)
    configure("api", stream=out)
    structlog.get_logger().info("serving", token="abc")
    assert "serving" in out.getvalue()
    assert "abc" not in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    configure("api")
    structlog.get_logger().info("hello")
    sys.stderr.flush()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert json.loads(shown.err)["message"] == "hello"
