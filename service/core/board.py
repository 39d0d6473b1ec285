"""What the dispatch looks at, and what comes of it: the board before a round, the rules, and the outcome."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from service.core.alerts import Alert, AlertRecord, EventType
from service.core.notices import Notice
from service.core.transitions import DETECTION, TIME

EVERYBODY = ""
"""The receiver that stands for the dashboard; no configured one has an empty name."""
ALL_LABELS = "..."
"""In `group_by`: every label, as in Alertmanager."""
Pair = tuple[str, str]
"""Alert id and receiver."""
DISPATCH = "dispatch"
"""The actor of what is decided here."""
OURS = frozenset({DETECTION, DISPATCH, TIME})
"""Actors that are no people."""


class Destination(Protocol):
    """Where a route leads to; durations as in Alertmanager."""

    @property
    def receiver(self) -> str: ...
    @property
    def route(self) -> str: ...
    @property
    def group_by(self) -> Sequence[str]: ...
    @property
    def group_wait(self) -> timedelta: ...
    @property
    def group_interval(self) -> timedelta: ...
    def muted_until(self, at: datetime) -> datetime | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """destinations: of an alert. silenced_by: ids of the silences that hold. planned: what covers the alert's excess,
    in words; None when nothing does. heads: of alerts, given what was told and who was inhibited by whom, as
    `incidents.heads`; the order of the dimensions is chosen. inhibitors: as `inhibit_rules.inhibitors`, of the user's
    rules. affords: whether the alert budget lets people be told; asked once an alert.
    """

    destinations: Callable[[Alert], Sequence[Destination]]
    silenced_by: Callable[[Alert, datetime], Collection[str]]
    planned: Callable[[Alert], str | None]
    heads: Callable[[Sequence[Alert], Collection[str], Mapping[str, str]], Mapping[str, str]]
    inhibitors: Callable[[Sequence[Alert], Sequence[Alert]], Mapping[str, Sequence[str]]]
    affords: Callable[[Alert], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """records: alerts that are open, and those that are only over because they were planned. notices: what each
    receiver knows of them. waiting: alert id -> since when it waits to be looked at; only those that are due.
    lingering: what is over, and what it stood for may still come in; their notices are among the others.
    heard_since: what was over before then, and nobody has heard of, is old news; None: nothing is.
    """

    records: Mapping[str, AlertRecord]
    notices: Mapping[Pair, Notice]
    waiting: Mapping[str, datetime]
    lingering: Mapping[str, AlertRecord] = field(default_factory=dict)
    heard_since: datetime | None = None


class Change(NamedTuple):
    """An event to be written down, and what it makes of the alert."""

    kind: EventType
    record: AlertRecord
    comment: str = ""


class Tell(NamedTuple):
    """A message to a receiver. kind: what it is to the receiver. members: ids of the alerts told of with it."""

    alert_id: str
    receiver: str
    kind: EventType
    members: tuple[str, ...] = ()


class Join(NamedTuple):
    """The receiver hears of *alert_id* through the message of *lead*."""

    alert_id: str
    receiver: str
    lead: str


@dataclass(slots=True)
class Outcome:
    """changes come first, in their order, then joins, tells and ends. ends: what was over before anybody was told.
    again: when to look at an alert once more; of the others that were due nothing is left to do.
    """

    changes: list[Change] = field(default_factory=list)
    tells: list[Tell] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)
    ends: list[AlertRecord] = field(default_factory=list)
    again: dict[str, datetime] = field(default_factory=dict)
