"""Which planted incidents count as found, and which as delivered."""

import msgspec

from connectors.synthetic_incidents import Incident, IncidentKind
from service.core.alerts import AlertEvent, AlertKind, EventType
from service.demo.scorecard import Scorecard
from tests.service.test_console import event

SERIES = "default/effective_cost/USD/1d/tag:team=search"


def incident(**changes: object) -> Incident:
    spike = Incident(
        tag="search",
        dimension="tag:team",
        kind=IncidentKind.SPIKE,
        start="2026-09-29T00:00:00Z",
        end="2026-09-30T00:00:00Z",
        amount=100.0,
        must=(SERIES,),
        may=(),
    )
    return msgspec.structs.replace(spike, **changes)


def alert(event_type: EventType = EventType.OPENED, **changes: object) -> AlertEvent:
    one = event(event_type)
    record = msgspec.structs.replace(one.record, alert=msgspec.structs.replace(one.record.alert, **changes))
    return msgspec.structs.replace(one, record=record)


def test_an_alert_of_the_right_series_time_and_kind_finds_the_incident() -> None:
    card = Scorecard([incident()])
    assert card.saw(alert()) == incident()
    assert (card.found, card.delivered, card.is_complete) == (1, 0, False)
    card.was_delivered("a")
    assert (card.delivered, card.is_complete, card.missing()) == (1, True, [])


def test_an_incident_is_found_once() -> None:
    card = Scorecard([incident()])
    card.saw(alert())
    assert card.saw(alert(EventType.UPDATED)) is None


def test_another_series_time_or_kind_finds_nothing() -> None:
    card = Scorecard([incident()])
    card.saw(alert(series=SERIES + "2"))
    card.saw(alert(kind=AlertKind.DROP))
    card.saw(alert(EventType.WITHDRAWN))
    Scorecard([incident(start="2026-10-01T00:00:00Z", end="2026-10-02T00:00:00Z")]).saw(alert())
    assert card.found == 0
    assert card.missing() == [(incident(), "not found")]


def test_what_was_found_but_not_delivered_is_named() -> None:
    card = Scorecard([incident()])
    card.saw(alert())
    assert card.missing() == [(incident(), "found, not delivered")]
