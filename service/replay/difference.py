"""What another configuration would have changed: alerts gained, lost and moved, and their money."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec
from msgspec import Struct

from service.core.alerts import Alert, AlertStatus
from service.replay.rows import Row, row_of


class Change(StrEnum):
    GAINED = "gained"
    LOST = "lost"
    MOVED = "moved"
    """The same series, over the same time, with another kind, first bucket or judgement time."""
    SAME = "same"


class Difference(Struct, frozen=True, kw_only=True):
    """before, after: of the alert; None where it does not exist. money: what is at stake now less what was before."""

    change: Change
    series: str
    money: float
    currency: str
    before: Row | None
    after: Row | None


def differences(before: Iterable[Alert], after: Iterable[Alert]) -> list[Difference]:
    """Withdrawn alerts count as none: they are no alerts in the end. Ordered by time, series and kind."""
    old = {alert.id: alert for alert in before if alert.status is not AlertStatus.WITHDRAWN}
    new = {alert.id: alert for alert in after if alert.status is not AlertStatus.WITHDRAWN}
    found = [
        _difference(Change.MOVED if old[key].judged_at != new[key].judged_at else Change.SAME, old[key], new[key])
        for key in old.keys() & new.keys()
    ]
    lost, gained = _only(old, new), _only(new, old)
    for alert in gained:
        partner = next((other for other in lost if other.series == alert.series and _overlap(other, alert)), None)
        if partner is None:
            found.append(_difference(Change.GAINED, None, alert))
        else:
            lost.remove(partner)
            found.append(_difference(Change.MOVED, partner, alert))
    found += [_difference(Change.LOST, alert, None) for alert in lost]
    return sorted(found, key=_place)


def json_line(difference: Difference) -> str:
    return msgspec.json.encode(difference).decode()


def _only(some: Mapping[str, Alert], others: Mapping[str, Alert]) -> list[Alert]:
    return sorted(
        (alert for key, alert in some.items() if key not in others), key=lambda alert: (alert.starts_at, alert.series)
    )


def _overlap(one: Alert, other: Alert) -> bool:
    """Touching counts: an alert that begins a bucket earlier is the same one."""
    return (one.ends_at is None or other.starts_at <= one.ends_at) and (
        other.ends_at is None or one.starts_at <= other.ends_at
    )


def _difference(change: Change, before: Alert | None, after: Alert | None) -> Difference:
    alert = after or before
    assert alert is not None
    return Difference(
        change=change,
        series=alert.series,
        money=(after.impact if after else 0.0) - (before.impact if before else 0.0),
        currency=alert.unit,
        before=None if before is None else row_of(before),
        after=None if after is None else row_of(after),
    )


def _place(difference: Difference) -> tuple[object, ...]:
    row = difference.after or difference.before
    assert row is not None
    return row.starts_at, difference.series, difference.change.value
