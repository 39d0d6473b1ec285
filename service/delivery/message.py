"""What an alert's event says to people: the same words for every receiver that has none of its own. Pure.

Plain text, cleaned; tag values stand in it as they came, so each receiver escapes it for its markup.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from connectors.facts import FeedbackVerdict, format_instant
from service.core.alerts import Alert, AlertEvent, AlertKind, AlertRecord, AlertState, DriverChange, EventType, Severity
from service.core.board import DISPATCH
from service.core.markers import marker_of
from service.core.notices import Member
from service.core.wording import amount, driver_name, label_name, number, who, whose
from service.delivery.payload import alert_link
from service.delivery.texts import clean, cut, one_line

SHOWN_DRIVERS = 5
_RESOURCE = "resource_id"
_TITLE = 200
_LINE = 500
_TEXT = 2000
_HAPPENED = {
    EventType.PENDING: "Pending, nobody told yet",
    EventType.OPENED: "Opened",
    EventType.UPDATED: "Updated",
    EventType.ACKNOWLEDGED: "Acknowledged",
    EventType.ACK_EXPIRED: "No longer acknowledged, its time is over",
    EventType.ASSIGNED: "Assigned",
    EventType.COMMENTED: "Commented",
    EventType.SILENCED: "Silenced",
    EventType.UNSILENCED: "Unsilenced",
    EventType.INHIBITED: "Inhibited by another alert",
    EventType.RESOLVED: "Resolved",
    EventType.EXPECTED: "Over, as expected",
    EventType.WITHDRAWN: "Withdrawn, the bill was restated",
    EventType.REOPENED: "Reopened, it is back",
    EventType.FEEDBACK: "Feedback",
}
_OF_DETECTION = (EventType.PENDING, EventType.OPENED, EventType.UPDATED, EventType.ACK_EXPIRED)
"""Goes without saying who did it."""


class Message(Struct, frozen=True, kw_only=True):
    """title: one line. facts: name and value. news: what happened and who did it. text: the user's own words, in the
    receiver's markup, in place of reason, facts, drivers and action; None for ours. marker: finds the ticket again."""

    alert_id: str
    marker: str
    event: EventType
    state: AlertState
    severity: Severity
    title: str
    news: str
    reason: str
    facts: tuple[tuple[str, str], ...]
    drivers: tuple[str, ...]
    action: str
    link: str | None
    text: str | None = None

    @property
    def is_over(self) -> bool:
        return self.state.is_over

    @property
    def is_first(self) -> bool:
        return self.event is EventType.OPENED

    def lines(self) -> list[str]:
        """As plain text, the most important first; without the title."""
        if self.text is not None:
            return self.text.split("\n")
        lines = [self.reason, ""] if self.reason else []
        lines += [f"{name}: {value}" for name, value in self.facts]
        if self.drivers:
            lines += ["", "What changed:", *(f"- {driver}" for driver in self.drivers)]
        if self.action:
            lines += ["", f"What to do: {self.action}"]
        if self.link is not None:
            lines += ["", f"Details: {self.link}"]
        return lines


def message_of(event: AlertEvent, public_url: str | None, members: Sequence[Member] = ()) -> Message:
    alert, state = event.record.alert, event.record.state
    return Message(
        alert_id=alert.id,
        marker=marker_of(alert.id),
        event=event.type,
        state=state,
        severity=alert.severity,
        title=_title(alert, state),
        news=_news(event),
        reason=_text(alert.reason),
        facts=tuple(_facts(event.record, members)),
        drivers=tuple(_driver(driver, alert.unit) for driver in alert.drivers[:SHOWN_DRIVERS]),
        action=_text(alert.action),
        link=alert_link(public_url, alert.id),
    )


def _title(alert: Alert, state: AlertState) -> str:
    mark = alert.severity.value if state is AlertState.FIRING else state.value
    found = f"{amount(alert.actual, alert.unit)}, {number(alert.expected, alert.unit)} expected"
    return cut(one_line(f"[{mark}] {who(alert.series)}: {found}"), _TITLE)


def _news(event: AlertEvent) -> str:
    happened = _HAPPENED[event.type]
    if event.type is EventType.WITHDRAWN and event.record.alert.feedback is FeedbackVerdict.FALSE_ALARM:
        happened = "Withdrawn, said to be a false alarm"
    by = "" if event.type in _OF_DETECTION or event.actor == DISPATCH else f" by {one_line(event.actor)}"
    if event.type is EventType.ACKNOWLEDGED and event.record.acknowledged_until is not None:
        by += f" until {format_instant(event.record.acknowledged_until)}"
    comment = f": {clean(event.comment)}" if event.comment.strip() else ""
    return cut(f"{happened}{by}{comment}", _TEXT)


def _facts(record: AlertRecord, members: Sequence[Member]) -> Sequence[tuple[str, str]]:
    alert = record.alert
    name, value = whose(alert.series)
    spend = "Spend" if alert.kind in (AlertKind.DROP, AlertKind.MISSING) else "Current spend"
    facts = [
        (label_name(name).capitalize(), value),
        ("Resource", resource_of(alert)),
        (spend, amount(alert.actual, alert.unit)),
        ("Expected", f"{amount(alert.expected, alert.unit)} ({_band(alert)})"),
        ("At stake", amount(alert.impact, alert.unit, signed=True)),
        ("Severity", alert.severity.value),
        ("State", record.state.value),
        ("Assigned to", record.assigned_to or ""),
        ("Since", format_instant(alert.starts_at)),
        ("Basis", alert.basis.value),
        ("Also", "; ".join(member.text for member in members)),
    ]
    return [(cut(one_line(name), 100), cut(one_line(value), _LINE)) for name, value in facts if value]


def _band(alert: Alert) -> str:
    return f"{number(alert.lower, alert.unit)} to {number(alert.upper, alert.unit)}"


def resource_of(alert: Alert) -> str:
    """The resource of the alert itself, or else of the driver that changed most; empty when no driver names one."""
    own = _resource(dict([whose(alert.series)])) or _resource(alert.labels)
    return own or next((found for driver in alert.drivers if (found := _resource(driver.labels))), "")


def _resource(labels: Mapping[str, str]) -> str:
    return labels.get(_RESOURCE, "")


def _driver(driver: DriverChange, unit: str) -> str:
    change = amount(driver.change, unit, signed=True)
    return cut(one_line(f"{driver_name(driver.labels)}: {change} (was {number(driver.before, unit)})"), _LINE)


def _text(text: str) -> str:
    return cut(clean(text).strip(), _TEXT)
