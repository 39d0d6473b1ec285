"""Bodies of HTTP requests -> facts: single, batched, one a line, or wrapped in CloudEvents. Pure.

Accepted: one fact object; a JSON array; `{"facts": [...]}`; NDJSON; CloudEvents 1.0 of type `dev.spendwatch.fact` as
structured event, as batch and in binary mode (`ce-` headers). An event's source and id become origin and event_id where
the fact does not name its own. What is wrong is told item by item with its place; the others are taken.
On the wire instants are in UTC; of HTTP clients, whose libraries write `+00:00` or a local offset, those are taken too
and rewritten.

Sources: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md,
https://github.com/ndjson/ndjson-spec.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TypeVar
from urllib.parse import unquote

import msgspec

from connectors.facts import MAX_ABS_VALUE, MAX_TEXT, Fact, Fold, Text, format_instant
from connectors.instants import InstantError, parse_instant
from connectors.series import SeriesKey, SeriesKeyError

EVENT_TYPE = "dev.spendwatch.fact"
_EVENT = "application/cloudevents+json"
_EVENT_BATCH = "application/cloudevents-batch+json"
_NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
_PATH = re.compile(r"^(?P<message>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_WITH_OFFSET = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?[+-]\d\d:\d\d", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """rejected: (index, path, message). index: place in the batch, or number of the line, from 0; path: the field at
    fault, empty for the item as a whole."""

    facts: list[Fact] = field(default_factory=list)
    rejected: list[tuple[int, str, str]] = field(default_factory=list)


class _ItemError(ValueError):
    """An item that is no fact. path: the field at fault."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent in structured mode; extension attributes are ignored."""

    specversion: str
    type: str
    source: str
    id: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Draft(Fact, frozen=True, kw_only=True):
    """A fact whose origin may come from the event around it."""

    origin: Text = ""


_T = TypeVar("_T")
_Read = Callable[[bytes | msgspec.Raw], Fact]

_fact_decoder = msgspec.json.Decoder(Fact)
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_event_decoder = msgspec.json.Decoder(_Event)
_draft_decoder = msgspec.json.Decoder(_Draft)


