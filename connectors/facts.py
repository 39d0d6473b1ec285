"""What a source says about one bucket of one series: the messages on the facts topic.

The money and time words are those of FOCUS 1.2 (https://focus.finops.org/focus-specification/).
A fact is one JSON object; its Kafka key is its series, so that all facts of a series meet in one partition.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

MAX_ABS_VALUE = 1e12
"""Larger amounts are refused: within this bound sums stay exact (nano-units in integers)."""
MAX_TEXT = 1024
"""Characters of an origin, an event id or a driver's label: what is kept of a series has to stay small."""
MAX_DRIVERS = 20
MAX_LABELS = 8
"""Of one driver."""

Text = Annotated[str, Meta(max_length=MAX_TEXT)]


class Fold(StrEnum):
    """How a fact joins what is already known of its bucket."""

    SET = "set"
    """Replaces what the same origin said about this bucket, unless that was a later revision."""
    ADD = "add"
    """One more event; `event_id` counts once."""
    GAUGE = "gauge"
    """One sample of a level: the bucket keeps mean, min, max, last and count; its value is the mean."""


class Basis(StrEnum):
    """Where an amount comes from. Per bucket the bill wins over the estimate as soon as it is there."""

    ESTIMATED = "estimated"
    BILLED = "billed"


class Driver(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part of a fact's value: what it was spent on.

    labels: FOCUS columns in snake case to their values, e.g. {"service_name": "Amazon EC2", "resource_id": "i-1"}.
    cost: its share, in the unit of the series. The drivers of a fact need not add up to it: the rest is "other".
    quantity: `ConsumedQuantity` or `PricingQuantity` behind the cost, where the source tells it.
    retagged: so much of the cost came with this bucket from the series of another value of the same tag, because the
        resource's tag was changed; negative where it left. retagged_with: that other value.
    """

    labels: Annotated[dict[Text, Text], Meta(max_length=MAX_LABELS)]
    cost: float
    quantity: float | None = None
    unit: Text | None = None
    retagged: float | None = None
    retagged_with: Text | None = None


class Fact(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One statement by a source: "team=search cost 12.40 USD on 2024-09-18, says CUR export 7".

    series: canonical text of the SeriesKey; equal to the Kafka key.
    charge_period_start: RFC 3339 in UTC with `Z`, e.g. `2024-09-18T00:00:00Z` (connectors/instants.py). Any instant
        within the bucket.
    value: in the unit of the series; finite, within +-MAX_ABS_VALUE, resolved to 1e-9; negative for credits.
    origin: who says it: `<source>:<delivery>`, e.g. `focus-prod:2024-09`. The part before the first colon is the
        source, which watermarks are kept for.
    revision: later deliveries of one origin carry a higher number; only `set` looks at it.
    event_id: identifies an `add` event or a `gauge` sample; required for `add`.
    drivers: the largest parts of the value, largest first.
    retagged: of all of the value, what came from other values of the same tag (see Driver); negative where it left.
        Goes with drivers only.
    """

    series: str
    charge_period_start: str
    value: float
    origin: Text
    revision: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    fold: Fold = Fold.SET
    basis: Basis = Basis.BILLED
    event_id: Text = ""
    drivers: Annotated[tuple[Driver, ...], Meta(max_length=MAX_DRIVERS)] = ()
    retagged: float = 0.0


class FeedbackVerdict(StrEnum):
    """What a person says of an alert."""

    EXPECTED = "expected"
    """Right, and meant: nobody needs to hear more of this episode, and nothing is learned from it."""
    FALSE_ALARM = "false_alarm"
    """Not worth an alert: its periods are learned, and no deviation as small as this one is an alert of the series."""
    NEW_NORMAL = "new_normal"
    """The level from here on."""


class Feedback(Struct, frozen=True, kw_only=True, tag_field="message", tag="feedback"):
    """What a person said of an alert, on its way to the engine: on the facts topic, under the key of the series.

    kind: of the alert. starts_at: start of its first bucket; with series and kind its identity. through: start of the
    last bucket that the person has seen. deviation: |actual - expected| of its worst bucket, in the unit of the series.
    revision: of several about one alert the highest counts; milliseconds since 1970.
    """

    series: Text
    kind: Text
    starts_at: str
    through: str
    verdict: FeedbackVerdict
    deviation: float
    revision: Annotated[int, Meta(ge=0, le=2**63 - 1)]


FEEDBACK_MARK = b'{"message":"feedback",'
"""What feedback begins with on the wire; no fact does."""


class Watermark(Struct, frozen=True, kw_only=True):
    """A source's promise: everything before `complete_until` has been delivered.

    Sent to every partition of the facts topic, so that buckets of quiet series close as well. It does not end
    anything: a later fact about an older bucket is a restatement like any other.
    """

    source: Text
    complete_until: str


WATERMARK_KEY_PREFIX = b"~"
"""Kafka keys that begin with this carry a Watermark instead of a Fact; no tenant begins with it."""

_encoder = msgspec.json.Encoder()
_fact_decoder = msgspec.json.Decoder(Fact)


def encode(message: Fact | Watermark | Feedback) -> bytes:
    return _encoder.encode(message)


def decode_fact(data: bytes) -> Fact:
    """Raises msgspec.DecodeError (of which ValidationError names the place) for anything else."""
    return _fact_decoder.decode(data)


def key_of(message: Fact | Watermark | Feedback) -> bytes:
    """The Kafka key that goes with a message."""
    if isinstance(message, Fact | Feedback):
        return message.series.encode()
    return WATERMARK_KEY_PREFIX + message.source.encode()


def format_instant(at: datetime) -> str:
    """An aware datetime as facts carry it. Raises ValueError for a naive one."""
    if at.tzinfo is None:
        raise ValueError(f"an instant needs a time zone, got {at.isoformat()}")
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
