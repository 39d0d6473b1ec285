"""Who hears about an alert, by which route, and from when on."""

from datetime import UTC, datetime, timedelta

import pytest

from service.core.alerts import Severity
from service.core.labels import severity_rank
from service.core.routing import Destination, Router
from service.core.time_intervals import NEVER
from service.routing_settings import Route, TimeIntervals, TimeRange, Times
from tests.builders import make_alert

ALERT = make_alert(labels={"team": "search", "severity": "a tag of this name"}, severity=Severity.HIGH, impact=800.0)
OFFICE = TimeIntervals(
    name="office",
    time_intervals=(
        Times(
            weekdays=("monday:friday",),
            times=(TimeRange(start_time="09:00", end_time="17:00"),),
            location="Europe/Berlin",
        ),
    ),
)
WEEKEND = TimeIntervals(name="weekend", time_intervals=(Times(weekdays=("saturday", "sunday")),))
ALWAYS = TimeIntervals(name="always", time_intervals=(Times(),))
SATURDAY = datetime(2024, 9, 21, 12, tzinfo=UTC)
WEDNESDAY = datetime(2024, 9, 18, 12, tzinfo=UTC)
MONDAY_NINE_IN_BERLIN = datetime(2024, 9, 23, 7, tzinfo=UTC)


def router_of(*routes: Route, **root: object) -> Router:
    whole = Route.model_validate({"receiver": "desk", **root, "routes": routes})
    return Router(whole, ["desk", "pager", "chat"], [OFFICE, WEEKEND, ALWAYS])


def test_without_a_route_everyone_hears_of_everything() -> None:
    router = Router(None, ["desk", "pager", "desk"])
    assert router(ALERT) == ("desk", "pager")
    assert router.receivers == ("desk", "pager")


@pytest.mark.parametrize(
    ("matchers", "hears"),
    [
        (['team="search"'], "pager"),
        (['team="Search"'], "desk"),
        (['team=~"ads|search"'], "pager"),
        (['team="search"', 'env="prod"'], "desk"),
        (['env=""'], "pager"),
        (["impact>=500", "severity>=high"], "pager"),
        (["impact>=801"], "desk"),
        (['severity="a tag of this name"'], None),
    ],
)
def test_the_first_child_that_matches_hears_and_else_the_parent(matchers: list[str], hears: str | None) -> None:
    if hears is None:
        with pytest.raises(ValueError, match="severity is one of critical, high, medium, low"):
            Route(receiver="pager", matchers=matchers)
        return
    assert router_of(Route(receiver="pager", matchers=matchers))(ALERT) == (hears,)


def test_continue_goes_on_to_the_siblings_and_each_receiver_hears_once() -> None:
    router = router_of(
        Route(receiver=("pager", "chat"), matchers=("severity>=high",), continue_=True),
        Route(receiver="pager", matchers=('team="search"',)),
        Route(receiver="desk"),
    )
    assert router(ALERT) == ("pager", "chat")
    assert [(one.receiver, one.route) for one in router.destinations(ALERT)] == [("pager", "0.0"), ("chat", "0.0")]


def test_a_child_inherits_what_it_does_not_set_but_no_times() -> None:
    router = router_of(
        Route(
            matchers=('team="search"',),
            group_wait="1m",
            mute_time_intervals=("always",),
            routes=(Route(receiver="pager", renotify_factor=3), Route(receiver="chat")),
        ),
        group_by=["team"],
    )
    assert router.destinations(ALERT) == (
        Destination(
            receiver="pager",
            route="0.0.0",
            group_by=("team",),
            group_wait=timedelta(minutes=1),
            group_interval=timedelta(minutes=5),
            renotify_factor=3,
        ),
    )


def test_a_child_may_leave_out_what_its_parent_groups_by() -> None:
    router = router_of(Route(group_by=()), group_by=["team"])
    assert router.destinations(ALERT)[0].group_by == ()


def test_a_root_without_a_receiver_tells_nobody_what_no_child_wants() -> None:
    router = router_of(Route(receiver="pager", matchers=('team="ads"',)), receiver=[])
    assert router(ALERT) == ()
    assert router.destinations(ALERT) == ()


def test_an_active_interval_lets_an_alert_be_told_while_it_is_open() -> None:
    (destination,) = router_of(Route(receiver="pager", active_time_intervals=("office",))).destinations(ALERT)
    assert destination.muted_until(WEDNESDAY) is None
    assert destination.muted_until(SATURDAY) == MONDAY_NINE_IN_BERLIN
    assert destination.muted_by(SATURDAY) == ("office",)


def test_a_muting_interval_holds_an_alert_back_until_it_closes() -> None:
    (destination,) = router_of(Route(receiver="pager", mute_time_intervals=("weekend",))).destinations(ALERT)
    assert destination.muted_until(SATURDAY) == datetime(2024, 9, 23, tzinfo=UTC)


def test_muting_wins_over_active() -> None:
    route = Route(receiver="pager", active_time_intervals=("office", "weekend"), mute_time_intervals=("weekend",))
    (destination,) = router_of(route).destinations(ALERT)
    assert destination.muted_until(SATURDAY) == MONDAY_NINE_IN_BERLIN


def test_what_is_always_muted_is_told_never() -> None:
    (destination,) = router_of(Route(receiver="pager", mute_time_intervals=("always",))).destinations(ALERT)
    assert destination.muted_until(SATURDAY) == NEVER


def test_a_second_route_to_a_receiver_lets_it_hear_when_the_first_does_not() -> None:
    router = router_of(
        Route(receiver="pager", active_time_intervals=("office",), continue_=True),
        Route(receiver="pager", matchers=("severity>=high",), group_by=("team",)),
    )
    (destination,) = router.destinations(ALERT)
    assert (destination.route, destination.group_by) == ("0.0", ())
    assert destination.muted_until(SATURDAY) is None


def test_the_steps_say_why_a_node_was_passed_by() -> None:
    router = router_of(
        Route(receiver="chat", matchers=('team="search"', 'env="prod"')),
        Route(receiver="pager", matchers=('team="search"',)),
        Route(receiver="chat"),
    )
    steps = router.steps(ALERT)
    assert [(step.node.path, str(step.failed), step.decides) for step in steps] == [
        ("0", "None", False),
        ("0.0", 'env="prod"', False),
        ("0.1", "None", True),
    ]


def test_severities_are_ordered() -> None:
    ordered = sorted(Severity, key=severity_rank)
    assert ordered == [Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL]
