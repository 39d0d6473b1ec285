"""The schemas that others build against: messages on the topics, and the configuration file.

`python -m service.schemas docs/schemas` writes those that are published; a test fails while they are not what this
module would write.
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from connectors.facts import Fact, Watermark
from connectors.schema import asyncapi, message_schemas
from service.core.alerts import Alert
from service.core.spend import SpendStatement
from service.delivery.expiry_payload import ExpiryMessage
from service.delivery.letter_payload import DigestMessage
from service.delivery.payload import AnomalyMessage
from service.errors import ConfigError
from service.settings import Settings

_MESSAGES: dict[str, type[Struct]] = {
    "fact": Fact,
    "watermark": Watermark,
    "alert": Alert,
    "spend": SpendStatement,
    "anomaly": AnomalyMessage,
    "digest": DigestMessage,
    "expiry": ExpiryMessage,
}


def print_schema(name: str) -> str:
    """JSON, indented. Raises ConfigError for a name it does not know."""
    if name in _MESSAGES:
        (schema,) = message_schemas(_MESSAGES[name]).values()
        return _indented(schema)
    if name == "asyncapi":
        return _indented(topics())
    if name == "config":
        return _indented(Settings.model_json_schema())
    known = ", ".join((*_MESSAGES, "asyncapi", "config"))
    raise ConfigError(f"schema must be one of {known}, got {name!r}")


def topics(prefix: str = "spendwatch") -> dict[str, Any]:
    """AsyncAPI of all topics. The state topic is named lest someone take it for a leftover; what it holds is ours."""
    document = asyncapi(prefix, Alert)
    document["channels"]["state"] = {
        "address": f"{prefix}.state-v1",
        "description": "Internal and compacted: what the worker needs to go on after a restart. Only the worker writes "
        "it; its layout is no promise. To delete it is to let every series warm up again.",
        "messages": {"snapshot": {"$ref": "#/components/messages/snapshot"}},
    }
    document["channels"]["spend"] = {
        "address": f"{prefix}.spend",
        "description": "What the series that digests ask for cost in each complete bucket, and again when it is "
        "restated; nothing where no digest is configured. Compacted, and kept for 400 days. Of two about the same "
        "bucket the one with the larger (born, offset) counts.",
        "messages": {"spend": {"$ref": "#/components/messages/spend"}},
    }
    document["components"]["messages"]["spend"] = {
        "name": "spend",
        "summary": "What one series cost in one closed bucket.",
        "payload": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": {"$ref": "spend.json"}},
        "bindings": {
            "kafka": {"key": {"type": "string", "description": "The series, `@`, the start in Unix seconds."}}
        },
    }
    document["operations"]["readSpend"] = {
        "action": "send",
        "channel": {"$ref": "#/channels/spend"},
        "summary": "For any consumer.",
    }
    document["components"]["messages"]["snapshot"] = {
        "name": "snapshot",
        "summary": "State of one series, or of a partition, with the last source offset in it.",
        "contentType": "application/msgpack",
        "bindings": {"kafka": {"key": {"type": "string", "description": "The series; `~...` for a partition."}}},
    }
    return document


def documents() -> dict[str, str]:
    """File name -> content of what is published under docs/schemas, but for the HTTP API's own openapi.json."""
    return {f"{name}.json": print_schema(name) + "\n" for name in (*_MESSAGES, "asyncapi")}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in documents().items():
        (folder / name).write_text(content, encoding="utf-8")


def _indented(document: object) -> str:
    return json.dumps(msgspec.to_builtins(document), indent=2, ensure_ascii=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
