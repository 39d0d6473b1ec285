"""Alerts from the command line: lists them, looks at one, and does to one what people do, through the API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from service.api_client import ApiClient, segment
from service.core.alerts import COUNTED, AlertRecord, AlertState, AlertStatus, Severity
from service.errors import ConfigError

_PATH = "/api/v1/alerts"
_MAX_PAGE = 500
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=366)
"""For how long an alert can be acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a listing shows. labels: `key:value`, all must hold, as the API has them. states: none for all.

    unassigned: only what is nobody's task. folded: leave out what is told as part of another alert of the list.
    """

    labels: Sequence[str] = ()
    states: Sequence[AlertState] = COUNTED
    severities: Sequence[Severity] = ()
    assigned_to: str | None = None
    unassigned: bool = False
    text: str | None = None
    folded: bool = True
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """items: records as the API has them, newest activity first. total: how many there are beyond the limit."""

    items: Sequence[Mapping[str, Any]]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One alert with all that is known of it, each as the API has it. members: what it is told in place of."""

    record: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]
    deliveries: Sequence[Mapping[str, Any]]
    members: Sequence[Mapping[str, Any]]


def listed(api: ApiClient, wanted: Wanted) -> Listing:
    """Raises ConfigError for what the API refuses, UnavailableError when it is away, as all of these."""
    asked: dict[str, Any] = {
        "label": list(wanted.labels),
        "state": [state.value for state in wanted.states],
        "severity": [severity.value for severity in wanted.severities],
        "assigned_to": wanted.assigned_to,
        "unassigned": wanted.unassigned or None,
        "text": wanted.text,
        "folded": wanted.folded or None,
    }
    asked = {name: value for name, value in asked.items() if value not in (None, [])}
    items: list[Mapping[str, Any]] = []
    cursor: str | None = None
    while True:
        step = {"limit": min(wanted.limit - len(items), _MAX_PAGE)} | ({} if cursor is None else {"cursor": cursor})
        page = api.ask("GET", _PATH, params=asked | step)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None or len(items) >= wanted.limit:
            return Listing(items=items, total=max(page["total"], len(items)))


def found(api: ApiClient, alert_id: str) -> Found:
    record = api.ask("GET", _path(alert_id))
    return Found(
        record=record,
        events=api.ask("GET", _path(alert_id, "events"))["items"],
        deliveries=api.ask("GET", _path(alert_id, "deliveries"))["items"],
        members=api.ask("GET", _PATH, params={"inhibited_by": alert_id, "limit": _MAX_PAGE})["items"],
    )


def record_of(document: Mapping[str, Any]) -> AlertRecord:
    """Raises ConfigError."""
    try:
        return msgspec.convert(document, AlertRecord)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the API's answer: expected an alert, of this version: {error}") from None


# What people do. Each says in one line what the alert is then. One that is not what was asked for is a ConfigError, so
# that a script can tell; one that was so before is not.


def acknowledge(
    api: ApiClient, alert_id: str, *, actor: str, comment: str, lasting: timedelta | None, cascade: bool
) -> str:
    body: dict[str, Any] = {"actor": actor, "comment": comment, "cascade": cascade}
    if lasting is not None:
        body["for_seconds"] = int(lasting.total_seconds())
    before, after = _done(api, alert_id, "acknowledge", body)
    if after.state is not AlertState.ACKNOWLEDGED:
        raise ConfigError(f"{alert_id}: {_state(after)}, so there is nothing to acknowledge")
    return f"{alert_id}: {_already(before, after)}{_state(after)}"


def resolve(api: ApiClient, alert_id: str, *, actor: str, comment: str, cascade: bool) -> str:
    before, after = _done(api, alert_id, "resolve", {"actor": actor, "comment": comment, "cascade": cascade})
    if not after.state.is_over:
        raise ConfigError(f"{alert_id}: {_state(after)}: somebody reopened it meanwhile")
    return f"{alert_id}: {_already(before, after)}{_state(after)}"


def reopen(api: ApiClient, alert_id: str, *, actor: str, comment: str) -> str:
    before, after = _done(api, alert_id, "reopen", {"actor": actor, "comment": comment})
    if after.state.is_over:
        is_on = after.alert.status is AlertStatus.FIRING
        why = "no person ended it" if is_on else "its spend is back to normal; it opens by itself when it returns"
        raise ConfigError(f"{alert_id}: {_state(after)}, and cannot be reopened: {why}")
    return f"{alert_id}: {_already(before, after)}{_state(after)}"


def assign(api: ApiClient, alert_id: str, *, to: str | None, actor: str, comment: str) -> str:
    before, after = _done(api, alert_id, "assign", {"to": to, "actor": actor, "comment": comment})
    whose = "nobody's task" if after.assigned_to is None else f"assigned to {after.assigned_to}"
    return f"{alert_id}: {_already(before, after)}{whose}"


def comment_on(api: ApiClient, alert_id: str, *, actor: str, comment: str) -> str:
    _done(api, alert_id, "comment", {"actor": actor, "comment": comment})
    return f"{alert_id}: written down"


def _done(api: ApiClient, alert_id: str, deed: str, body: Mapping[str, Any]) -> tuple[AlertRecord, AlertRecord]:
    """The alert before and after it."""
    before = record_of(api.ask("GET", _path(alert_id)))
    return before, record_of(api.ask("POST", _path(alert_id, deed), json=body))


def _already(before: AlertRecord, after: AlertRecord) -> str:
    return "already " if before.seq == after.seq else ""


def _state(record: AlertRecord) -> str:
    """`acknowledged by dana until 2024-09-18 16:00Z`."""
    text, until = record.state.value, record.acknowledged_until
    if record.state is AlertState.ACKNOWLEDGED and record.acknowledged_by:
        text += f" by {record.acknowledged_by}" + ("" if until is None else f" until {until:%Y-%m-%d %H:%M}Z")
    if record.state.is_over and record.resolved_by:
        text += f" by {record.resolved_by}"
    return text


def _path(alert_id: str, part: str = "") -> str:
    return f"{_PATH}/{segment(alert_id)}" + (f"/{part}" if part else "")
