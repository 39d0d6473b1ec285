"""Alerts as the templates want them: pure functions from records to what a page shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from litestar.datastructures import MultiDict

from service.core.alerts import COUNTED, Alert, AlertRecord, AlertState, DriverChange, Point, Severity
from service.core.wording import amount, driver_labels, driver_name, driver_reason, is_rest, label_name, number, whose
from service.store.store import AlertQuery, Summary
from service.web.errors import ProblemError
from service.web.filters import parse_labels
from service.web.format import bucket
from service.web.sparkline import Sparkline, sparkline

SHOWS = {
    "open": ("Open", COUNTED),
    **{state.value: (state.value.capitalize(), (state,)) for state in AlertState},
    "all": ("All", ()),
}
"""What the list can show: name in the address -> text and states."""
PAGE_SIZE = 50
NOBODY, TO = "nobody", "to:"
"""Whose task the listed alerts are; people may be called anything, `nobody` as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListView:
    """The list's filters as they stand in the form. mistake: what in the address could not be used.

    assignee: empty, NOBODY, or a name after TO.
    """

    show: str
    severities: tuple[str, ...]
    assignee: str
    label: str
    text: str
    tenant: str
    cursor: str
    query: AlertQuery
    mistake: str
    seq: int

    @classmethod
    def read(cls, params: MultiDict[str], *, seq: int) -> "ListView":
        """Never raises: an address that somebody mistyped still shows a list, and says what is wrong with it."""
        show = params.get("show") or "open"
        mistakes = []
        if show not in SHOWS:
            mistakes.append(f"show must be one of {', '.join(SHOWS)}, got {show!r}")
            show = "open"
        known = {severity.value for severity in Severity}
        severities = tuple(value for value in params.getall("severity", []) if value in known)
        label = (params.get("label") or "").strip()
        labels: dict[str, str] = {}
        if label:
            try:
                labels = parse_labels(label.split(","))
            except ProblemError as error:
                mistakes.append(error.detail.removeprefix("query "))
        assignee = params.get("assignee") or ""
        if assignee and assignee != NOBODY and not assignee.startswith(TO):
            mistakes.append(f"assignee must be nobody, or to: and a name, got {assignee!r}")
            assignee = ""
        text = (params.get("text") or "").strip()[:200]
        tenant = params.get("tenant") or ""
        cursor = params.get("cursor") or ""
        query = AlertQuery(
            states=SHOWS[show][1],
            severities=tuple(Severity(value) for value in severities),
            labels={key.strip(): value.strip() for key, value in labels.items()},
            assigned_to=assignee.removeprefix(TO) if assignee.startswith(TO) else None,
            unassigned=assignee == NOBODY,
            text=text or None,
            tenant=tenant or None,
            folded=True,
            limit=PAGE_SIZE,
            cursor=cursor or None,
        )
        return cls(
            show=show,
            severities=severities,
            assignee=assignee,
            label=label,
            text=text,
            tenant=tenant,
            cursor=cursor,
            query=query,
            mistake="; ".join(mistakes),
            seq=seq,
        )

    @property
    def filtered(self) -> bool:
        """Whether an empty list may be the filters' doing; `open` alone is not a filter."""
        return bool(self.severities or self.assignee or self.label or self.text or self.tenant) or self.show != "open"

    @property
    def show_text(self) -> str:
        return "" if self.show == "all" else SHOWS[self.show][0].lower()

    def assignees(self, people: Sequence[str]) -> list[tuple[str, str]]:
        """What can be chosen, as value and text; also somebody whom nobody else knows any more."""
        chosen = [self.query.assigned_to] if self.query.assigned_to not in (None, *people) else []
        return [(f"{TO}{name}", name) for name in (*chosen, *people) if name is not None]

    @property
    def first_url(self) -> str:
        return self.url()

    def url(self, *, cursor: str | None = None) -> str:
        """Address of this list, from its newest alert or after *cursor*."""
        pairs = [("show", self.show), *(("severity", value) for value in self.severities)]
        optional = (
            ("assignee", self.assignee),
            ("label", self.label),
            ("text", self.text),
            ("tenant", self.tenant),
            ("cursor", cursor or ""),
        )
        return "/?" + urlencode(pairs + [(name, value) for name, value in optional if value])


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the list. age: since the start, while it is open. by: who acknowledged or resolved it.

    owner: whose task it is; empty for nobody's.
    """

    alert: Alert
    state: AlertState
    seq: int
    dimension: str
    value: str
    age: timedelta
    by: str
    owner: str
    chart: Sparkline | None


def row(record: AlertRecord, now: datetime) -> Row:
    dimension, value = who(record.alert)
    return Row(
        alert=record.alert,
        state=record.state,
        seq=record.seq,
        dimension=dimension,
        value=value,
        age=age(record, now),
        by=_by(record),
        owner=record.assigned_to or "",
        chart=sparkline(record.alert.history),
    )


def who(alert: Alert) -> tuple[str, str]:
    """Dimension as a heading, and value: ("service", "Amazon EC2")."""
    name, value = whose(alert.series)
    return label_name(name), value


def age(record: AlertRecord, now: datetime) -> timedelta:
    """From the first bucket's start to the end of the episode, or to now. Never negative: a replay may lie ahead."""
    end = record.alert.ends_at or now
    return max(end - record.alert.starts_at, timedelta())


