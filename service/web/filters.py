"""The filters that the listing, the live stream and the dashboard share."""

import re
from datetime import UTC, datetime
from typing import Annotated

from litestar.params import QueryParameter

from service.core.alerts import AlertRecord, AlertState, Severity
from service.store.store import AlertQuery
from service.web.errors import bad_request

_COLON = re.compile(r"(?<!\\):")


def parse_labels(texts: list[str]) -> dict[str, str]:
    """`["team:search"]` to `{"team": "search"}`; a colon inside a key is written `\\:`.

    Raises ProblemError for a text without a colon and for two values of one label, which no alert could have.
    """
    labels: dict[str, str] = {}
    for text in texts:
        key, *rest = _COLON.split(text, maxsplit=1)
        if not key or not rest:
            raise bad_request("query label", f"expected key:value, as in team:search, got {text!r}")
        key = key.replace("\\:", ":")
        if labels.get(key, rest[0]) != rest[0]:
            raise bad_request("query label", f"label {key!r} is given twice, as {labels[key]!r} and {rest[0]!r}")
        labels[key] = rest[0]
    return labels


def _utc(at: datetime | None) -> datetime | None:
    """A time without a zone is taken as UTC. Raises ProblemError for one that is outside the calendar in UTC."""
    if at is None:
        return None
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise bad_request("query since", f"expected a time in the years 1 to 9999 UTC, got {at.isoformat()}") from None


def provide_filter(
    # Litestar keeps the name `state` for itself; errors.py gives it back in messages.
    states: Annotated[list[AlertState] | None, QueryParameter(name="state", description="Any of these.")] = None,
    severity: Annotated[list[Severity] | None, QueryParameter(description="Any of these.")] = None,
    label: Annotated[
        list[str] | None,
        QueryParameter(description="`key:value`; all must be equal. Write a colon inside a key as `\\:`."),
    ] = None,
    tenant: Annotated[str | None, QueryParameter(max_length=64)] = None,
    text: Annotated[
        str | None, QueryParameter(description="Part of the series or of the reason.", max_length=200)
    ] = None,
    since: Annotated[
        datetime | None,
        QueryParameter(description="Only what changed at or after this time (RFC 3339, UTC without zone)."),
    ] = None,
    assigned_to: Annotated[
        str | None,
        QueryParameter(description="Whose task it is. Empty is as without it; see `unassigned`.", max_length=128),
    ] = None,
    unassigned: Annotated[bool, QueryParameter(description="Only what is nobody's task.")] = False,
    inhibited_by: Annotated[
        str | None,
        QueryParameter(description="Only what the alert with this id is told in place of.", max_length=1000),
    ] = None,
) -> AlertQuery:
    if assigned_to and unassigned:
        raise bad_request("query unassigned", f"expected it without assigned_to, which asks for {assigned_to!r}")
    return AlertQuery(
        states=tuple(states or ()),
        severities=tuple(severity or ()),
        tenant=tenant or None,
        labels=parse_labels(label or []),
        text=text or None,
        since=_utc(since),
        assigned_to=assigned_to or None,
        unassigned=unassigned,
        inhibited_by=inhibited_by or None,
    )


def matches(query: AlertQuery, record: AlertRecord) -> bool:
    """Whether a record passes the filters of *query*; the same answer as the store's `find`, but for `folded`."""
    alert = record.alert
    return (
        (not query.states or record.state in query.states)
        and (not query.severities or alert.severity in query.severities)
        and (query.tenant is None or alert.tenant == query.tenant)
        and all(alert.labels.get(key) == value for key, value in query.labels.items())
        and (query.since is None or record.updated_at >= query.since)
        and (query.assigned_to is None or record.assigned_to == query.assigned_to)
        and not (query.unassigned and record.assigned_to is not None)
        and (query.inhibited_by is None or record.inhibited_by == query.inhibited_by)
        and (query.text is None or _contains(alert.series, query.text) or _contains(alert.reason, query.text))
    )


def _contains(text: str, part: str) -> bool:
    return part.casefold() in text.casefold()
