"""Alerts as a terminal shows them."""

import io
from datetime import UTC, datetime

from rich.console import Console

from connectors.facts import Basis
from service.console import clean, render
from service.core.alerts import (
    Alert,
    AlertEvent,
    AlertKind,
    AlertRecord,
    AlertState,
    AlertStatus,
    DriverChange,
    EventType,
    Severity,
)

DAY = datetime(2026, 9, 29, tzinfo=UTC)


def event(event_type: EventType = EventType.OPENED, team: str = "search") -> AlertEvent:
    alert = Alert(
        id="a",
        version=1,
        status=AlertStatus.FIRING,
        kind=AlertKind.SPIKE,
        severity=Severity.HIGH,
        tenant="default",
        series=f"default/effective_cost/USD/1d/tag:team={team}",
        labels={"team": team, "metric": "effective_cost", "grain": "1d"},
        metric="effective_cost",
        unit="USD",
        grain="1d",
        basis=Basis.BILLED,
        detector="seasonal",
        starts_at=DAY,
        ends_at=None,
        judged_at=DAY,
        actual=412.1,
        expected=133.2,
        lower=110.04,
        upper=156.9,
        score=0.9,
        impact=278.9,
        buckets=1,
        drivers=(
            DriverChange(labels={"resource_id": "i-1", "service_name": "EC2"}, change=250.0, before=0.0, now=250.0),
            DriverChange(labels={"other": "true"}, change=28.9, before=133.2, now=162.1),
        ),
        reason="",
        action="Look at EC2 i-1",
    )
    record = AlertRecord(alert=alert, state=AlertState.FIRING, seq=1, created_at=DAY, updated_at=DAY)
    return AlertEvent(seq=1, at=DAY, type=event_type, actor="detection", comment="", record=record)


def shown(what: AlertEvent) -> str:
    out = io.StringIO()
    Console(width=120, file=out).print(render(what))
    return out.getvalue()


def test_an_alert_says_what_who_how_much_and_what_next() -> None:
    assert shown(event()) == (
        " ▲ high  team=search effective_cost 2026-09-29\n"
        "   412.10 USD against 133.20 expected (110.04 to 156.90), at stake +278.90\n"
        "   drivers +250.00  EC2 i-1\n"
        "            +28.90  everything else\n"
        "   next    Look at EC2 i-1\n"
    )


def test_what_ended_is_one_line() -> None:
    assert shown(event(EventType.RESOLVED)) == " resolved team=search effective_cost since 2026-09-29\n"


def test_a_tag_value_cannot_move_the_cursor_or_use_markup() -> None:
    text = shown(event(team="\x1b[2J[red]x[/red]\u202e"))
    assert "team=?[2J[red]x[/red]?" in text


def test_control_characters_are_replaced() -> None:
    assert clean("a\nb\x07c") == "a?b?c"
