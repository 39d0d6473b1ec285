"""The OpenAPI document in the order and words a person reads it in."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

JsonObject = dict[str, object]
"""A part of the document, as decoded JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRow:
    name: str
    place: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyRow:
    media_type: str
    description: str
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    status: str
    description: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationView:
    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[ParameterRow, ...]
    bodies: tuple[BodyRow, ...]
    answers: tuple[AnswerRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaView:
    name: str
    text: str


def operations(document: JsonObject) -> list[OperationView]:
    return [
        _operation(method, path, _object(operation))
        for path, item in sorted(_object(document.get("paths")).items())
        for method, operation in _object(item).items()
        if method in ("get", "post", "put", "delete", "patch")
    ]


def schemas(document: JsonObject) -> list[SchemaView]:
    found = _object(_object(document.get("components")).get("schemas"))
    return [SchemaView(name=name, text=_fields(_object(schema))) for name, schema in sorted(found.items())]


def _operation(method: str, path: str, operation: JsonObject) -> OperationView:
    return OperationView(
        id=str(operation.get("operationId", f"{method}-{path}")),
        method=method.upper(),
        path=path,
        summary=str(operation.get("summary", "")),
        description=" ".join(str(operation.get("description", "")).split()),
        parameters=tuple(
            ParameterRow(
                name=str(parameter["name"]),
                place=str(parameter["in"]),
                type=_type(_object(parameter.get("schema"))),
                required=bool(parameter.get("required")),
                description=str(parameter.get("description", "")),
            )
            for parameter in _objects(operation.get("parameters"))
        ),
        bodies=tuple(_bodies(_object(operation.get("requestBody")))),
        answers=tuple(
            AnswerRow(status=status, description=str(answer.get("description", "")), type=_answer_type(answer))
            for status, answer in sorted(
                (status, _object(answer)) for status, answer in _object(operation.get("responses")).items()
            )
        ),
    )


def _bodies(body: JsonObject) -> Iterator[BodyRow]:
    for media_type, content in _object(body.get("content")).items():
        schema = _object(_object(content).get("schema"))
        yield BodyRow(
            media_type=media_type,
            description=str(schema.get("description") or _type(schema)),
            example=_example(_object(_object(content).get("examples"))),
        )


def _example(examples: JsonObject) -> str:
    value = next((_object(example).get("value") for example in examples.values()), None)
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _answer_type(answer: JsonObject) -> str:
    content = _object(answer.get("content"))
    return ", ".join(_type(_object(_object(entry).get("schema"))) for entry in content.values())


def _fields(schema: JsonObject) -> str:
    if "enum" in schema:
        return _type(schema)
    fields = _object(schema.get("properties"))
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    return (
        "{ "
        + ", ".join(f"{name}{'' if name in names else '?'}: {_type(_object(f))}" for name, f in fields.items())
        + " }"
    )


def _type(schema: JsonObject) -> str:
    """A schema in one line: `string`, `array of Severity`, `Alert or null`."""
    if reference := schema.get("$ref"):
        return str(reference).rpartition("/")[2]
    if choices := _objects(schema.get("oneOf")) or _objects(schema.get("anyOf")):
        return " or ".join(dict.fromkeys(_type(choice) for choice in choices))
    if isinstance(values := schema.get("enum"), list):
        return " | ".join(str(value) for value in values)
    kind = schema.get("type", "any")
    if kind == "array":
        return f"array of {_type(_object(schema.get('items')))}"
    if kind == "object" and "additionalProperties" in schema:
        return f"object of {_type(_object(schema['additionalProperties']))}"
    if isinstance(kind, list):
        return " or ".join(str(one) for one in kind)
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[JsonObject]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
