"""Who hears about an alert."""

import pytest

from service.core.alerts import AlertKind, Severity
from service.core.routing import Router, severity_rank
from service.settings import Route
from tests.builders import make_alert

ALERT = make_alert(labels={"team": "search", "severity": "a tag of this name"}, severity=Severity.HIGH)


def test_without_routes_everyone_hears_of_everything() -> None:
    router = Router((), ["desk", "pager", "desk"])
    assert router(ALERT) == ("desk", "pager")
    assert router.receivers == ("desk", "pager")


@pytest.mark.parametrize(
    ("match", "hears"),
    [
        ({}, True),
        ({"team": "search"}, True),
        ({"team": "Search"}, False),
        ({"team": ("ads", "search")}, True),
        ({"team": "search", "env": "prod"}, False),
        ({"env": ""}, True),
        ({"env": ("", "prod")}, True),
        ({"team": ""}, False),
        ({"severity": "high"}, True),
        ({"severity": ("critical", "high")}, True),
        ({"severity": "a tag of this name"}, False),
        ({"kind": "spike", "tenant": "default", "unit": "USD"}, True),
        ({"kind": "drop"}, False),
        ({"unit": "EUR"}, False),
    ],
)
def test_all_matchers_of_a_route_must_hold(match: dict[str, str | tuple[str, ...]], hears: bool) -> None:
    router = Router([Route(receiver="desk", match=match)], ["desk", "other"])
    assert router(ALERT) == (("desk",) if hears else ())


@pytest.mark.parametrize(
    ("least", "hears"),
    [(Severity.LOW, True), (Severity.MEDIUM, True), (Severity.HIGH, True), (Severity.CRITICAL, False), (None, True)],
)
def test_a_route_may_want_a_least_severity(least: Severity | None, hears: bool) -> None:
    router = Router([Route(receiver="desk", min_severity=least)], ["desk"])
    assert bool(router(ALERT)) is hears


def test_every_route_that_matches_counts_and_each_receiver_once() -> None:
    routes = (
        Route(receiver="pager", match={"severity": "high"}),
        Route(receiver="desk"),
        Route(receiver="pager", match={"team": "search"}),
        Route(receiver="drops", match={"kind": AlertKind.DROP.value}),
    )
    assert Router(routes, ["desk", "drops", "pager"])(ALERT) == ("pager", "desk")


def test_severities_are_ordered() -> None:
    ordered = sorted(Severity, key=severity_rank)
    assert ordered == [Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL]
