"""Logging of every role: one JSON object a line on standard error, or coloured text when a person is watching.

The standard library's loggers (uvicorn, aiokafka, sqlalchemy ...) come out the same way. Tracebacks never show local
variables, and what is called like a secret is masked: a log is read by more people than a configuration.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "***"
_SECRET_NAME = re.compile(r"token|secret|passw|authorization|cookie|api_?key|signature", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=://)[^/\s@]+@")
_URL_QUERY = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"']+")

_QUIET = {
    "alembic": logging.WARNING,
    "httpx": logging.WARNING,
    "uvicorn": logging.WARNING,
    "aiokafka": logging.WARNING,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
}
"""Loggers whose informational lines repeat what ours say, or say it per request."""


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask values named like secrets, and the credentials and the query of every URL in a text."""
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: str, value: object) -> object:
    # Numbers are no secrets: usage of AI models is counted in tokens.
    if _SECRET_NAME.search(key) and value is not None and not isinstance(value, int | float):
        return MASK
    if isinstance(value, str) and "://" in value:
        return _URL_QUERY.sub(rf"\1?{MASK}", _USER_INFO.sub(f"{MASK}@", value))
    return value


def configure(role: str, level: str = "INFO", *, stream: TextIO | None = None) -> None:
    """Send all logging of this process to *stream* (standard error). May be called again; the last call wins.

    level: a name of the standard library's levels, in any case. Raises ValueError for another one.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level must be one of {', '.join(logging.getLevelNamesMapping())}, got {level!r}")
    out = stream or sys.stderr

    def add_role(_logger: WrappedLogger, _method: str, event: MutableMapping[str, object]) -> EventDict:
        event.setdefault("role", role)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_role,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(out)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    logging.captureWarnings(True)
    for name, at_least in _QUIET.items():
        logging.getLogger(name).setLevel(max(number, at_least))

    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # Loggers are made at import, before this runs, and tests configure again.
        cache_logger_on_first_use=False,
    )


def _rendering(out: TextIO) -> list[Processor]:
    if out.isatty():
        # The default formatter would show local variables, and with them secrets.
        console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        return [mask_secrets, console]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
        structlog.processors.EventRenamer("message"),
        mask_secrets,
        structlog.processors.JSONRenderer(default=repr),
    ]
