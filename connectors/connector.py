"""What a source of facts looks like to the runner.

Two kinds. A `Connector` is polled and yields deliveries: a file, an export, a bill, each stated in full and restated in
full when it changes. A `ContinuousConnector` has no end that it could restate: it yields batches after a cursor.
Neither talks to Kafka; publishing, retrying, remembering what was acknowledged and retracting what a later
delivery leaves out is the runner's work (connectors/runner.py), the same for all of them.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from connectors.errors import ConnectorError
from connectors.facts import Fact


class BadReason(StrEnum):
    """Why a record could not become facts. Closed: also a metric label and a header of the dead letter."""

    MALFORMED = "malformed"
    """Not of the shape it should have: too many columns, broken JSON, wrong encoding."""
    MISSING = "missing"
    """A field that must be there is absent or null."""
    NOT_A_NUMBER = "not_a_number"
    """Text that is not a number, NaN or infinity."""
    NOT_A_DATE = "not_a_date"
    OUT_OF_RANGE = "out_of_range"
    """Understood, but beyond what is accepted: an amount, a date, a length."""
    UNSUPPORTED = "unsupported"
    """Understood, but nothing that could be judged: an unknown kind of line or charge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRecord:
    """One record that no fact could be made of; it goes to the dead letters and the rest goes on.

    source: the connector's name. place: where a person finds it, `file.csv.gz:17` (line 1 is the header).
    field: the column or path at fault, None when it is the record as a whole. raw: the record as it was read.
    """

    source: str
    place: str
    field: str | None
    reason: BadReason
    message: str
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Everything one origin says, in full: it replaces what the same origin said before.

    origin: `<connector name>:<delivery>`; every fact carries it. revision: a number that rises from delivery to
    delivery and is the same when the same delivery is read again (a file's modification time in milliseconds); the
    runner makes it monotonic. facts: at most one `set` per series and bucket, in a repeatable order.
    complete_until: everything before this instant has been delivered; None when the source cannot say.
    rows: records read, bad ones included. fingerprint: hash of the content; equal means nothing to do.
    """

    origin: str
    revision: int
    facts: tuple[Fact, ...]
    complete_until: str | None
    bad: tuple[BadRecord, ...]
    rows: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """A delivery whose fingerprint is the one that was confirmed before: it was not read again."""

    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A delivery that is not what it claims to be (wrong columns, truncated, binary): nothing of it was used.

    A value and not an exception, so that the deliveries after it are still read.
    """

    origin: str
    path: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactBatch:
    """The next facts of a continuous source.

    cursor: what to hand to `batches` to go on exactly after this batch. watermark: everything before this instant has
    been delivered; None leaves it as it is. rows: records read, bad ones included. refused: inputs that are not what
    they claim to be, told once per pass.
    """

    facts: tuple[Fact, ...]
    watermark: str | None
    cursor: str
    bad: tuple[BadRecord, ...] = ()
    refused: tuple[Refused, ...] = ()
    rows: int = 0


@runtime_checkable
class Connector(Protocol):
    """A source that is polled for deliveries."""

    @property
    def name(self) -> str:
        """The source of its facts: the part of their origin before the first colon."""

    def deliveries(self, known: Mapping[str, str]) -> AsyncIterator[Delivery | Unchanged | Refused]:
        """All that is there now, in a repeatable order.

        known: origin -> fingerprint of what was confirmed; what has not changed is yielded as Unchanged.
        Raises OSError and the like when the source as a whole cannot be reached: the runner tries again later.
        """


@runtime_checkable
class ContinuousConnector(Protocol):
    """A source of events in time. It may end (a recording) or go on for ever."""

    @property
    def name(self) -> str:
        """The source of its facts: the part of their origin before the first colon."""

    def batches(self, cursor: str | None) -> AsyncIterator[FactBatch]:
        """The batches after *cursor*, None from the beginning; the same cursor gives the same facts again.

        Raises CursorError for a cursor that is not one of its own.
        """


class CursorError(ConnectorError):
    """A cursor that this connector did not write, or not with this configuration."""

    def __init__(self, connector: str, cursor: str, expected: str) -> None:
        super().__init__(f"cursor of connector {connector!r} must be {expected}, got {cursor!r}")
        self.connector = connector
        self.cursor = cursor
        self.expected = expected
