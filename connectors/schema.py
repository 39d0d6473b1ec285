"""The messages on the topics, as others may rely on them: JSON Schema 2020-12 and AsyncAPI 3.0.

What is published under docs/schemas is put together by service/schemas.py, which knows the other topics' messages.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import msgspec

from connectors.facts import MAX_ABS_VALUE, Fact, Watermark
from connectors.instants import PATTERN, YEARS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID = "urn:spendwatch:schema:"
_VERSION = "1.0.0"

_DESCRIPTIONS: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "Fact": {
        "series": {
            "description": "`tenant/metric/unit/grain/dimension=value`; also the Kafka key of the message.",
            "maxLength": 512,
            "examples": ["default/effective_cost/USD/1d/tag:team=search"],
        },
        "charge_period_start": {
            "description": f"RFC 3339 in UTC with `Z`, in {YEARS}. Any instant within the bucket the fact is about.",
            "format": "date-time",
            "pattern": PATTERN,
            "examples": ["2024-09-18T00:00:00Z"],
        },
        "value": {
            "description": "In the unit of the series; negative for credits. Resolved to 1e-9.",
            "minimum": -MAX_ABS_VALUE,
            "maximum": MAX_ABS_VALUE,
        },
        "origin": {
            "description": "Who says it: `<source>:<delivery>`. Watermarks are kept for its source.",
            "minLength": 1,
            "maxLength": 1024,
            "examples": ["focus-prod:2024-09"],
        },
        "revision": {
            "description": "Later deliveries of one origin carry a higher number. Only `set` looks at it.",
            "minimum": 0,
        },
        "fold": {
            "description": "`set` replaces what the origin said about the bucket before; `add` is one more event; "
            "`gauge` is a sample, of which the bucket keeps mean, min, max, last and count."
        },
        "basis": {"description": "Per bucket the bill wins over the estimate as soon as it is there."},
        "event_id": {
            "description": "Identifies an `add` event or a `gauge` sample and counts once; required for `add`.",
            "maxLength": 1024,
        },
        "drivers": {"description": "The largest parts of the value, largest first. The rest is other."},
        "retagged": {
            "description": "Of all of the value, what came from other values of the same tag; negative where it left. "
            "Goes with drivers only.",
            "minimum": -MAX_ABS_VALUE,
            "maximum": MAX_ABS_VALUE,
        },
    },
    "Driver": {
        "labels": {"description": "FOCUS columns in snake case to their values."},
        "cost": {"description": "Its share of the value, in the unit of the series."},
        "quantity": {"description": "ConsumedQuantity or PricingQuantity behind the cost."},
        "unit": {"description": "Unit of the quantity."},
        "retagged": {
            "description": "So much of the cost came with this bucket from the series of another value of the same "
            "tag, because the resource's tag was changed; negative where it left."
        },
        "retagged_with": {"description": "That other value."},
    },
    "Watermark": {
        "source": {"description": "The part of an origin before the first colon."},
        "complete_until": {
            "description": f"RFC 3339 in UTC with `Z`, in {YEARS}. Everything before it has been delivered.",
            "format": "date-time",
            "pattern": PATTERN,
        },
    },
}

_DEAD_LETTER_HEADERS: Mapping[str, dict[str, Any]] = {
    "reason": {"type": "string", "description": "Why it was put aside: one of a closed set, also a metric's label."},
    "message": {"type": "string", "description": "What was expected, what came, where."},
    "field": {"type": "string", "description": "The column or path at fault; empty or absent for the whole record."},
    "source": {"type": "string", "description": "The connector that read it; absent from what came over a topic."},
    "size": {
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": "Bytes of the whole record, of which a very large one is cut; only for what came over a topic.",
    },
    "source_timestamp_ms": {
        "type": "string",
        "pattern": "^-?[0-9]+$",
        "description": "The record's own timestamp, milliseconds since 1970; only for what came over a topic.",
    },
}


def message_schemas(*types: type[msgspec.Struct]) -> dict[str, dict[str, Any]]:
    """Name -> JSON Schema of a message, each complete in itself (what it refers to stands in its `$defs`)."""
    schemas = {}
    for message in types:
        components = _components(types=(message,), ref_template="#/$defs/{name}")
        own = components.pop(message.__name__)
        head = {"$schema": _DIALECT, "$id": f"{_ID}{_snake(message.__name__)}"}
        schemas[message.__name__] = head | own | ({"$defs": components} if components else {})
    return schemas


def asyncapi(prefix: str = "spendwatch", *others: type[msgspec.Struct]) -> dict[str, Any]:
    """The facts topic and the dead letters for those who write or read them.

    others: further messages, each on the topic `<prefix>.<name>s` (Alert on `<prefix>.alerts`), key and value JSON.
    """
    schemas = _components(types=(Fact, Watermark, *others), ref_template="#/components/schemas/{name}")
    messages = {
        "fact": _message("Fact", "One statement by a source about one bucket of one series.", "The series."),
        "watermark": _message("Watermark", "A source's promise, sent to every partition.", "`~` and the source."),
        "deadLetter": {
            "name": "deadLetter",
            "summary": "A record that could not be used, as it was read. All headers are UTF-8 text.",
            "contentType": "application/octet-stream",
            "headers": {"type": "object", "required": ["reason", "message"], "properties": _DEAD_LETTER_HEADERS},
            "bindings": {
                "kafka": {
                    "key": {
                        "type": "string",
                        "description": "Where it was found: `topic/partition/offset`, or file and line.",
                    }
                }
            },
        },
    }
    channels = {
        "facts": _channel(f"{prefix}.facts", ("fact", "watermark"), "Kept for 7 days, in the order of each key."),
        "deadLetters": _channel(f"{prefix}.dead-letters", ("deadLetter",), "Kept for 30 days, one partition."),
    }
    for other in others:
        name = other.__name__
        messages[name.lower()] = _message(name, _first_line(other), "The id.")
        channels[f"{name.lower()}s"] = _channel(f"{prefix}.{name.lower()}s", (name.lower(),), "Kept for 7 days.")
    operations: dict[str, Any] = {
        "sendFacts": _operation("receive", "facts", "Any producer may write facts; bad ones become dead letters.")
    }
    for channel in channels:
        if channel != "facts":
            operations[f"read{channel[0].upper()}{channel[1:]}"] = _operation("send", channel, "For any consumer.")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Spendwatch topics",
            "version": _VERSION,
            "description": "What goes into Spendwatch over Kafka and what comes out. The partition of a key is that of "
            "Kafka's default murmur2 partitioner.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _components(*, types: tuple[type[msgspec.Struct], ...], ref_template: str) -> dict[str, Any]:
    """Name -> schema of the messages and of all they refer to, in the order of names."""
    _, components = msgspec.json.schema_components(types, ref_template=ref_template)
    for name, schema in components.items():
        fields = _DESCRIPTIONS.get(name, {})
        for field, extra in fields.items():
            schema["properties"][field] |= extra
        text = inspect.cleandoc(schema.get("description", ""))
        # The docstring tells the fields once more below its first paragraph.
        schema["description"] = text.partition("\n\n")[0].replace("\n", " ") if fields else text
    return dict(sorted(components.items()))


def _message(schema: str, summary: str, key: str) -> dict[str, Any]:
    return {
        "name": schema.lower(),
        "summary": summary,
        "payload": {"$ref": f"#/components/schemas/{schema}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
    }


def _channel(address: str, messages: tuple[str, ...], description: str) -> dict[str, Any]:
    references = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {"address": address, "description": description, "messages": references}


def _operation(action: str, channel: str, summary: str) -> dict[str, Any]:
    """action: from the side of Spendwatch, as AsyncAPI 3 counts it."""
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _first_line(message: type[msgspec.Struct]) -> str:
    return (message.__doc__ or message.__name__).strip().partition("\n")[0]


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