def _by(record: AlertRecord) -> str:
    match record.state:
        case AlertState.ACKNOWLEDGED:
            return record.acknowledged_by or ""
        case AlertState.RESOLVED | AlertState.EXPECTED:
            return record.resolved_by or ""
        case _:
            return ""


def stakes(summary: Summary) -> list[tuple[str, float]]:
    """Units with money at stake, largest amount first."""
    return sorted(
        ((unit, value) for unit, value in summary.impact.items() if value), key=lambda pair: pair[1], reverse=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverRow:
    """name: all of it as one text. labels: name and value, readable. reason: why it costs another amount.

    share: length of its bar, 0 to 100, against the largest change.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    reason: str
    other: bool
    before: float
    now: float
    change: float
    share: float


def driver_rows(drivers: Sequence[DriverChange]) -> list[DriverRow]:
    largest = max((abs(driver.change) for driver in drivers), default=0.0) or 1.0
    return [
        DriverRow(
            name=driver_name(driver.labels),
            labels=tuple((label_name(name), text) for name, text in driver_labels(driver.labels)),
            reason=driver_reason(driver),
            other=is_rest(driver.labels),
            before=driver.before,
            now=driver.now,
            change=driver.change,
            share=round(abs(driver.change) / largest * 100, 1),
        )
        for driver in drivers
    ]


def chart_data(alert: Alert) -> dict[str, object]:
    """The columns uPlot draws: times in Unix seconds, gaps as null; readings say each point in words."""

    def column(read: str) -> list[float | None]:
        return [getattr(point, read) for point in alert.history]

    return {
        "at": [point.at.timestamp() for point in alert.history],
        "actual": column("actual"),
        "expected": column("expected"),
        "lower": column("lower"),
        "upper": column("upper"),
        "abnormal": [_abnormal(point) for point in alert.history],
        "readings": [_reading(point, alert) for point in alert.history],
    }


def _abnormal(point: Point) -> float | None:
    return point.actual if point.abnormal else None


def _reading(point: Point, alert: Alert) -> str:
    parts = [bucket(point.at, alert.grain), f"actual {amount(point.actual, alert.unit)}"]
    if point.expected is not None:
        parts.append(f"expected {amount(point.expected, alert.unit)}")
    if point.lower is not None and point.upper is not None:
        parts[-1] += f" ({number(point.lower, alert.unit)} to {number(point.upper, alert.unit)})"
    if point.abnormal:
        parts.append("abnormal")
    return " · ".join(parts)
