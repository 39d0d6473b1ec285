"""The alert store as the rest of the service sees it. SQL behind it: service/store/sql.py."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

from connectors.facts import FeedbackVerdict
from service.core.alerts import Alert, AlertEvent, AlertRecord, AlertState, EventType, Severity
from service.core.board import OURS
from service.core.budget import BudgetState
from service.core.inbound import Heard, Inbound
from service.core.notices import Member
from service.core.silences import Silence, SilenceState
from service.core.spend import SpendStatement
from service.digests.letter import Content
from service.digests.sums import DaySum

MAX_PAGE = 500
"""Largest `limit` of a listing; more is cut to it."""
MAX_PEOPLE = 50
LATELY = 1_000
"""So many events back somebody is remembered for what they did."""
BY_PEOPLE = (
    EventType.ACKNOWLEDGED,
    EventType.ASSIGNED,
    EventType.COMMENTED,
    EventType.FEEDBACK,
    EventType.REOPENED,
    EventType.RESOLVED,
)
"""What people do; some of it detection and receivers do, too."""


class AlertQuery(Struct, frozen=True, kw_only=True):
    """Filters of a listing; what is left out matches everything. Newest activity (highest seq) first.

    labels: all must be equal. cursor: as returned with the page before. text: part of the series or the reason, in
    any case. since: with activity at or after it. limit: 1 to MAX_PAGE.
    unassigned: only what is nobody's task. inhibited_by: only what this alert is told in place of. folded: leave out
    what is told as part of another alert that matches, too.
    """

    states: tuple[AlertState, ...] = ()
    severities: tuple[Severity, ...] = ()
    tenant: str | None = None
    labels: dict[str, str] = {}
    text: str | None = None
    since: datetime | None = None
    assigned_to: str | None = None
    unassigned: bool = False
    inhibited_by: str | None = None
    folded: bool = False
    limit: int = 50
    cursor: str | None = None


class Page(Struct, frozen=True, kw_only=True):
    """next_cursor is None on the last page. total counts all matches, not only this page.

    Paging never shows an alert twice; one with new activity in the meantime has moved to the first page.
    """

    items: tuple[AlertRecord, ...]
    next_cursor: str | None
    total: int


def named_last(owners: Iterable[tuple[int, str]], actors: Iterable[tuple[int, str]]) -> list[str]:
    """Names by the number of the event that named them, the last first. An actor that stands for us, or for a person
    at a receiver (`desk:Dana`), is nobody to be named here."""
    people = [(seq, name) for seq, name in actors if ":" not in name and name.casefold() not in OURS]
    ordered = sorted([*owners, *people], key=lambda pair: (-pair[0], pair[1]))
    return list(dict.fromkeys(name for _, name in ordered))[:MAX_PEOPLE]


class Summary(Struct, frozen=True, kw_only=True):
    """The counts on top of the dashboard. Every state and severity is present, at least with 0.

    states: all alerts. severities: open ones (pending, firing or acknowledged; silenced ones are not counted).
    impact: unit -> sum of the open alerts' impact, in that unit; falls are negative and are left out.
    """

    states: dict[AlertState, int]
    severities: dict[Severity, int]
    impact: dict[str, float]


DeliveryState = Literal["pending", "delivered", "dead", "superseded", "known"]
"""Two are not sent. superseded: a newer message said all that it would have. known: what it says came from there."""


class DeliveryQuery(Struct, frozen=True, kw_only=True):
    """Filters of a listing of messages, newest event first. cursor: as returned with the page before."""

    state: DeliveryState | None = None
    receiver: str | None = None
    limit: int = 50
    cursor: str | None = None


class Letter(Struct, frozen=True, kw_only=True):
    """What is sent and is no alert, on its way: to each of *receivers* once. id: the same for the same digest, time and
    value; of a warning for the same end of a silence.

    digest: its name; None where it is a warning. value: the one that it is about; None for the overview.
    """

    id: str
    digest: str | None
    value: str | None
    due_at: datetime
    content: Content
    receivers: tuple[str, ...] = ()


class DigestState(Struct, frozen=True, kw_only=True):
    """When a digest is due next, and when the last one was that was sent; None before the first."""

    next_due: datetime
    last_due: datetime | None


class DeliveryPage(Struct, frozen=True, kw_only=True):
    """next_cursor is None on the last page."""

    items: "tuple[Delivery | LetterDelivery, ...]"
    next_cursor: str | None


class Delivery(Struct, frozen=True, kw_only=True):
    """One message to one receiver: a row of the outbox.

    id: deterministic (alert, event, receiver); the same in all attempts, and the `webhook-id` of the message.
    attempts: begun so far, counted when the row is claimed. created_at: when it was put into the outbox, or revived.
    remote_id: what the receiver calls it (a ticket number), as far as known. In a claim with `newest_only`, what it
    called the alert before; and *event* may be a newer one than the row's own. members: the alerts that this receiver
    hears of through this one. The type of *event* is what the message is to the receiver.
    """

    id: str
    receiver: str
    event: AlertEvent
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    state: DeliveryState
    last_error: str | None = None
    delivered_at: datetime | None = None
    remote_id: str | None = None
    members: tuple[Member, ...] = ()


class LetterDelivery(Struct, frozen=True, kw_only=True):
    """A letter to one receiver: a row of the outbox as well. The fields are those of Delivery; seq: its place there."""

    id: str
    receiver: str
    letter: Letter
    seq: int
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    state: DeliveryState
    last_error: str | None = None
    delivered_at: datetime | None = None
    remote_id: str | None = None


class AlertNotFoundError(LookupError):
    """No alert has this id."""

    def __init__(self, alert_id: str) -> None:
        super().__init__(f"no alert has the id {alert_id!r}")
        self.alert_id = alert_id


class BadCursorError(ValueError):
    """A page cursor that no page returned."""

    def __init__(self, cursor: str) -> None:
        super().__init__(f"cursor must be one that a page returned, got {cursor[:40]!r}")
        self.cursor = cursor


class AlertStore(Protocol):
    """Alerts, their events and the outbox. Every change is one transaction: row, event and outbox rows together."""

    async def record(self, alerts: Sequence[Alert]) -> list[AlertEvent]:
        """Write what is newer than what is kept, by (id, version); returns the events of what changed.

        Recording the same alerts again, or older versions of them, changes nothing.
        """

    async def get(self, alert_id: str) -> AlertRecord:
        """Raises AlertNotFoundError."""

    async def find(self, query: AlertQuery) -> Page:
        """Raises BadCursorError."""

    async def summary(self, tenant: str | None = None) -> Summary: ...

    async def budgets(self) -> list[BudgetState]:
        """What the alert budgets have held back lately, with its cost."""

    # What people do. actor: who, as the audit trail names them. Every method raises AlertNotFoundError.
    # cascade: the same is done to the alerts that this one is told in place of (`inhibited_by`), with a comment that
    # says so. The event that is returned is the alert's own, and has the highest number of all.

    async def acknowledge(
        self,
        alert_id: str,
        *,
        actor: str,
        comment: str,
        at: datetime,
        until: datetime | None = None,
        cascade: bool = True,
    ) -> AlertEvent | None:
        """until: when it fires again unless it is over by then; None for never.

        None when it was acknowledged until then, or over, already, or *until* is not after *at*.
        """

    async def resolve(
        self, alert_id: str, *, actor: str, comment: str, at: datetime, cascade: bool = True
    ) -> AlertEvent | None:
        """None when it was over already."""

    async def reopen(self, alert_id: str, *, actor: str, comment: str, at: datetime) -> AlertEvent | None:
        """Take back what a person resolved or a plan expected. None when neither did, or detection has ended it."""

    async def assign(
        self, alert_id: str, *, to: str | None, actor: str, comment: str, at: datetime
    ) -> AlertEvent | None:
        """to: whose task it is from now on; None is nobody's. None when it was so already."""

    async def comment(self, alert_id: str, *, actor: str, comment: str, at: datetime) -> AlertEvent | None:
        """Write it down."""

    async def note_feedback(
        self,
        alert_id: str,
        *,
        verdict: FeedbackVerdict,
        actor: str,
        comment: str,
        at: datetime,
        cascade: bool = True,
    ) -> AlertEvent | None:
        """Write down what a person said of an alert; what follows from it comes from detection.

        cascade: as above, those that are open.
        """

    async def expire_acknowledgements(self, now: datetime) -> list[AlertEvent]:
        """What was acknowledged until *now* or earlier, and is still open, fires again."""

    async def inhibited(self, heads: Sequence[str]) -> list[AlertRecord]:
        """The alerts that these are told in place of, largest impact first; without history."""

    async def people(self) -> list[str]:
        """Names to offer where somebody is named: whose task an alert is, and who did something lately.

        Whose was changed last comes first; at most MAX_PEOPLE.
        """

    async def events_of(self, alert_id: str) -> list[AlertEvent]:
        """The audit trail of one alert, oldest first. Raises AlertNotFoundError."""

    async def events_after(self, seq: int, limit: int) -> list[AlertEvent]:
        """What the live stream sends, oldest first. An event is never seen before one of a lower number.

        The records in events carry no `history`: it is for the chart, which asks for the alert itself.
        """

    async def last_seq(self) -> int: ...


