"""What others build against: changing it is a deliberate edit. Write it anew with
`python -m service.schemas docs/schemas`."""

import json
from pathlib import Path
from typing import NamedTuple

import jsonschema
import msgspec
import pytest

from service.errors import ConfigError
from service.schemas import documents, main, print_schema, topics
from service.settings import Kafka
from service.stream.batch import TopicPartition
from service.stream.dead_letters import DeadLetter
from service.stream.topics import Topics
from tests.builders import make_alert


class Consumed(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.mark.parametrize("name", documents())
def test_the_published_document_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == documents()[name], (
        "run python -m service.schemas docs/schemas"
    )


def test_no_document_is_published_that_nobody_writes() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*documents(), "openapi.json"}


@pytest.mark.parametrize("name", ["fact", "watermark", "alert", "spend", "digest"])
def test_the_schema_of_a_message_is_one(name: str) -> None:
    schema = json.loads(print_schema(name))
    ids = {"spend": "spend_statement", "digest": "digest_message"}
    assert schema["$id"] == f"urn:spendwatch:schema:{ids.get(name, name)}"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_an_alert_on_the_wire_fits_its_schema() -> None:
    jsonschema.validate(json.loads(msgspec.json.encode(make_alert())), json.loads(print_schema("alert")))


def test_an_unknown_schema_is_refused() -> None:
    with pytest.raises(
        ConfigError,
        match="schema must be one of fact, watermark, alert, spend, anomaly, digest, expiry, asyncapi, config,"
        " got 'bill'",
    ):
        print_schema("bill")


def test_every_topic_is_in_the_asyncapi_document() -> None:
    names = Topics.of(Kafka(topic_prefix="acme"))
    addresses = {channel["address"] for channel in topics("acme")["channels"].values()}
    assert addresses == {names.facts, names.alerts, names.spend, names.state, names.dead_letters}


def test_alerts_are_read_with_their_schema() -> None:
    document = topics()
    assert document["channels"]["alerts"]["messages"] == {"alert": {"$ref": "#/components/messages/alert"}}
    assert document["components"]["messages"]["alert"]["payload"] == {"$ref": "#/components/schemas/Alert"}
    assert (
        document["channels"]["state"]["messages"]["snapshot"]["$ref"].rpartition("/")[2]
        in (document["components"]["messages"])
    )
    assert "readAlerts" in document["operations"]
    assert not [name for name in document["operations"] if "tate" in name], "nobody is invited to the state topic"


def test_every_header_of_a_dead_letter_is_described() -> None:
    described = topics()["components"]["messages"]["deadLetter"]["headers"]
    record = Consumed(offset=1, timestamp=1_726_617_600_000, key=b"k", value=b"{")
    letter = DeadLetter.of(TopicPartition("acme.facts", 0), record, reason="undecodable", field="value", message="m")
    sent = {name: text.decode() for name, text in letter.headers}
    jsonschema.validate(sent, described | {"additionalProperties": False})
    of_connectors = {"source"}
    assert set(described["properties"]) == {*sent, *of_connectors}


def test_the_documents_are_written_where_asked(tmp_path: Path) -> None:
    main(tmp_path / "schemas")
    assert {path.name for path in (tmp_path / "schemas").iterdir()} == set(documents())