def parse(body: bytes, content_type: str, headers: Mapping[str, str]) -> Parsed:
    """Take what is good of a body. Never raises on its content.

    headers: of the request, names in any case; only `ce-` ones are looked at. The caller has bounded the size.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in _NDJSON:
        return _collect(_lines(body), _fact_of)
    if media_type == _EVENT_BATCH:
        return _from_items(body, _fact_of_event)
    if media_type == _EVENT:
        return _collect([(0, body)], _fact_of_event)
    given = {name.lower(): value for name, value in headers.items()}
    if "ce-specversion" in given:
        return _collect([(0, body)], lambda item: _fact_in_binary_mode(item, given))
    return _from_items(body, _fact_of)


def validate(fact: Fact) -> tuple[str, str] | None:
    """(field, what is wrong) of a decoded fact that would be rejected downstream; None when it is sound.

    The decoder has checked what facts.py declares: types, lengths, and the range of the revision.
    """
    try:
        _check_series(fact.series)
    except SeriesKeyError as error:
        return "series", str(error)
    if (wrong := _wrong_instant(fact.charge_period_start)) is not None:
        return "charge_period_start", wrong
    if not math.isfinite(fact.value) or abs(fact.value) > MAX_ABS_VALUE:
        return "value", f"expected a finite number within +-{MAX_ABS_VALUE:.0e}, got {fact.value}"
    if not fact.origin.partition(":")[0]:
        return "origin", f"expected `<source>:<delivery>`, got {fact.origin[:80]!r}"
    if fact.fold is Fold.ADD and not fact.event_id:
        return "event_id", "an `add` fact needs an event_id, got none"
    for index, driver in enumerate(fact.drivers):
        if not math.isfinite(driver.cost) or abs(driver.cost) > MAX_ABS_VALUE:
            return f"drivers[{index}].cost", f"expected a finite number within +-{MAX_ABS_VALUE:.0e}, got {driver.cost}"
    return None


def _collect(items: Iterable[tuple[int, bytes | msgspec.Raw]], read: _Read) -> Parsed:
    parsed = Parsed()
    for index, item in items:
        try:
            fact = _in_utc(read(item))
        except _ItemError as error:
            parsed.rejected.append((index, error.path, str(error)))
            continue
        if (wrong := validate(fact)) is None:
            parsed.facts.append(fact)
        else:
            parsed.rejected.append((index, *wrong))
    return parsed


def _from_items(body: bytes, read: _Read) -> Parsed:
    """A JSON array, an object with `facts`, or one item."""
    try:
        if body.lstrip()[:1] == b"[":
            items = _decode(_list_decoder, body)
            return _collect(enumerate(items), read)
        if body.lstrip()[:1] == b"{" and (facts := _decode(_object_decoder, body).get("facts")) is not None:
            items = _decode(_list_decoder, facts, below="facts")
            return _collect(enumerate(items), read)
    except _ItemError as error:
        return Parsed(rejected=[(0, error.path, str(error))])
    return _collect([(0, body)], read)


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    return ((index, line) for index, line in enumerate(body.split(b"\n")) if line.strip())


def _fact_of(item: bytes | msgspec.Raw) -> Fact:
    return _decode(_fact_decoder, item)


def _fact_of_event(item: bytes | msgspec.Raw) -> Fact:
    event = _decode(_event_decoder, item)
    if event.specversion != "1.0":
        raise _ItemError("specversion", f"expected '1.0', got {event.specversion!r}")
    if event.type != EVENT_TYPE:
        raise _ItemError("type", f"expected {EVENT_TYPE!r}, got {event.type!r}")
    return _fact_in_event(event.data, event.source, event.id, below="data")


def _fact_in_binary_mode(body: bytes | msgspec.Raw, headers: Mapping[str, str]) -> Fact:
    if headers["ce-specversion"] != "1.0":
        raise _ItemError("ce-specversion", f"expected '1.0', got {headers['ce-specversion']!r}")
    for name in ("ce-type", "ce-source", "ce-id"):
        if not headers.get(name):
            raise _ItemError(name, "expected the header of an event in binary mode, got none")
    if headers["ce-type"] != EVENT_TYPE:
        raise _ItemError("ce-type", f"expected {EVENT_TYPE!r}, got {headers['ce-type']!r}")
    return _fact_in_event(body, unquote(headers["ce-source"]), unquote(headers["ce-id"]), below="")


def _fact_in_event(data: bytes | msgspec.Raw, source: str, event_id: str, *, below: str) -> Fact:
    """The fact of an event. CloudEvents tells events apart by source and id together, so both make the event_id."""
    if not source or not event_id:
        raise _ItemError("id" if source else "source", "expected a text that is not empty")
    draft = _decode(_draft_decoder, data, below=below)
    # The part of an origin before the first colon is its source; a URI has colons of its own.
    origin = draft.origin or f"{source.replace(':', '%3A')}:events"
    identity = draft.event_id or f"{source}#{event_id}"
    for name, text in (("source", origin), ("id", identity)):
        if len(text) > MAX_TEXT:
            raise _ItemError(
                name, f"expected source and id to make texts of at most {MAX_TEXT} characters, got {len(text)}"
            )
    return Fact(
        series=draft.series,
        charge_period_start=draft.charge_period_start,
        value=draft.value,
        origin=origin,
        revision=draft.revision,
        fold=draft.fold,
        basis=draft.basis,
        event_id=identity,
        drivers=draft.drivers,
    )


def _decode(decoder: msgspec.json.Decoder[_T], data: bytes | msgspec.Raw, *, below: str = "") -> _T:
    """Raises _ItemError with the field at fault, under *below*."""
    try:
        return decoder.decode(bytes(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        found = _PATH.match(str(error))
        path = (found and found["path"]) or ""
        raise _ItemError(f"{below}{path}".removeprefix("."), found["message"] if found else str(error)) from None


@lru_cache(maxsize=65536)
def _check_series(text: str) -> None:
    SeriesKey.parse(text)


@lru_cache(maxsize=65536)
def _wrong_instant(text: str) -> str | None:
    try:
        parse_instant(text)
    except InstantError as error:
        return str(error)
    return None


def _in_utc(fact: Fact) -> Fact:
    """The fact with an instant of another offset rewritten; the rest is for `validate` to refuse."""
    start = _utc_of(fact.charge_period_start)
    return fact if start is None else msgspec.structs.replace(fact, charge_period_start=start)


@lru_cache(maxsize=65536)
def _utc_of(text: str) -> str | None:
    if not _WITH_OFFSET.fullmatch(text):
        return None
    try:
        return format_instant(datetime.fromisoformat(text))
    except (ValueError, OverflowError):  # 30 February, an offset of 99 hours, the first hours of the year 1
        return None