class Inbox(Protocol):
    """What comes back from the receivers."""

    async def hear(self, receiver: str, said: Inbound, *, actor: str, at: datetime) -> Heard:
        """What a sender says of an alert, heard once: what it changes, that it was heard, and where the other side
        stands are one transaction. The other receivers are told of it, that one is not.

        actor: who did it, for the audit trail.
        """


class Letters(Protocol):
    """What digests are made of, and where they are put into the outbox."""

    async def record_spend(self, statements: Sequence[SpendStatement]) -> None:
        """Keep the newest statement about each bucket; older and repeated ones change nothing."""

    async def spend_sums(
        self, *, tenant: str, label: str, metric: str, since: datetime, until: datetime
    ) -> list[DaySum]:
        """What each value of a label spent on each UTC day from *since* on, before *until*."""

    async def alerts_since(self, tenant: str, since: datetime) -> list[AlertRecord]:
        """Those that are not over, and those with activity after *since*."""

    async def silences(self, *, at: datetime, state: SilenceState | None = None, limit: int = 500) -> list[Silence]:
        """As SilenceStore has it: those that end soon are told of."""

    async def digest_state(self, name: str, *, schedule: str, first: datetime) -> DigestState:
        """When it is due. *first*, for one that is not known yet, or was known by another *schedule*."""

    async def post(
        self, letters: Sequence[Letter], *, name: str, was: DigestState, becomes: DigestState, at: datetime
    ) -> bool:
        """Put letters into the outbox, and set when the digest is due next, in one transaction.

        False, and nothing is done, when it is not due any more when it *was*: somebody else has sent it.
        """

    async def post_by_hand(self, letters: Sequence[Letter], *, at: datetime) -> None:
        """Put letters into the outbox beside the schedule."""

    async def forget(self, *, spend_before: datetime, letters_before: datetime) -> None:
        """Delete what is older: spend by its day, letters, with their deliveries, by when they were written."""


