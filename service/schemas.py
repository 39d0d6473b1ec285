"""The schemas that others build against: messages on the topics, and the configuration file."""

import json

import msgspec
from msgspec import Struct

from connectors.facts import Fact, Watermark
from connectors.schema import asyncapi, message_schemas
from service.core.alerts import Alert
from service.errors import ConfigError
from service.settings import Settings

_MESSAGES: dict[str, type[Struct]] = {"fact": Fact, "watermark": Watermark, "alert": Alert}


def print_schema(name: str) -> str:
    """JSON, indented. Raises ConfigError for a name it does not know."""
    if name in _MESSAGES:
        return _indented(message_schemas(_MESSAGES[name]))
    if name == "asyncapi":
        return _indented(asyncapi())
    if name == "config":
        return _indented(Settings.model_json_schema())
    known = ", ".join((*_MESSAGES, "asyncapi", "config"))
    raise ConfigError(f"schema must be one of {known}, got {name!r}")


def _indented(document: object) -> str:
    return json.dumps(msgspec.to_builtins(document), indent=2, ensure_ascii=False)
