import json

import jsonschema
import msgspec
import pytest

from connectors.facts import Driver, Fact, Fold, Watermark, encode
from connectors.schema import asyncapi, message_schemas
from tests.builders import make_fact

GOOD = make_fact()


class Receipt(msgspec.Struct):
    """What a test hands in.

    seen: how often.
    """

    seen: int
    driver: Driver | None = None


def test_a_fact_on_the_wire_fits_its_schema() -> None:
    schema = message_schemas(Fact)["Fact"]
    drivers = (Driver(labels={"service_name": "Amazon EC2"}, cost=3.0),)
    for fact in (GOOD, msgspec.structs.replace(GOOD, fold=Fold.ADD, event_id="e", drivers=drivers)):
        jsonschema.validate(json.loads(encode(fact)), schema)


@pytest.mark.parametrize(
    "changes",
    [
        {"value": "1"},
        {"value": 1e13},
        {"charge_period_start": "2024-09-18"},
        {"charge_period_start": "2024-09-18T00:00:00+02:00"},
        {"charge_period_start": "2100-01-01T00:00:00Z"},
        {"fold": "other"},
        {"revision": -1},
    ],
    ids=str,
)
def test_the_schema_refuses_what_we_refuse(changes: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(encode(GOOD)) | changes, message_schemas(Fact)["Fact"])


def test_a_watermark_on_the_wire_fits_its_schema() -> None:
    watermark = Watermark(source="bills", complete_until="2024-10-01T00:00:00Z")
    jsonschema.validate(json.loads(encode(watermark)), message_schemas(Watermark)["Watermark"])


def test_every_field_is_described() -> None:
    for schema in message_schemas(Fact, Watermark).values():
        for part in (schema, *(part for part in schema.get("$defs", {}).values() if "properties" in part)):
            assert all("description" in field for field in part["properties"].values()), part["title"]


def test_any_message_has_a_schema_complete_in_itself() -> None:
    schema = message_schemas(Receipt)["Receipt"]
    assert schema["$id"] == "urn:spendwatch:schema:receipt"
    assert schema["description"].endswith("seen: how often.")
    jsonschema.validate({"seen": 1, "driver": {"labels": {}, "cost": 1.5}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"seen": 1, "driver": {"labels": {}}}, schema)


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi("acme", Receipt)
    references = [part for part in _walk(document) if isinstance(part, dict) and "$ref" in part]
    assert references
    for part in references:
        target: object = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            assert isinstance(target, dict)
            target = target[step]
    assert {channel["address"] for channel in document["channels"].values()} == {
        "acme.facts",
        "acme.dead-letters",
        "acme.receipts",
    }


def _walk(part: object) -> list[object]:
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [part, *(found for value in inner for found in _walk(value))]