class Outbox(Protocol):
    """The rows that `deliver` works through. Several deliverers may share it."""

    async def claim(
        self,
        *,
        worker: str,
        now: datetime,
        lease_seconds: float,
        limit: int,
        receiver: str | None = None,
        newest_only: bool = False,
    ) -> list[Delivery]:
        """Take due rows for a while, at most one per (receiver, alert) and always the oldest of it first.

        receiver: only its rows; None takes anybody's. newest_only: as service/store/coalescing.py says; of one
        receiver only.
        """

    async def claim_letters(
        self, *, worker: str, now: datetime, lease_seconds: float, limit: int, receiver: str
    ) -> list[LetterDelivery]:
        """Take letters that are due for a while, oldest first. What becomes of them is marked as of other messages."""

    async def delivered(self, delivery_id: str, *, at: datetime, remote_id: str | None = None) -> None:
        """Whoever delivered it: also a worker whose lease has ended meanwhile."""

    async def retry(
        self,
        delivery_id: str,
        *,
        error: str,
        next_attempt_at: datetime,
        worker: str | None = None,
        remote_id: str | None = None,
    ) -> None:
        """Give the row back. worker: nothing happens when another one holds the lease by now."""

    async def dead(
        self, delivery_id: str, *, error: str, at: datetime, worker: str | None = None, remote_id: str | None = None
    ) -> None:
        """Give the row up. worker: as in `retry`."""

    async def hasten(self, receiver: str, *, at: datetime) -> None:
        """The receiver is back: what waits for a later attempt is due at *at*."""

    async def revive(self, *, at: datetime, receiver: str | None = None, delivery_id: str | None = None) -> int:
        """Make dead rows pending anew, with a deadline that begins at *at*: all, a receiver's, or one.

        Returns how many there were.
        """

    async def deliveries(self, query: DeliveryQuery) -> DeliveryPage:
        """Raises BadCursorError."""

    async def deliveries_of(self, alert_id: str) -> list[Delivery]: ...

    async def counts(self) -> dict[str, dict[str, int]]:
        """receiver -> state -> number of rows."""
