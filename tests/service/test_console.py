"""Alerts as a terminal shows them."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from service.console import clean, make_console, render, shortened
from service.core.alerts import AlertEvent, DriverChange, EventType
from tests.builders import make_event


def test_a_console_prints_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(box=None)
    table.add_row("bills/:key:/[red]x.csv")
    console = make_console()
    console.print("bills/:key:/[red]x.csv")
    console.print(table)
    assert capsys.readouterr().out.count("bills/:key:/[red]x.csv") == 2


@pytest.mark.parametrize(
    ("text", "short"), [("search", "search"), ("searching", "search…"), ("漢字漢", "漢字漢"), ("漢字漢字", "漢字漢…")]
)
def test_what_is_too_long_is_cut_by_columns(text: str, short: str) -> None:
    assert shortened(text, 7) == short


def shown(what: AlertEvent) -> str:
    out = io.StringIO()
    Console(width=120, file=out).print(render(what))
    return out.getvalue()


def test_an_alert_says_what_who_how_much_and_what_next() -> None:
    drivers = (
        DriverChange(labels={"resource_id": "i-1", "service_name": "EC2"}, change=260.0, before=80.0, now=340.0),
        DriverChange(labels={"other": "true"}, change=32.5, before=40.0, now=72.5),
    )
    assert shown(make_event(drivers=drivers, action="Look at EC2 i-1")) == (
        " ▲ medium  team=search effective_cost 2024-09-18\n"
        "   412.50 USD against 120.00 expected (95.00 to 145.00), at stake +292.50\n"
        "   drivers +260.00  EC2 i-1\n"
        "            +32.50  everything else\n"
        "   next    Look at EC2 i-1\n"
    )


def test_what_ended_is_one_line() -> None:
    assert shown(make_event(EventType.RESOLVED)) == " resolved team=search effective_cost since 2024-09-18\n"


def test_a_tag_value_cannot_move_the_cursor_or_use_markup() -> None:
    text = shown(make_event(team="\x1b[2J[red]x[/red]\u202e"))
    assert "team=?[2J[red]x[/red]?" in text


def test_control_characters_are_replaced() -> None:
    assert clean("a\nb\x07c") == "a?b?c"


def test_the_total_is_said_with_its_tenant() -> None:
    assert "the total of acme" in shown(make_event(series="acme/effective_cost/USD/1d/total="))
