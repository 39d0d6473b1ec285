"""Sentences a person understands at once."""

import pytest

from connectors.facts import Basis
from connectors.series import Grain, SeriesKey
from detectors.verdict import Band
from service.core.alerts import AlertKind, DriverChange, Severity
from service.core.amounts import to_nano
from service.core.episodes import Episode, Judged, begin
from service.core.explain import action_of, reason_of, severity_of, withdrawn_reason

SEARCH = SeriesKey(metric="effective_cost", unit="USD", grain=Grain.DAY, dimension="tag:team", value="search")


def make_episode(actual: float, expected: float = 133.2, *, index: int = 19984, score: float = 0.9) -> Episode:
    kind = AlertKind.SPIKE if actual > expected else AlertKind.DROP
    band = Band(expected=expected, lower=expected * 0.8, upper=expected * 1.2)
    return begin(kind, Judged(index=index, actual=to_nano(actual), basis=Basis.BILLED, band=band, score=score))


def reason(series: SeriesKey, episode: Episode) -> str:
    return reason_of(series, episode, grain_seconds=series.grain.seconds, running=False)


def test_a_rise_says_how_many_times() -> None:
    assert reason(SEARCH, make_episode(412.1)) == (
        "team=search cost 412.10 USD on 2024-09-18, 3.1 times the 133.20 USD expected (106.56 to 159.84)"
    )


@pytest.mark.parametrize(
    ("actual", "expected", "said"),
    [
        (160.0, 133.2, "20% above the 133.20 USD expected"),
        (12.0, 133.2, "91% below the 133.20 USD expected"),
        (0.0, 133.2, "100% below the 133.20 USD expected"),
        (5.0, 0.0, "+5.00 USD from the 0.00 USD expected"),
        (-50.0, 133.2, "-183.20 USD from the 133.20 USD expected"),
        (5.0, -20.0, "+25.00 USD from the -20.00 USD expected"),
        (900_000.0, 0.002, "over 1,000 times the 0.0020 USD expected"),
    ],
)
def test_it_is_compared_in_a_way_that_makes_sense(actual: float, expected: float, said: str) -> None:
    assert said in reason(SEARCH, make_episode(actual, expected))


def test_an_hour_is_named_with_its_time() -> None:
    series = SeriesKey(metric="effective_cost", unit="USD", grain=Grain.HOUR, dimension="service_name", value="EC2")
    text = reason(series, make_episode(412.1, index=19984 * 24 + 14))
    assert text.startswith("service_name=EC2 cost 412.10 USD in the hour from 2024-09-18 14:00 UTC, ")


def test_a_metric_is_not_called_a_cost() -> None:
    series = SeriesKey(
        metric="cpu_utilization", unit="percent", grain=Grain.FIVE_MINUTES, dimension="resource_id", value="i-1"
    )
    text = reason(series, make_episode(98.2, 20.0, index=19984 * 288 + 1))
    assert text.startswith("cpu_utilization of resource_id=i-1 was 98.20 percent at 2024-09-18 00:05 UTC, 4.9 times")


def test_the_total_names_its_tenant() -> None:
    series = SeriesKey(tenant="acme", metric="billed_cost", unit="EUR", grain=Grain.DAY, dimension="total")
    assert reason(series, make_episode(412.1)).startswith("the total of acme cost 412.10 EUR on 2024-09-18")


def test_endless_tag_values_are_cut() -> None:
    series = SeriesKey(metric="effective_cost", unit="USD", grain=Grain.DAY, dimension="tag:team", value="x" * 400)
    assert len(reason(series, make_episode(412.1))) < 300


@pytest.mark.parametrize(
    ("actual", "score", "severity"),
    [
        (100_000.0, 0.95, Severity.CRITICAL),
        (100_000.0, 0.7, Severity.HIGH),
        (100_000.0, 0.55, Severity.MEDIUM),
        (300.0, 0.95, Severity.HIGH),
        (150.0, 0.95, Severity.MEDIUM),
        (135.0, 0.95, Severity.LOW),
    ],
)
def test_severity_needs_money_and_surprise(actual: float, score: float, severity: Severity) -> None:
    assert severity_of(make_episode(actual, score=score), floor=to_nano(2.0)) is severity


def test_a_fall_is_never_critical() -> None:
    assert severity_of(make_episode(0.0, 100_000.0, score=1.0), floor=to_nano(1.0)) is Severity.HIGH


def test_without_a_floor_money_counts_in_units() -> None:
    assert severity_of(make_episode(143.2, score=1.0), floor=0) is Severity.MEDIUM


def test_the_action_without_drivers_says_where_to_look() -> None:
    assert action_of(SEARCH, AlertKind.SPIKE, ()) == (
        "Break down what team=search used in this period by service and resource, and ask its owner"
    )
    assert action_of(SEARCH, AlertKind.DROP, ()) == (
        "Check that team=search still runs and that its bill or meter is complete"
    )


def test_the_action_takes_the_driver_of_the_right_direction() -> None:
    drivers = (
        DriverChange(labels={"service_name": "S3"}, change=-300.0, before=310.0, now=10.0),
        DriverChange(labels={"resource_id": "i-1", "service_name": "EC2"}, change=250.0, before=50.0, now=300.0),
        DriverChange(labels={"other": "true"}, change=900.0, before=0.0, now=900.0),
    )
    assert action_of(SEARCH, AlertKind.SPIKE, drivers) == "Look at EC2 i-1: +250.00 USD (usually 50.00)"
    assert action_of(SEARCH, AlertKind.DROP, drivers).startswith("Check whether this was meant: S3: -300.00 USD")


def test_a_withdrawal_says_what_is_known_now() -> None:
    assert withdrawn_reason(SEARCH, 19984, 130.0, grain_seconds=86400) == (
        "Withdrawn: after a correction, team=search cost 130.00 USD on 2024-09-18, and no episode begins there"
    )
    assert withdrawn_reason(SEARCH, 19984, None, grain_seconds=86400) == (
        "Withdrawn: nothing is known any more of team=search on 2024-09-18"
    )
