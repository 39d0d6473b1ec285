"""Which planted incidents count as found, and which as delivered."""

import msgspec

from connectors.synthetic_incidents import Incident, IncidentKind
from service.core.alerts import AlertKind, EventType
from service.demo.scorecard import Scorecard
from tests.builders import make_event

SERIES = "default/effective_cost/USD/1d/tag:team=search"


def incident(**changes: object) -> Incident:
    spike = Incident(
        tag="search",
        dimension="tag:team",
        kind=IncidentKind.SPIKE,
        start="2024-09-18T00:00:00Z",
        end="2024-09-19T00:00:00Z",
        amount=100.0,
        must=(SERIES,),
        may=(),
    )
    return msgspec.structs.replace(spike, **changes)


def test_an_alert_of_the_right_series_time_and_kind_finds_the_incident() -> None:
    card = Scorecard([incident()])
    assert card.saw(make_event()) == incident()
    assert (card.found, card.delivered, card.is_complete) == (1, 0, False)
    card.was_delivered("a1")
    assert (card.delivered, card.is_complete, card.missing()) == (1, True, [])


def test_an_incident_is_found_once() -> None:
    card = Scorecard([incident()])
    card.saw(make_event())
    assert card.saw(make_event(EventType.UPDATED)) is None


def test_another_series_time_or_kind_finds_nothing() -> None:
    card = Scorecard([incident()])
    card.saw(make_event(series=SERIES + "2"))
    card.saw(make_event(kind=AlertKind.DROP))
    card.saw(make_event(EventType.WITHDRAWN))
    Scorecard([incident(start="2024-09-20T00:00:00Z", end="2024-09-21T00:00:00Z")]).saw(make_event())
    assert card.found == 0
    assert card.missing() == [(incident(), "not found")]


def test_what_was_found_but_not_delivered_is_named() -> None:
    card = Scorecard([incident()])
    card.saw(make_event())
    assert card.missing() == [(incident(), "found, not delivered")]


def test_what_is_told_with_another_alert_of_the_same_money_is_delivered() -> None:
    card = Scorecard([incident()])
    event = make_event(EventType.INHIBITED)
    card.saw(msgspec.structs.replace(event, record=msgspec.structs.replace(event.record, inhibited_by="head")))
    assert card.delivered == 0
    card.was_delivered("head")
    assert card.is_complete
